//! The functions a policy may call: the engine's, those made here to equal OPA, and those that cannot
//! be judged alike and are refused.

mod arithmetic;
mod cidr;
mod go_regex;
mod quantity;
mod shims;
mod sprintf;
mod text;
mod walked;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use regorus::{
    Engine, Value,
    unstable::{BUILTINS, Expr, Ref, Source, Span},
};

pub(super) use arithmetic::function_of;
use go_regex::Patterns;
pub(super) use quantity::is_literal_in_range;
use shims::{PATTERN_SHIMS, SHIMS};

/// What is known about a function that no module defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    /// It works as in OPA, with so many arguments; `None` where any number will do.
    Known(Option<u8>),
    /// OPA has it, we do not, and why.
    Refused(&'static str),
    /// Nobody has it.
    Unknown,
}

const ANSWERS_DIFFER: &str = "it depends on something that an audit cannot reproduce";
const NOT_HERE: &str = "this version cannot judge by it";

/// Whole families, and single functions, that are refused.
const REFUSED: &[(&str, &str)] = &[
    ("http.send", "a policy may not reach the network"),
    ("net.lookup_ip_addr", "a policy may not reach the network"),
    ("external_data", "external data providers are not supported"),
    ("opa.runtime", ANSWERS_DIFFER),
    ("rand.intn", ANSWERS_DIFFER),
    ("uuid.rfc4122", ANSWERS_DIFFER),
    ("rego.metadata.chain", NOT_HERE),
    ("rego.metadata.rule", NOT_HERE),
    ("rego.parse_module", NOT_HERE),
    ("net.cidr_merge", NOT_HERE),
    ("net.cidr_contains_matches", NOT_HERE),
    ("regex.globs_match", NOT_HERE),
    ("regex.template_match", NOT_HERE),
    ("yaml.unmarshal", NOT_HERE),
    ("yaml.marshal", NOT_HERE),
    ("yaml.is_valid", NOT_HERE),
    ("json.marshal_with_options", NOT_HERE),
    ("strings.render_template", NOT_HERE),
    ("uri.is_valid", NOT_HERE),
    ("uri.parse", NOT_HERE),
    ("and", NOT_HERE),
    ("or", NOT_HERE),
    ("eq", NOT_HERE),
    ("equal", NOT_HERE),
    ("neq", NOT_HERE),
    ("gt", NOT_HERE),
    ("gte", NOT_HERE),
    ("lt", NOT_HERE),
    ("lte", NOT_HERE),
    ("plus", NOT_HERE),
    ("minus", NOT_HERE),
    ("mul", NOT_HERE),
    ("div", NOT_HERE),
    ("rem", NOT_HERE),
    ("assign", NOT_HERE),
];

const REFUSED_FAMILIES: &[&str] = &["crypto.", "io.jwt.", "graphql.", "providers.", "internal."];

/// Engine functions that OPA does not have.
const NOT_IN_OPA: &[&str] = &["test.sleep", "__builtin_sets.intersection", "__builtin_sets.union"];

/// Looks a function up by its whole name.
pub(super) fn lookup(name: &str) -> Builtin {
    if name == "print" {
        return Builtin::Known(None);
    }
    if name.starts_with("__") {
        return Builtin::Unknown;
    }
    if let Some((_, arity, _)) = SHIMS.iter().find(|(known, ..)| *known == name) {
        return Builtin::Known(Some(*arity));
    }
    if let Some((_, arity, _)) = PATTERN_SHIMS.iter().find(|(known, ..)| *known == name) {
        return Builtin::Known(Some(*arity));
    }
    if let Some((_, why)) = REFUSED.iter().find(|(known, _)| *known == name) {
        return Builtin::Refused(why);
    }
    if REFUSED_FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Builtin::Refused(NOT_HERE);
    }
    match BUILTINS.get(name) {
        Some((_, arity)) if !NOT_IN_OPA.contains(&name) => Builtin::Known(Some(*arity)),
        _ => Builtin::Unknown,
    }
}

/// Names close to an unknown one.
pub(super) fn closest(name: &str) -> Option<String> {
    let known = SHIMS
        .iter()
        .map(|(known, ..)| *known)
        .chain(PATTERN_SHIMS.iter().map(|(known, ..)| *known))
        .chain(BUILTINS.keys().copied().filter(|known| !NOT_IN_OPA.contains(known)));
    known
        .filter(|known| !known.starts_with("__"))
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known.to_owned())
}

/// What is wrong with a `sprintf` of a known format and so many values.
pub(super) fn sprintf_mismatch(format: &str, values: usize) -> Option<String> {
    let printed = sprintf::sprintf(format, &vec![Value::from(0_u64); values]);
    let missing = printed.matches("(MISSING)").count();
    if missing > 0 {
        Some(format!("expected {} values for this format, found {values}", values + missing))
    } else if let Some((_, extra)) = printed.rsplit_once("%!(EXTRA ") {
        let extra = extra.matches('=').count();
        Some(format!("expected {} values for this format, found {values}", values.saturating_sub(extra)))
    } else {
        printed.ends_with("%!(NOVERB)").then(|| "a `%` at the end of the format has no verb".to_owned())
    }
}

/// Whether the engine cannot give the result to a further argument, as in `split("a", "b", x)`.
pub(super) fn takes_no_result(name: &str) -> bool {
    !BUILTINS.contains_key(name)
}

/// Functions that OPA has no more in Rego v1.
pub(super) fn is_deprecated(name: &str) -> bool {
    matches!(name, "any" | "all" | "re_match" | "set_diff" | "net.cidr_overlap") || name.starts_with("cast_")
}

/// What an evaluator and the functions of its engine share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    now: Arc<AtomicI64>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Shared {
    /// What `time.now_ns` says from now on, and no trouble.
    pub fn begin(&self, nanoseconds: i64) {
        self.now.store(nanoseconds, Ordering::Relaxed);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why a function could give no answer, which is more than undefined: the engine forgets an error
    /// where a function has another body.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, why: &impl ToString) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
    }
}

/// Gives the engine of one evaluator our functions.
pub(super) fn install(engine: &mut Engine, shared: &Shared) {
    // A name is added once, so this cannot fail.
    let mut add = |name: &str, arity: u8, shim: Box<dyn regorus::Extension>| {
        let _ = engine.add_extension(name.to_owned(), arity, shim);
    };
    for (name, arity, shim) in SHIMS {
        let (shim, shared) = (*shim, shared.clone());
        add(
            name,
            *arity,
            Box::new(move |args: Vec<Value>| {
                bounded(&shared, check_arguments(name, &args).map(|()| shim(&args)))
            }),
        );
    }
    for (name, arity, shim) in PATTERN_SHIMS {
        let (shim, shared) = (*shim, shared.clone());
        let mut patterns = Patterns::default();
        add(name, *arity, Box::new(move |args: Vec<Value>| bounded(&shared, shim(&mut patterns, &args))));
    }
    for name in GROWING {
        let Some((function, arity)) = BUILTINS.get(name).copied() else { continue };
        let shared = shared.clone();
        let place = nowhere(usize::from(arity));
        add(
            name,
            arity,
            Box::new(move |args: Vec<Value>| {
                let result = check_arguments(name, &args).map(|()| match &place {
                    Some((span, params)) => {
                        let value = function(span, params, &args, false).ok();
                        if *name == "net.cidr_expand" { value.map(as_set) } else { value }
                    }
                    None => None,
                });
                bounded(&shared, result)
            }),
        );
    }
    let now = shared.now.clone();
    add("time.now_ns", 0, Box::new(move |_: Vec<Value>| Ok(Value::from(now.load(Ordering::Relaxed)))));
}

/// OPA has a set of addresses, which can be asked for one, where the engine has a list.
fn as_set(value: Value) -> Value {
    match &value {
        Value::Array(items) => Value::from(items.iter().cloned().collect::<BTreeSet<_>>()),
        _ => value,
    }
}

/// Functions of the engine whose results, or whose work, can outgrow their arguments.
const GROWING: &[&str] = &[
    "array.concat",
    "base64.encode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "bits.lsh",
    "concat",
    "glob.quote_meta",
    "hex.encode",
    "json.filter",
    "json.patch",
    "net.cidr_expand",
    "numbers.range",
    "numbers.range_step",
    "object.union",
    "object.union_n",
    "product",
    "replace",
    "urlquery.encode",
    "urlquery.encode_object",
];

/// Bytes of a text a function may make.
const MAX_TEXT: usize = 4 << 20;
/// Items of a list, set or mapping a function may make.
const MAX_ITEMS: usize = 500_000;

/// More than a policy has use for.
#[derive(Debug, thiserror::Error)]
#[error("a value grows too large: {0}")]
struct Grown(&'static str);

/// Refuses what would be too large before it is made.
fn check_arguments(name: &str, args: &[Value]) -> Result<(), Grown> {
    let length = |index: usize| match args.get(index) {
        Some(Value::String(text)) => text.len(),
        _ => 0,
    };
    match (name, args) {
        ("numbers.range" | "numbers.range_step", [Value::Number(from), Value::Number(to), rest @ ..]) => {
            let step = rest.first().and_then(|step| step.as_f64().ok()).unwrap_or(1.0).abs().max(1.0);
            #[expect(clippy::cast_precision_loss, reason = "a bound")]
            // Beyond what a float64 holds nobody counts.
            if from
                .as_f64()
                .zip(to.as_f64())
                .is_none_or(|(from, to)| (to - from).abs() / step > MAX_ITEMS as f64)
            {
                return Err(Grown("numbers.range"));
            }
        }
        ("bits.lsh", [_, Value::Number(by)]) if by.as_f64().unwrap_or(f64::MAX) > 4096.0 => {
            return Err(Grown("bits.lsh"));
        }
        // The engine reads the steps of a path as JSON, and an object with a certain key as a number.
        ("json.filter", [_, paths]) if paths.to_string().contains('{') => {
            return Err(Grown("json.filter"));
        }
        ("product", [Value::Array(items)]) if !is_small(items.iter()) => return Err(Grown("product")),
        ("product", [Value::Set(items)]) if !is_small(items.iter()) => return Err(Grown("product")),
        ("net.cidr_expand", [Value::String(network)]) => {
            let prefix: u32 =
                network.rsplit_once('/').and_then(|(_, prefix)| prefix.parse().ok()).unwrap_or(0);
            let most = if network.contains(':') { 128 } else { 32 };
            if prefix + 18 < most {
                return Err(Grown("net.cidr_expand"));
            }
        }
        ("replace", [Value::String(base), Value::String(old), _]) => {
            let found = if old.is_empty() { base.len() + 1 } else { base.matches(old.as_ref()).count() };
            if found.saturating_mul(length(2)).saturating_add(base.len()) > MAX_TEXT {
                return Err(Grown("replace"));
            }
        }
        ("concat", [Value::String(between), items]) => {
            let add = |total: usize, item: &Value| match item {
                Value::String(text) => total.saturating_add(text.len()).saturating_add(between.len()),
                _ => total,
            };
            let total = match items {
                Value::Array(items) => items.iter().fold(0, add),
                Value::Set(items) => items.iter().fold(0, add),
                _ => 0,
            };
            if total > MAX_TEXT {
                return Err(Grown("concat"));
            }
        }
        ("strings.replace_n", [Value::Object(patterns), Value::String(base)]) => {
            let longest = patterns
                .iter()
                .map(|(_, value)| if let Value::String(text) = value { text.len() } else { 0 })
                .max()
                .unwrap_or(0);
            if base.len().saturating_mul(longest.max(1)) > MAX_TEXT {
                return Err(Grown("strings.replace_n"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether the product of the numbers is within the range of a float64, whatever their order.
fn is_small<'a>(items: impl Iterator<Item = &'a Value>) -> bool {
    let digits: f64 = items
        .filter_map(|item| match item {
            Value::Number(number) => number.format_decimal().parse::<f64>().ok(),
            _ => None,
        })
        .map(|number| number.abs().max(1.0).log10())
        .sum();
    digits < 308.0
}

/// The value of a function, unless it is too large; trouble is remembered.
fn bounded<E: std::error::Error, R>(shared: &Shared, result: Result<Option<Value>, E>) -> Result<Value, R>
where
    R: From<E> + From<Grown>,
{
    let value = match result {
        Ok(value) => value.unwrap_or(Value::Undefined),
        Err(error) => {
            shared.fail(&error);
            return Err(error.into());
        }
    };
    let grown = match &value {
        Value::String(text) => text.len() > MAX_TEXT,
        Value::Array(items) => items.len() > MAX_ITEMS,
        Value::Set(items) => items.len() > MAX_ITEMS,
        Value::Object(fields) => fields.len() > MAX_ITEMS,
        _ => false,
    };
    if grown {
        let error = Grown("the result of a function");
        shared.fail(&error);
        return Err(error.into());
    }
    Ok(value)
}

/// A place and parameters for an engine function that is called from here.
fn nowhere(arity: usize) -> Option<(Span, Vec<Ref<Expr>>)> {
    let source = Source::from_contents(String::new(), String::new()).ok()?;
    let span = Span { source, line: 1, col: 1, start: 0, end: 0 };
    let params = (0..arity).map(|_| Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 }));
    Some((span.clone(), params.collect()))
}
