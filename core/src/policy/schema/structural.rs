//! Structural schemas: what the Kubernetes API server requires of them, and how it defaults and prunes
//! by them (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema`).

use serde_json::{Map, Value};

use super::SchemaError;
use crate::policy::reading::{join, shape};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Deeper schemas are not written by hand.
const MAX_DEPTH: usize = 64;

fn flag(schema: &Value, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

fn type_of(schema: &Value) -> &str {
    schema.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn property<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get("properties")?.as_object()?.get(key)
}

/// The schema of fields that have no property of their own, and whether there may be such fields.
fn additional(schema: &Value) -> (bool, Option<&Value>) {
    match schema.get("additionalProperties") {
        None | Some(Value::Null) => (false, None),
        // Whether extra fields are valid is for the validation; pruning keeps them either way.
        Some(Value::Bool(_)) => (true, None),
        Some(schema) => (true, Some(schema)),
    }
}

/// What `legacySchema: true` does to a schema.
pub(super) fn preserve_unknown_fields(schema: &mut Value) {
    let kind = type_of(schema).to_owned();
    let Value::Object(map) = schema else { return };
    let preserve = || Value::Bool(true);
    match kind.as_str() {
        "" | "object" => {
            map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), preserve());
        }
        "array" if map.get("items").is_none_or(Value::is_null) => {
            let items = Map::from_iter([("x-kubernetes-preserve-unknown-fields".to_owned(), preserve())]);
            map.insert("items".to_owned(), Value::Object(items));
        }
        _ => {}
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(preserve_unknown_fields);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = map.get_mut(key).filter(|below| below.is_object()) {
            preserve_unknown_fields(below);
        }
    }
}

/// Whether the API server would take the schema into a CRD.
pub(super) fn check(schema: &Value, pointer: &str) -> Result<(), SchemaError> {
    check_at(schema, pointer, 0)
}

fn check_at(schema: &Value, pointer: &str, depth: usize) -> Result<(), SchemaError> {
    let wrong = |pointer: String, message: String| Err(SchemaError { pointer, message });
    let Value::Object(map) = schema else {
        return wrong(pointer.to_owned(), format!("expected a schema, found {}", shape(schema)));
    };
    if depth > MAX_DEPTH {
        return wrong(pointer.to_owned(), format!("expected at most {MAX_DEPTH} schemas inside one another"));
    }
    match map.get("type") {
        None | Some(Value::Null) => {
            if !flag(schema, "x-kubernetes-int-or-string")
                && !flag(schema, "x-kubernetes-preserve-unknown-fields")
            {
                return wrong(
                    pointer.to_owned(),
                    format!("type is missing: expected one of {}", TYPES.join(", ")),
                );
            }
        }
        Some(Value::String(name)) if TYPES.contains(&name.as_str()) => {}
        Some(other) => {
            let found = other.as_str().map_or_else(|| shape(other).to_owned(), |name| format!("`{name}`"));
            return wrong(
                join(pointer, "type"),
                format!("expected one of {}, found {found}", TYPES.join(", ")),
            );
        }
    }
    for forbidden in ["$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id"] {
        if map.get(forbidden).is_some_and(|value| !value.is_null()) {
            return wrong(
                join(pointer, forbidden),
                format!("{forbidden} is forbidden in a structural schema"),
            );
        }
    }
    if flag(schema, "uniqueItems") {
        return wrong(
            join(pointer, "uniqueItems"),
            "uniqueItems cannot be true: expected x-kubernetes-list-type".to_owned(),
        );
    }
    match map.get("properties") {
        None | Some(Value::Null) => {}
        Some(Value::Object(properties)) => {
            for (name, below) in properties {
                check_at(below, &join(&join(pointer, "properties"), name), depth + 1)?;
            }
        }
        Some(other) => {
            return wrong(join(pointer, "properties"), format!("expected a mapping, found {}", shape(other)));
        }
    }
    let more = map.get("additionalProperties").filter(|more| !more.is_null());
    if let Some(below) = more.filter(|more| !more.is_boolean()) {
        check_at(below, &join(pointer, "additionalProperties"), depth + 1)?;
    }
    let has_properties = map.get("properties").and_then(Value::as_object).is_some_and(|own| !own.is_empty());
    if has_properties && more.is_some_and(|more| *more != Value::Bool(true)) {
        let place = join(pointer, "additionalProperties");
        return wrong(place, "additionalProperties and properties exclude each other".to_owned());
    }
    match map.get("items") {
        None | Some(Value::Null) if type_of(schema) == "array" => {
            wrong(pointer.to_owned(), "items is missing: expected the schema of the list's items".to_owned())
        }
        None | Some(Value::Null) => Ok(()),
        Some(below) => check_at(below, &join(pointer, "items"), depth + 1),
    }
}

/// The value with nulls that mean nothing removed and defaults filled in. `Null` is an absent value.
pub(super) fn default(value: &Value, schema: &Value) -> Value {
    let mut value = value.clone();
    if value.is_null() {
        match schema.get("default") {
            Some(default) if !default.is_null() => value = default.clone(),
            _ => return value,
        }
    }
    prune_nulls(&mut value, Some(schema));
    fill(&mut value, schema);
    value
}

fn has_default(schema: &Value) -> bool {
    schema.get("default").is_some_and(|default| !default.is_null())
}

fn below<'a>(schema: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    let schema = schema?;
    property(schema, key).or_else(|| additional(schema).1)
}

fn prune_nulls(value: &mut Value, schema: Option<&Value>) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| {
                !(value.is_null()
                    && below(schema, key)
                        .is_some_and(|schema| !flag(schema, "nullable") && !has_default(schema)))
            });
            for (key, value) in map.iter_mut() {
                prune_nulls(value, below(schema, key));
            }
        }
        Value::Array(items) => {
            let schema = schema.and_then(|schema| schema.get("items"));
            for item in items {
                prune_nulls(item, schema);
            }
        }
        _ => {}
    }
}

fn fill(value: &mut Value, schema: &Value) {
    let replace = |value: &mut Value, schema: &Value| {
        if value.is_null() && !flag(schema, "nullable") {
            *value = schema.get("default").cloned().unwrap_or_default();
        }
    };
    match value {
        Value::Object(map) => {
            for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if has_default(schema) {
                    let entry = map.entry(key.clone()).or_insert(Value::Null);
                    replace(entry, schema);
                }
            }
            for (key, value) in map.iter_mut() {
                if let Some(schema) = property(schema, key) {
                    fill(value, schema);
                } else if let (_, Some(schema)) = additional(schema) {
                    replace(value, schema);
                    fill(value, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    replace(item, schema);
                    fill(item, schema);
                }
            }
        }
        _ => {}
    }
}

/// Fields an embedded resource always keeps.
const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The value without the fields the schema does not know.
pub(super) fn prune(mut value: Value, schema: &Value) -> Value {
    prune_at(&mut value, Some(schema));
    value
}

fn prune_at(value: &mut Value, schema: Option<&Value>) {
    let keeps = schema.is_some_and(|schema| flag(schema, "x-kubernetes-preserve-unknown-fields"));
    let embedded = schema.is_some_and(|schema| flag(schema, "x-kubernetes-embedded-resource"));
    match value {
        Value::Object(map) => {
            map.retain(|key, value| {
                if embedded && META_FIELDS.contains(&key.as_str()) {
                    return true;
                }
                let Some(schema) = schema else { return false };
                if let Some(schema) = property(schema, key) {
                    prune_at(value, Some(schema));
                    return true;
                }
                let (open, below) = additional(schema);
                if open {
                    prune_at(value, below);
                }
                open || keeps
            });
        }
        Value::Array(items) => {
            let below = schema.and_then(|schema| schema.get("items"));
            for item in items {
                // Under a list that keeps everything, only what the items' schema names is pruned.
                if !keeps || below.is_some() {
                    prune_at(item, below);
                }
            }
        }
        _ => {}
    }
}

/// Calls `found` with parent pointer, key and the known names for every field that pruning would drop.
pub(super) fn unknown_fields(
    value: &Value,
    schema: &Value,
    pointer: &str,
    found: &mut impl FnMut(&str, &str, &[&str]),
) {
    unknown_at(value, Some(schema), pointer, found);
}

fn unknown_at(
    value: &Value,
    schema: Option<&Value>,
    pointer: &str,
    found: &mut impl FnMut(&str, &str, &[&str]),
) {
    let keeps = schema.is_some_and(|schema| flag(schema, "x-kubernetes-preserve-unknown-fields"));
    let embedded = schema.is_some_and(|schema| flag(schema, "x-kubernetes-embedded-resource"));
    match value {
        Value::Object(map) => {
            let known: Vec<&str> = schema
                .and_then(|schema| schema.get("properties"))
                .and_then(Value::as_object)
                .map(|properties| properties.keys().map(String::as_str).collect())
                .unwrap_or_default();
            for (key, value) in map {
                if embedded && META_FIELDS.contains(&key.as_str()) {
                    continue;
                }
                let own = schema.and_then(|schema| property(schema, key));
                let (open, more) = schema.map_or((false, None), additional);
                if own.is_some() || open {
                    unknown_at(value, own.or(more), &join(pointer, key), found);
                } else if !keeps {
                    found(pointer, key, &known);
                }
            }
        }
        Value::Array(items) => {
            let below = schema.and_then(|schema| schema.get("items"));
            if keeps && below.is_none() {
                return;
            }
            for (index, item) in items.iter().enumerate() {
                unknown_at(item, below, &join(pointer, &index.to_string()), found);
            }
        }
        _ => {}
    }
}

/// Keys that say something to people alone.
const DOCUMENTATION: [&str; 4] = ["description", "title", "example", "externalDocs"];

/// Keys that mean the same where they are false.
const FALSE_IS_ABSENT: [&str; 7] = [
    "nullable",
    "uniqueItems",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
];

/// Documentation dropped, and lists that are sets sorted.
pub(super) fn normal_form(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut normal = Map::new();
    for (key, value) in map {
        let key = key.as_str();
        if DOCUMENTATION.contains(&key)
            || value.is_null()
            || (FALSE_IS_ABSENT.contains(&key) && *value == Value::Bool(false))
        {
            continue;
        }
        let value = match (key, value) {
            ("properties", Value::Object(properties)) => Value::Object(
                properties.iter().map(|(name, schema)| (name.clone(), normal_form(schema))).collect(),
            ),
            ("items" | "additionalProperties" | "not", schema) => normal_form(schema),
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                Value::Array(schemas.iter().map(normal_form).collect())
            }
            ("required" | "enum", Value::Array(items)) => {
                let mut items = items.clone();
                items.sort_by_cached_key(ToString::to_string);
                items.dedup();
                Value::Array(items)
            }
            (_, value) => value.clone(),
        };
        normal.insert(key.to_owned(), value);
    }
    Value::Object(normal)
}
