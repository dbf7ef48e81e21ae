//! What a YAML scalar means: the rules of sigs.k8s.io/yaml (go-yaml v2, `resolve.go`), then of
//! Go's JSON encoder, so that what is read here is what Kubernetes tools read.

use serde_json::Number;

/// What a scalar resolved to, before it becomes JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `null`, `~`, or nothing.
    Null,
    /// A boolean, YAML 1.1 spellings included.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// A larger integer that fits 64 bits without a sign.
    Uint(u64),
    /// Any other number, infinities and NaN included.
    Float(f64),
    /// Text.
    Text(String),
}

const PREFIX: &str = "tag:yaml.org,2002:";

/// Resolves a scalar. `tag` is the tag as the parser gives it, `implicit` whether a plain value
/// without tag stands there. An error says what does not fit.
pub fn resolve(tag: Option<&str>, text: &str, implicit: bool) -> Result<Scalar, String> {
    let tag = match tag {
        None | Some("") if implicit => return Ok(plain(text)),
        None | Some("") => return Ok(Scalar::Text(text.to_owned())),
        Some(tag) => tag,
    };
    let Some(short) = tag.strip_prefix(PREFIX) else { return Ok(Scalar::Text(text.to_owned())) };
    let found = match short {
        "binary" => return binary(text),
        "bool" | "int" | "float" | "null" | "timestamp" => plain(text),
        _ => return Ok(Scalar::Text(text.to_owned())),
    };
    match (short, found) {
        ("bool", found @ Scalar::Bool(_))
        | ("int", found @ (Scalar::Int(_) | Scalar::Uint(_)))
        | ("float", found @ Scalar::Float(_))
        | ("null", found @ Scalar::Null) => Ok(found),
        #[expect(clippy::cast_precision_loss, reason = "Go converts to float64 here")]
        ("float", Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
        ("timestamp", _) if looks_like_date(text) => Ok(Scalar::Text(text.to_owned())),
        _ => Err(format!("`{text}` cannot be read as !!{short}")),
    }
}

/// Resolves a plain scalar without tag.
pub fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let found = match text.as_bytes().first() {
        Some(b'.') => leading_dot(text),
        Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
        _ => None,
    };
    found.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// Go's `strconv.ParseFloat` for a text that begins with a dot: underscores only between digits.
fn leading_dot(text: &str) -> Option<Scalar> {
    let mut before = b'.';
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'_' && !(before.is_ascii_digit() && bytes.peek().is_some_and(u8::is_ascii_digit)) {
            return None;
        }
        before = byte;
    }
    float(&text.replace('_', ""))
}

fn number(text: &str) -> Option<Scalar> {
    if let Some(value) = go_int(text) {
        return Some(value);
    }
    if let Some(value) = float(text) {
        return Some(value);
    }
    // go-yaml then tries binary once more, and there a sign may follow the prefix.
    let digits = text.strip_prefix("0b")?;
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| matches!(byte, b'0' | b'1')) {
        return None;
    }
    i64::from_str_radix(digits, 2).ok().map(Scalar::Int)
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`; underscores are gone already.
fn go_int(text: &str) -> Option<Scalar> {
    let (negative, unsigned, signed) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?, true),
        b'+' => (false, text.get(1..)?, true),
        _ => (false, text, false),
    };
    let lower = unsigned.get(..2).unwrap_or("").to_ascii_lowercase();
    let (radix, digits) = match lower.as_str() {
        "0b" if unsigned.len() > 2 => (2, unsigned.get(2..)?),
        "0o" if unsigned.len() > 2 => (8, unsigned.get(2..)?),
        "0x" if unsigned.len() > 2 => (16, unsigned.get(2..)?),
        _ if unsigned.starts_with('0') && unsigned.len() > 1 => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and not beyond the largest number.
fn float(text: &str) -> Option<Scalar> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(rest);
    rest = rest.get(whole..)?;
    if let Some(tail) = rest.strip_prefix('.') {
        let part = digits(tail);
        if whole == 0 && part == 0 {
            return None;
        }
        rest = tail.get(part..)?;
    } else if whole == 0 {
        return None;
    }
    if let Some(tail) = rest.strip_prefix(['e', 'E']) {
        let tail = tail.strip_prefix(['-', '+']).unwrap_or(tail);
        let part = digits(tail);
        if part == 0 {
            return None;
        }
        rest = tail.get(part..)?;
    }
    if !rest.is_empty() {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Float)
}

fn looks_like_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count() == 4
        && bytes.get(4) == Some(&b'-')
        && bytes.get(5).is_some_and(u8::is_ascii_digit)
}

fn binary(text: &str) -> Result<Scalar, String> {
    let fail = || "the value is not valid base64, as !!binary needs it".to_owned();
    let code = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let letters: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if !letters.len().is_multiple_of(4) {
        return Err(fail());
    }
    let body = letters.len() - letters.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let mut bytes = Vec::with_capacity(letters.len());
    for group in letters.get(..body).unwrap_or_default().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(code(*byte).ok_or_else(fail)?);
        }
        bits <<= 6 * (4 - u32::try_from(group.len()).unwrap_or(4));
        let [_, three @ ..] = bits.to_be_bytes();
        bytes.extend(three.iter().take(group.len().saturating_sub(1)));
    }
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The number as Go's JSON encoder writes a float64 and a reader takes it up again: a float
/// without a fraction below 1e21 is an integer. `None` for infinities and NaN, which JSON lacks.
pub fn json_float(value: f64) -> Option<Number> {
    if !value.is_finite() {
        return None;
    }
    if value.fract() == 0.0 && value.abs() < 1e21 {
        let digits = format!("{value}");
        if digits == "-0" {
            return Some(Number::from(0));
        }
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(Number::from(whole));
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return Some(Number::from(whole));
        }
    }
    Number::from_f64(value)
}

/// A scalar as the key of a JSON object, as sigs.k8s.io/yaml converts it; `None` for what it refuses.
pub fn key(scalar: Scalar) -> Option<String> {
    match scalar {
        Scalar::Text(text) => Some(text),
        Scalar::Int(value) => Some(value.to_string()),
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Float(value) => Some(go_float32(value)),
        Scalar::Null | Scalar::Uint(_) => None,
    }
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 32)`.
#[expect(clippy::cast_possible_truncation, reason = "Go formats such keys with 32 bits")]
fn go_float32(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    let narrow = value as f32;
    if narrow.is_infinite() {
        return if narrow > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() };
    }
    let scientific = format!("{narrow:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{narrow}")
}

#[cfg(test)]
mod tests {
    use crate::document::{Limits, yaml};

    /// What `sigs.k8s.io/yaml` v1.6.0 (go.yaml.in/yaml/v2 v2.4.4) makes of a value, as JSON.
    #[test]
    fn values_are_those_of_the_go_reader() {
        for (text, expected) in [
            ("y", "true"),
            ("n", "false"),
            ("yes", "true"),
            ("No", "false"),
            ("on", "true"),
            ("OFF", "false"),
            ("TRUE", "true"),
            ("tRue", r#""tRue""#),
            ("~", "null"),
            ("NULL", "null"),
            ("nULL", r#""nULL""#),
            ("0744", "484"),
            ("0o7", "7"),
            ("0O7", "7"),
            ("0x1F", "31"),
            ("-0x1", "-1"),
            ("+0x1", "1"),
            ("0b11", "3"),
            ("-0b11", "-3"),
            ("0b+1", "1"),
            ("0b-1", "-1"),
            ("0b", r#""0b""#),
            ("0x", r#""0x""#),
            ("08", "8"),
            ("09.5", "9.5"),
            ("1_000", "1000"),
            ("1__0", "10"),
            ("_1", r#""_1""#),
            ("1_", "1"),
            ("0_8", "8"),
            ("1e3", "1000"),
            ("1E3", "1000"),
            ("1e", r#""1e""#),
            ("1e+", r#""1e+""#),
            ("1.", "1"),
            ("1.e3", "1000"),
            (".5", "0.5"),
            (".5e1", "5"),
            (".5_1", "0.51"),
            (".5_", r#"".5_""#),
            ("._5", r#""._5""#),
            (".", r#"".""#),
            ("-.5", "-0.5"),
            ("+", r#""+""#),
            ("+1", "1"),
            ("-1", "-1"),
            ("-0", "0"),
            ("0.0", "0"),
            ("-0.0", "-0"),
            ("1e400", r#""1e400""#),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9223372036854776000"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709552000"),
            ("+9223372036854775808", "9223372036854776000"),
            (".inf", "refused"),
            ("-.Inf", "refused"),
            (".NaN", "refused"),
            ("1:30", r#""1:30""#),
            ("190:20:30", r#""190:20:30""#),
            ("2001-01-01", r#""2001-01-01""#),
            ("2001-12-14t21:59:43.10-05:00", r#""2001-12-14t21:59:43.10-05:00""#),
            ("0.1", "0.1"),
            ("1e-7", "1e-7"),
            ("1.5e300", "1.5e+300"),
            ("0xffffffffffffffff", "18446744073709551615"),
            ("0x1ffffffffffffffff", r#""0x1ffffffffffffffff""#),
            ("=", r#""=""#),
            ("10Mi", r#""10Mi""#),
            ("5e-324", "5e-324"),
            ("007", "7"),
            ("-07", "-7"),
            ("0e5", "0"),
            ("!!int '5'", "5"),
            ("!!int x", "refused"),
            ("!!float 5", "5"),
            ("!!bool 'yes'", "true"),
            ("!!bool x", "refused"),
            ("!!str 5", r#""5""#),
            ("!!null ''", "null"),
            ("!!null x", "refused"),
            ("!!binary aGk=", r#""hi""#),
            ("!!binary aG", "refused"),
            ("!!timestamp 2001-01-01", r#""2001-01-01""#),
            ("!!timestamp x", "refused"),
            ("!custom 5", r#""5""#),
            ("! 5", r#""5""#),
        ] {
            let read = yaml::read(format!("a: {text}\n").as_bytes(), &Limits::default());
            let found = match read {
                Ok(nodes) => nodes[0].get("a").unwrap().to_json(),
                Err(_) => "refused".into(),
            };
            // Go's JSON in the form of ours: one number, whatever its digits.
            let expected = match expected {
                "refused" => "refused".into(),
                json => serde_json::from_str::<serde_json::Value>(json).unwrap(),
            };
            assert!(
                found == expected || found.as_f64().is_some_and(|number| Some(number) == expected.as_f64()),
                "{text}: {found}, and in Go {expected}"
            );
            assert!(found.is_i64() == expected.is_i64() || found == 0, "{text}");
        }
    }

    #[test]
    fn keys_are_those_of_the_go_reader() {
        for (text, expected) in [
            ("y", "true"),
            ("No", "false"),
            ("5", "5"),
            ("0744", "484"),
            ("1.5", "1.5"),
            ("1e3", "1000"),
            ("1e30", "1e+30"),
            ("1234567.5", "1.2345675e+06"),
            ("0.00001", "1e-05"),
            ("1e-10", "1e-10"),
            (".inf", ".inf"),
            (".nan", ".nan"),
            ("~", "refused"),
            ("18446744073709551615", "refused"),
            ("2001-01-01", "2001-01-01"),
            ("10Mi", "10Mi"),
            ("!!binary aGk=", "hi"),
        ] {
            let read = yaml::read(format!("{text}: 1\n").as_bytes(), &Limits::default());
            let found = match read {
                Ok(nodes) => nodes[0].entries()[0].key.clone(),
                Err(_) => "refused".into(),
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
