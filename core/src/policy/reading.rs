//! Reading JSON by hand, with the pointer of what is wrong.

use serde_json::{Map, Value};

/// What is wrong with a JSON document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misread {
    pub pointer: String,
    pub message: String,
    pub hint: Option<String>,
}

impl Misread {
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The pointer of `key` under `pointer`, escaped as RFC 6901 has it.
pub(super) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What JSON calls the shape of a value, for messages.
pub(super) fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The mapping at `pointer/key`; `None` where absent or null.
pub(super) fn mapping<'a>(
    parent: &'a Map<String, Value>,
    pointer: &str,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, Misread> {
    match parent.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(wrong(pointer, key, "a mapping", other)),
    }
}

/// The list at `pointer/key`; `None` where absent or null.
pub(super) fn list<'a>(
    parent: &'a Map<String, Value>,
    pointer: &str,
    key: &str,
) -> Result<Option<&'a [Value]>, Misread> {
    match parent.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(wrong(pointer, key, "a list", other)),
    }
}

/// The string at `pointer/key`; `None` where absent or null.
pub(super) fn string<'a>(
    parent: &'a Map<String, Value>,
    pointer: &str,
    key: &str,
) -> Result<Option<&'a str>, Misread> {
    match parent.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(pointer, key, "a string", other)),
    }
}

/// The boolean at `pointer/key`; `None` where absent or null.
pub(super) fn boolean(
    parent: &Map<String, Value>,
    pointer: &str,
    key: &str,
) -> Result<Option<bool>, Misread> {
    match parent.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(wrong(pointer, key, "true or false", other)),
    }
}

/// The list of strings at `pointer/key`; empty where absent or null.
pub(super) fn strings(parent: &Map<String, Value>, pointer: &str, key: &str) -> Result<Vec<String>, Misread> {
    let place = join(pointer, key);
    list(parent, pointer, key)?
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::String(text) => Ok(text.clone()),
            other => Err(wrong(&place, &index.to_string(), "a string", other)),
        })
        .collect()
}

/// The mapping of strings at `pointer/key`; empty where absent or null.
pub(super) fn string_map(
    parent: &Map<String, Value>,
    pointer: &str,
    key: &str,
) -> Result<std::collections::BTreeMap<String, String>, Misread> {
    let place = join(pointer, key);
    let Some(map) = mapping(parent, pointer, key)? else { return Ok(std::collections::BTreeMap::new()) };
    map.iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            other => Err(wrong(&place, name, "a string", other).hint("put the value in quotes")),
        })
        .collect()
}

fn wrong(pointer: &str, key: &str, expected: &str, found: &Value) -> Misread {
    Misread::new(join(pointer, key), format!("expected {expected}, found {}", shape(found)))
}
