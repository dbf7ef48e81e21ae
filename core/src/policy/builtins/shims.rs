//! Builtins that the engine lacks or has otherwise than OPA. A shim that would be an error in OPA is
//! undefined, as Gatekeeper runs it.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use sha2::{Digest, Sha256};

use super::{
    arithmetic, cidr, go_regex::Patterns, quantity, sprintf::sprintf, text::MAX_PRINTED, walked::walked,
};

/// A builtin of ours: its arguments, to its value, or `None` where it is undefined.
pub(super) type Shim = fn(&[Value]) -> Option<Value>;

/// Name, arguments, and the shim, of those that remember nothing.
pub(super) const SHIMS: &[(&str, u8, Shim)] = &[
    ("__divided", 2, arithmetic::divided),
    ("__minus", 2, arithmetic::minus),
    ("__plus", 2, arithmetic::plus),
    ("__remainder", 2, arithmetic::remainder),
    ("__times", 2, arithmetic::times),
    ("__walked", 1, walked),
    ("all", 1, |args| {
        booleans(args).map(|mut items| items.all(|item| *item == Value::Bool(true))).map(Value::Bool)
    }),
    ("any", 1, |args| {
        booleans(args).map(|mut items| items.any(|item| *item == Value::Bool(true))).map(Value::Bool)
    }),
    ("array.flatten", 1, |args| match args {
        [Value::Array(items)] => Some(Value::from(
            items
                .iter()
                .flat_map(|item| match item {
                    Value::Array(inner) => inner.iter().cloned().collect::<Vec<_>>(),
                    other => vec![other.clone()],
                })
                .collect::<Vec<_>>(),
        )),
        _ => None,
    }),
    ("cast_array", 1, |args| match args {
        [array @ Value::Array(_)] => Some(array.clone()),
        [Value::Set(set)] => Some(Value::from(set.iter().cloned().collect::<Vec<_>>())),
        _ => None,
    }),
    ("cast_boolean", 1, |args| only(args, |value| matches!(value, Value::Bool(_)))),
    ("cast_null", 1, |args| only(args, |value| matches!(value, Value::Null))),
    ("cast_object", 1, |args| only(args, |value| matches!(value, Value::Object(_)))),
    ("cast_set", 1, |args| match args {
        [set @ Value::Set(_)] => Some(set.clone()),
        [Value::Array(array)] => Some(Value::from(array.iter().cloned().collect::<BTreeSet<_>>())),
        _ => None,
    }),
    ("cast_string", 1, |args| only(args, |value| matches!(value, Value::String(_)))),
    ("crypto.sha256", 1, |args| {
        let digest = Sha256::digest(text(args, 0)?.as_bytes());
        Some(Value::from(format!("{digest:x}")))
    }),
    ("indexof", 2, |args| {
        let (base, search) = (text(args, 0)?, text(args, 1)?);
        if search.is_empty() {
            return None;
        }
        let at = base.find(search).map(|at| base.get(..at).unwrap_or_default().chars().count());
        Some(at.map_or(Value::from(-1_i64), |at| Value::from(at as u64)))
    }),
    ("json.is_valid", 1, |args| Some(Value::Bool(text(args, 0).and_then(unmarshal).is_some()))),
    ("json.marshal", 1, |args| {
        // Go writes these as escapes; they occur within strings alone.
        let mut json = Bounded(Vec::new());
        // One that does not fit is too large for the result as well.
        if serde_json::to_writer(&mut json, args.first()?).is_err() && json.0.len() < MAX_PRINTED {
            return None;
        }
        let json = String::from_utf8_lossy(&json.0);
        let mut out = String::with_capacity(json.len());
        for c in json.chars() {
            match c {
                '<' => out.push_str("\\u003c"),
                '>' => out.push_str("\\u003e"),
                '&' => out.push_str("\\u0026"),
                '\u{2028}' => out.push_str("\\u2028"),
                '\u{2029}' => out.push_str("\\u2029"),
                c => out.push(c),
            }
        }
        Some(Value::from(out))
    }),
    ("json.unmarshal", 1, |args| unmarshal(text(args, 0)?)),
    ("lower", 1, |args| Some(Value::from(text(args, 0)?.chars().map(lower).collect::<String>()))),
    ("net.cidr_intersects", 2, |args| cidr::intersects(text(args, 0)?, text(args, 1)?).map(Value::Bool)),
    ("net.cidr_overlap", 2, |args| cidr::contains_address(text(args, 0)?, text(args, 1)?).map(Value::Bool)),
    ("semver.compare", 2, |args| {
        let (a, b) = (version(text(args, 0)?)?, version(text(args, 1)?)?);
        Some(Value::from(match a.cmp(&b) {
            std::cmp::Ordering::Less => -1_i64,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        }))
    }),
    ("semver.is_valid", 1, |args| Some(Value::Bool(text(args, 0).and_then(version).is_some()))),
    ("set_diff", 2, |args| match args {
        [Value::Set(a), Value::Set(b)] => {
            Some(Value::from(a.iter().filter(|item| !b.contains(item)).cloned().collect::<BTreeSet<_>>()))
        }
        _ => None,
    }),
    ("sprintf", 2, |args| match args {
        [Value::String(format), Value::Array(values)] => {
            let values: Vec<Value> = values.iter().cloned().collect();
            Some(Value::from(sprintf(format, &values)))
        }
        _ => None,
    }),
    ("strings.replace_n", 2, |args| match args {
        [Value::Object(patterns), Value::String(base)] => {
            let mut pairs = Vec::new();
            for (key, value) in patterns.iter_sorted() {
                match (key, value) {
                    (Value::String(key), Value::String(value)) => pairs.push((key.as_ref(), value.as_ref())),
                    _ => return None,
                }
            }
            Some(Value::from(replace_all(base, &pairs)))
        }
        _ => None,
    }),
    ("to_number", 1, |args| match args.first()? {
        Value::Null | Value::Bool(false) => Some(Value::from(0_u64)),
        Value::Bool(true) => Some(Value::from(1_u64)),
        number @ Value::Number(_) => Some(number.clone()),
        Value::String(text) => quantity::to_number(text),
        _ => None,
    }),
    ("units.parse", 1, |args| quantity::parse(text(args, 0)?)),
    ("units.parse_bytes", 1, |args| quantity::parse_bytes(text(args, 0)?)),
    ("upper", 1, |args| Some(Value::from(text(args, 0)?.chars().map(upper).collect::<String>()))),
];

/// Reads JSON. The engine's own reader takes an object with a certain key for a number of any size.
fn unmarshal(text: &str) -> Option<Value> {
    fn value(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), ..) => Value::from(whole),
                (_, Some(whole), _) => Value::from(whole),
                (.., float) => float.map_or(Value::Undefined, Value::from),
            },
            serde_json::Value::String(text) => Value::from(text),
            serde_json::Value::Array(items) => Value::from(items.into_iter().map(value).collect::<Vec<_>>()),
            serde_json::Value::Object(fields) => Value::from(
                fields
                    .into_iter()
                    .map(|(key, field)| (Value::from(key), value(field)))
                    .collect::<BTreeMap<_, _>>(),
            ),
        }
    }
    serde_json::from_str(text).ok().map(value)
}

/// Takes no more than a bound.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() >= MAX_PRINTED {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A builtin that keeps its compiled patterns.
pub(super) type PatternShim = fn(&mut Patterns, &[Value]) -> Result<Option<Value>, super::go_regex::TooLarge>;

/// Those with regular expressions.
pub(super) const PATTERN_SHIMS: &[(&str, u8, PatternShim)] = &[
    ("re_match", 2, matches),
    ("regex.match", 2, matches),
    ("regex.is_valid", 1, |patterns, args| {
        Ok(Some(Value::Bool(match text(args, 0) {
            Some(pattern) => patterns.get(pattern)?.is_some(),
            None => false,
        })))
    }),
    ("regex.split", 2, |patterns, args| {
        let (Some(pattern), Some(base)) = (text(args, 0), text(args, 1)) else { return Ok(None) };
        Ok(patterns
            .get(pattern)?
            .map(|regex| Value::from(regex.split(base).map(Value::from).collect::<Vec<_>>())))
    }),
    ("regex.replace", 3, |patterns, args| {
        let (Some(base), Some(pattern), Some(value)) = (text(args, 0), text(args, 1), text(args, 2)) else {
            return Ok(None);
        };
        Ok(patterns.get(pattern)?.map(|regex| Value::from(regex.replace_all(base, value).into_owned())))
    }),
    ("regex.find_n", 3, |patterns, args| {
        let (Some(pattern), Some(base), Some(most)) = (text(args, 0), text(args, 1), most(args, 2)) else {
            return Ok(None);
        };
        Ok(patterns.get(pattern)?.map(|regex| {
            Value::from(
                regex.find_iter(base).take(most).map(|found| Value::from(found.as_str())).collect::<Vec<_>>(),
            )
        }))
    }),
    ("regex.find_all_string_submatch_n", 3, |patterns, args| {
        let (Some(pattern), Some(base), Some(most)) = (text(args, 0), text(args, 1), most(args, 2)) else {
            return Ok(None);
        };
        Ok(patterns.get(pattern)?.map(|regex| {
            let rows = regex.captures_iter(base).take(most).map(|found| {
                let groups = found.iter().map(|group| Value::from(group.map_or("", |group| group.as_str())));
                Value::from(groups.collect::<Vec<_>>())
            });
            Value::from(rows.collect::<Vec<_>>())
        }))
    }),
];

fn matches(patterns: &mut Patterns, args: &[Value]) -> Result<Option<Value>, super::go_regex::TooLarge> {
    let (Some(pattern), Some(base)) = (text(args, 0), text(args, 1)) else { return Ok(None) };
    Ok(patterns.get(pattern)?.map(|regex| Value::Bool(regex.is_match(base))))
}

fn text(args: &[Value], index: usize) -> Option<&str> {
    match args.get(index)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// How many matches are asked for; a negative number asks for all.
fn most(args: &[Value], index: usize) -> Option<usize> {
    let number = args.get(index)?.as_i64().ok()?;
    Some(usize::try_from(number).unwrap_or(usize::MAX))
}

fn only(args: &[Value], accept: impl Fn(&Value) -> bool) -> Option<Value> {
    args.first().filter(|value| accept(value)).cloned()
}

fn booleans(args: &[Value]) -> Option<Box<dyn Iterator<Item = &Value> + '_>> {
    match args {
        [Value::Array(items)] => Some(Box::new(items.iter())),
        [Value::Set(items)] => Some(Box::new(items.iter())),
        _ => None,
    }
}

/// Go changes the case of one character to one character.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Go's `strings.NewReplacer`: at every place the first of the pairs that fits.
fn replace_all(base: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(base.len());
    let mut rest = base;
    while let Some(c) = rest.chars().next() {
        let found = pairs.iter().find(|(key, _)| !key.is_empty() && rest.starts_with(key));
        if let Some((key, value)) = found {
            out.push_str(value);
            rest = rest.get(key.len()..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// Major, minor, patch, whether it is a release, and the pre-release parts.
type Version = (i64, i64, i64, bool, Vec<(bool, i64, String)>);

fn version(text: &str) -> Option<Version> {
    let identifier = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
    if !metadata.is_empty() && !identifier(metadata) {
        return None;
    }
    let (text, pre_release) = text.split_once('-').unwrap_or((text, ""));
    if !pre_release.is_empty() && !identifier(pre_release) {
        return None;
    }
    let mut numbers = text.split('.').map(|part| part.parse::<i64>().ok());
    let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    let parts = pre_release
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| match part.parse::<i64>() {
            // Numbers come before words.
            Ok(number) if part.bytes().all(|byte| byte.is_ascii_digit()) => (false, number, String::new()),
            _ => (true, 0, part.to_owned()),
        })
        .collect();
    Some((major, minor, patch, pre_release.is_empty(), parts))
}
