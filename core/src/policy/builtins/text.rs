//! How OPA prints values and quotes strings.

use std::fmt::Write as _;

use regorus::Value;

/// Beyond this a value is not printed on: a value whose parts are shared can be endless in print.
pub(super) const MAX_PRINTED: usize = 8 << 20;

/// The value as OPA prints a term: `{"a": [1, "x"]}`, `set()`.
pub(super) fn term_text(value: &Value) -> String {
    let mut out = String::new();
    write_term(value, &mut out);
    out
}

fn write_term(value: &Value, out: &mut String) {
    if out.len() > MAX_PRINTED {
        return;
    }
    match value {
        Value::Null | Value::Undefined => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.format_decimal()),
        Value::String(text) => out.push_str(&go_quote(text)),
        Value::Array(items) => write_list(items.iter(), "[", "]", out),
        Value::Set(items) if items.is_empty() => out.push_str("set()"),
        Value::Set(items) => write_list(items.iter(), "{", "}", out),
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter_sorted().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_term(key, out);
                out.push_str(": ");
                write_term(value, out);
            }
            out.push('}');
        }
    }
}

fn write_list<'a>(items: impl Iterator<Item = &'a Value>, open: &str, close: &str, out: &mut String) {
    out.push_str(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_term(item, out);
    }
    out.push_str(close);
}

/// Go's `strconv.Quote`.
pub(super) fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if !is_print(c) && (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if !is_print(c) => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Close to Go's `unicode.IsPrint`: the space is the only one of its kind that is printable.
fn is_print(c: char) -> bool {
    !(c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c as u32, 0xAD | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xE000..=0xF8FF | 0xFFF9..=0xFFFF))
}
