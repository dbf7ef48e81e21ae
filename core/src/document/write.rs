//! Values as block-style YAML, the way people write Kubernetes manifests.

use serde_json::{Map, Value};

use super::scalar::{self, Scalar};

/// Writes a value as one document: block style, `apiVersion`, `kind`, `metadata` (name and
/// namespace first) and `spec` before everything else, other keys sorted, texts of several lines
/// as literal blocks, quotes wherever a reader would take the plain text for something else.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut out, map, 0, Place::Top),
        Value::Array(items) if !items.is_empty() => array(&mut out, items, 0),
        other => {
            flat(&mut out, other);
            out.push('\n');
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Metadata,
    Elsewhere,
}

fn rank(key: &str, place: Place) -> usize {
    let first: &[&str] = match place {
        Place::Top => &["apiVersion", "kind", "metadata", "spec"],
        Place::Metadata => &["name", "namespace"],
        Place::Elsewhere => &[],
    };
    first.iter().position(|known| *known == key).unwrap_or(first.len())
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// Writes the entries; the first one is not indented, since `- ` or nothing stands before it.
fn object(out: &mut String, map: &Map<String, Value>, level: usize, place: Place) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|(a, _), (b, _)| rank(a, place).cmp(&rank(b, place)).then_with(|| a.cmp(b)));
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            indent(out, level);
        }
        text(out, key);
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let inside =
                    if place == Place::Top && key == "metadata" { Place::Metadata } else { Place::Elsewhere };
                out.push('\n');
                indent(out, level + 1);
                object(out, inner, level + 1, inside);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, level);
                array(out, items, level);
            }
            Value::String(lines) if is_block(lines) => block(out, lines, level + 1),
            other => {
                out.push(' ');
                flat(out, other);
                out.push('\n');
            }
        }
    }
}

/// Writes the items; the first one is not indented.
fn array(out: &mut String, items: &[Value], level: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            indent(out, level);
        }
        out.push('-');
        match item {
            Value::Object(inner) if !inner.is_empty() => {
                out.push(' ');
                object(out, inner, level + 1, Place::Elsewhere);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push(' ');
                array(out, inner, level + 1);
            }
            Value::String(lines) if is_block(lines) => block(out, lines, level + 1),
            other => {
                out.push(' ');
                flat(out, other);
                out.push('\n');
            }
        }
    }
}

fn flat(out: &mut String, value: &Value) {
    match value {
        Value::String(content) => text(out, content),
        other => out.push_str(&other.to_string()),
    }
}

fn text(out: &mut String, content: &str) {
    if is_plain(content) {
        out.push_str(content);
    } else {
        quoted(out, content);
    }
}

/// Whether a text may stand without quotes and every reader takes it for that text.
fn is_plain(content: &str) -> bool {
    let Some(first) = content.chars().next() else { return false };
    let safe = first.is_ascii_alphanumeric()
        || matches!(first, '/' | '_' | '.' | '(' | '$' | '^')
        || (!first.is_ascii() && first.is_alphabetic());
    safe && content.chars().all(is_printable)
        && !content.contains(": ")
        && !content.contains(" #")
        && !content.ends_with([' ', ':'])
        && !content.starts_with("...")
        && content.len() <= 1_000
        && scalar::plain(content) == Scalar::Text(content.to_owned())
        && !reads_otherwise_elsewhere(content)
}

/// Sexagesimal numbers and dates, which other YAML readers take for numbers and times.
fn reads_otherwise_elsewhere(content: &str) -> bool {
    content.starts_with(|first: char| first.is_ascii_digit())
        && content.chars().all(|character| {
            matches!(character, '0'..='9' | ':' | '.' | '_' | '-' | 'T' | 't' | 'Z' | 'z' | '+' | ' ')
        })
        && (content.contains(':') || content.get(4..5) == Some("-"))
}

fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a1}'..='\u{2027}' | '\u{2030}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn quoted(out: &mut String, content: &str) {
    out.push('"');
    for character in content.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if is_printable(other) => out.push(other),
            other => {
                let code = u32::from(other);
                let escape = if code <= 0xffff { format!("\\u{code:04X}") } else { format!("\\U{code:08X}") };
                out.push_str(&escape);
            }
        }
    }
    out.push('"');
}

/// Whether a text of several lines can stand as a literal block and come back unchanged.
fn is_block(content: &str) -> bool {
    content.contains('\n')
        && content.chars().all(|character| character == '\n' || character == '\t' || is_printable(character))
        && content.split('\n').all(|line| line.is_empty() || !line.chars().all(|c| c == ' ' || c == '\t'))
        && content.chars().any(|character| character != '\n')
}

fn block(out: &mut String, content: &str, level: usize) {
    out.push_str(" |");
    // A first line that is empty or indented would hide how far the block is indented.
    if content.starts_with(['\n', ' ', '\t']) {
        out.push('2');
    }
    let body = content.trim_end_matches('\n');
    match content.len() - body.len() {
        0 => out.push('-'),
        1 => {}
        _ => out.push('+'),
    }
    out.push('\n');
    for line in content.strip_suffix('\n').unwrap_or(content).split('\n') {
        if !line.is_empty() {
            indent(out, level);
            out.push_str(line);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::to_yaml;
    use crate::document::{Limits, yaml};

    fn back(text: &str) -> Value {
        let mut nodes =
            yaml::read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        nodes.pop().map_or(Value::Null, |node| node.to_json())
    }

    #[test]
    fn manifests_look_as_people_write_them() {
        let value = json!({
            "spec": {"targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": "package x\n\nviolation[{\"msg\": msg}] {\n  msg := \"no\"\n}\n"}], "zone": "0744", "when": "2026-11-01"},
            "metadata": {"labels": {"b": "yes", "a": "x"}, "namespace": "n", "name": "m", "annotations": {}},
            "kind": "K", "apiVersion": "v1", "data": ["*", "a: b", "1.5", "10Mi", true, 5, null, [], [["x"]]],
        });
        let text = to_yaml(&value);
        insta::assert_snapshot!(text, @r#"
        apiVersion: v1
        kind: K
        metadata:
          name: m
          namespace: "n"
          annotations: {}
          labels:
            a: x
            b: "yes"
        spec:
          targets:
          - rego: |
              package x

              violation[{"msg": msg}] {
                msg := "no"
              }
            target: admission.k8s.gatekeeper.sh
          when: "2026-11-01"
          zone: "0744"
        data:
        - "*"
        - "a: b"
        - "1.5"
        - 10Mi
        - true
        - 5
        - null
        - []
        - - - x
        "#);
        assert_eq!(back(&text), value);
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~\n\t]{0,12}",
            "[-+0-9._:eEoxbT]{1,8}",
            "(y|n|yes|No|on|OFF|true|null|~|<<|=|---|\\.\\.\\.|0b-1|\\.inf|\\.nan)",
            "( |\n|x|#|:|-|\t){0,8}",
            "\\PC{0,6}",
            "[\u{0}-\u{20}\u{7f}-\u{a1}\u{2028}\u{feff}]{1,4}",
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(|number| Value::from(number.floor() + 0.5)),
            texts().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(texts(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_reads_as_the_same(value in values()) {
            let text = to_yaml(&value);
            prop_assert_eq!(back(&text), value, "{}", text);
        }
    }
}
