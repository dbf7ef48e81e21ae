//! Words that YAML 1.1 reads as booleans, put back where a type has a word of that name.

use serde_json::Value;

use crate::document::{Entry, Node, NodeKind};

/// The document with such words put back; `schemas` are the alternatives it may follow.
pub(super) fn adapt(root: &Value, schemas: &[&Value], node: &Node) -> Node {
    let alternatives = alternatives(root, schemas);
    let kind = match &node.kind {
        NodeKind::Bool(value) => match word(&alternatives, *value) {
            Some(word) => NodeKind::String(word),
            None => NodeKind::Bool(*value),
        },
        NodeKind::Sequence(items) => {
            let schemas: Vec<&Value> = alternatives.iter().filter_map(|schema| schema.get("items")).collect();
            NodeKind::Sequence(items.iter().map(|item| adapt(root, &schemas, item)).collect())
        }
        NodeKind::Mapping(entries) => NodeKind::Mapping(
            entries
                .iter()
                .map(|entry| {
                    let key = field(&alternatives, entries, &entry.key);
                    let value = adapt(root, &members(&alternatives, &key), &entry.value);
                    Entry { key, key_span: entry.key_span, value }
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { kind, ..node.clone() }
}

/// The alternatives with references followed and choices opened.
pub(super) fn alternatives<'a>(root: &'a Value, schemas: &[&'a Value]) -> Vec<&'a Value> {
    let mut found: Vec<&Value> = Vec::new();
    let mut open: Vec<&Value> = schemas.iter().rev().copied().collect();
    while let Some(schema) = open.pop() {
        if found.iter().any(|known| std::ptr::eq(*known, schema)) {
            continue;
        }
        found.push(schema);
        for choice in ["allOf", "oneOf", "anyOf"] {
            open.extend(schema.get(choice).and_then(Value::as_array).into_iter().flatten());
        }
        let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        open.extend(pointer.and_then(|pointer| root.pointer(pointer)));
    }
    found
}

/// The schemas a member of a mapping may follow.
pub(super) fn members<'a>(alternatives: &[&'a Value], key: &str) -> Vec<&'a Value> {
    let named: Vec<&Value> =
        alternatives.iter().filter_map(|schema| schema.get("properties")?.get(key)).collect();
    if named.is_empty() {
        alternatives.iter().filter_map(|schema| schema.get("additionalProperties")).collect()
    } else {
        named
    }
}

/// Whether a schema's `type` includes this one.
pub(super) fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(text)) => text == name,
        Some(Value::Array(names)) => names.iter().any(|text| text == name),
        _ => false,
    }
}

fn as_boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" | "true" => Some(true),
        "n" | "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

fn word(alternatives: &[&Value], value: bool) -> Option<String> {
    if alternatives.iter().any(|schema| has_type(schema, "boolean")) {
        return None;
    }
    alternatives
        .iter()
        .flat_map(|schema| {
            let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            listed.chain(schema.get("const"))
        })
        .filter_map(Value::as_str)
        .find(|word| as_boolean(word) == Some(value))
        .map(str::to_owned)
}

fn field(alternatives: &[&Value], entries: &[Entry], key: &str) -> String {
    let value = match key {
        "true" => true,
        "false" => false,
        _ => return key.to_owned(),
    };
    let fields = || {
        alternatives
            .iter()
            .filter_map(|schema| schema.get("properties").and_then(Value::as_object))
            .flat_map(serde_json::Map::keys)
    };
    fields()
        .find(|name| as_boolean(name) == Some(value) && !entries.iter().any(|entry| entry.key == **name))
        .map_or_else(|| key.to_owned(), Clone::clone)
}
