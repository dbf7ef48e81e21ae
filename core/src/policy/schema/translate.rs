//! From OpenAPI v3 as Kubernetes has it to JSON Schema, and from its errors to messages.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::SchemaMismatch;
use crate::policy::reading::shape;

/// Keys that mean the same in both.
const SAME: [&str; 13] = [
    "maximum",
    "minimum",
    "multipleOf",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "maxProperties",
    "minProperties",
    "required",
    "uniqueItems",
    "enum",
];

/// The JSON Schema that accepts what the API server accepts. Rules in CEL (`x-kubernetes-validations`)
/// and formats are not part of it.
pub(super) fn json_schema(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in map {
        match key.as_str() {
            key if SAME.contains(&key) => {
                out.insert(key.to_owned(), value.clone());
            }
            "properties" => {
                if let Value::Object(properties) = value {
                    let properties =
                        properties.iter().map(|(name, below)| (name.clone(), json_schema(below)));
                    out.insert(key.clone(), Value::Object(properties.collect()));
                }
            }
            "items" | "additionalProperties" | "not" => {
                out.insert(key.clone(), json_schema(value));
            }
            "allOf" | "anyOf" | "oneOf" => {
                if let Value::Array(schemas) = value {
                    out.insert(key.clone(), Value::Array(schemas.iter().map(json_schema).collect()));
                }
            }
            _ => {}
        }
    }
    // In OpenAPI v3 these are booleans beside the bound.
    for (bound, exclusive) in [("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")] {
        if map.get(exclusive) == Some(&Value::Bool(true))
            && let Some(value) = out.remove(bound)
        {
            out.insert(exclusive.to_owned(), value);
        }
    }
    let nullable = map.get("nullable") == Some(&Value::Bool(true));
    let mut types = match map.get("type").and_then(Value::as_str) {
        Some(name) => vec![name],
        None if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) => {
            vec!["integer", "string"]
        }
        None => Vec::new(),
    };
    if nullable && !types.is_empty() {
        types.push("null");
        if let Some(Value::Array(values)) = out.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    match types.as_slice() {
        [] => {}
        [one] => {
            out.insert("type".to_owned(), json!(one));
        }
        many => {
            out.insert("type".to_owned(), json!(many));
        }
    }
    Value::Object(out)
}

/// An error of the validator as people read it.
pub(super) fn mismatch(error: &ValidationError<'_>) -> SchemaMismatch {
    let found = error.instance();
    let brief = brief(found);
    let message = match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                jsonschema::error::TypeKind::Single(one) => kind_name(&one.to_string()),
                jsonschema::error::TypeKind::Multiple(many) => {
                    many.iter().map(|one| kind_name(&one.to_string())).collect::<Vec<_>>().join(" or ")
                }
            };
            match found.as_ref() {
                Value::Array(_) | Value::Object(_) | Value::Null => {
                    format!("expected {expected}, found {}", shape(found))
                }
                other => format!("expected {expected}, found {} {brief}", shape(other)),
            }
        }
        ValidationErrorKind::Required { property } => {
            format!(
                "the required field {} is missing",
                property.as_str().map_or_else(|| property.to_string(), |name| format!("`{name}`"))
            )
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .map(|list| list.iter().map(ToString::to_string).collect())
                .unwrap_or_default();
            format!("expected one of {}, found {brief}", options.join(", "))
        }
        ValidationErrorKind::Pattern { pattern } => format!("expected a match of {pattern}, found {brief}"),
        ValidationErrorKind::Minimum { limit } => format!("expected at least {limit}, found {brief}"),
        ValidationErrorKind::Maximum { limit } => format!("expected at most {limit}, found {brief}"),
        ValidationErrorKind::MinItems { limit } => format!("expected at least {limit} items, found {brief}"),
        ValidationErrorKind::MaxItems { limit } => format!("expected at most {limit} items, found {brief}"),
        _ => error.to_string(),
    };
    SchemaMismatch { pointer: error.instance_path().to_string(), message, hint: None }
}

fn kind_name(name: &str) -> String {
    match name {
        "object" => "a mapping".to_owned(),
        "array" => "a list".to_owned(),
        "integer" => "a whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => format!("a {other}"),
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Array(items) => items.len().to_string(),
        Value::Object(_) => "a mapping".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 60 {
                format!("{}…", text.chars().take(60).collect::<String>())
            } else {
                text
            }
        }
    }
}
