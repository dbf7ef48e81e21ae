//! Scalars set by variables: `PORTCULLIS__SOURCE__BRANCH=staging`.

use std::collections::BTreeMap;

use portcullis_core::{
    document::{Entry, Node, NodeKind, Shape, closest},
    problem::{Problem, Severity, Span},
};
use serde_json::Value;

use super::{checker::ENVIRONMENT, code};

const PREFIX: &str = "PORTCULLIS__";

/// A document with the overrides in it.
pub(super) struct Overridden {
    pub(super) node: Node,
    /// Variable by the pointer it sets.
    pub(super) variables: BTreeMap<String, String>,
    /// Variables that set nothing.
    pub(super) problems: Vec<Problem>,
}

/// Sets every scalar that a variable names; keys are matched without case against the schema. Names with
/// single underscores are not looked at.
pub(super) fn apply(
    shape: &Shape,
    written: &Node,
    env: impl Iterator<Item = (String, String)>,
) -> Overridden {
    let mut result =
        Overridden { node: shape.adapt(written), variables: BTreeMap::new(), problems: Vec::new() };
    let found: BTreeMap<String, String> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    for (name, text) in found {
        match find(shape, &result.node, &name, &text) {
            Ok((keys, value)) => {
                set(&mut result.node, &keys, value);
                let pointer = pointer(&keys);
                result.variables.insert(pointer, name);
            }
            Err((message, hint)) => result.problems.push(Problem {
                file: ENVIRONMENT.to_owned(),
                span: Span::default(),
                severity: Severity::Error,
                code: code::OVERRIDE,
                message,
                hint: Some(hint),
            }),
        }
    }
    result
}

/// The keys a variable names, and its value as the type there wants it.
fn find(
    shape: &Shape,
    node: &Node,
    name: &str,
    text: &str,
) -> Result<(Vec<String>, NodeKind), (String, String)> {
    let mut keys: Vec<String> = Vec::new();
    let mut here = shape.alternatives(&[shape.schema()]);
    for part in name.strip_prefix(PREFIX).unwrap_or(name).split("__") {
        let fields: Vec<&str> = here
            .iter()
            .filter_map(|schema| schema.get("properties").and_then(Value::as_object))
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        let key = match fields.iter().find(|field| field.eq_ignore_ascii_case(part)) {
            Some(field) => (*field).to_owned(),
            None if here
                .iter()
                .any(|schema| schema.get("additionalProperties").is_some_and(Value::is_object)) =>
            {
                let existing = node.find(&pointer(&keys)).into_iter().flat_map(Node::entries);
                let existing = existing.map(|entry| &entry.key).find(|key| key.eq_ignore_ascii_case(part));
                existing.cloned().unwrap_or_else(|| part.to_ascii_lowercase())
            }
            None if here.iter().any(|schema| schema.get("items").is_some()) => {
                let message = format!("{name}: `{}` is a list, and lists are not overridden", keys.join("."));
                return Err((message, "write it in the file".to_owned()));
            }
            None => {
                let message = format!("{name} matches no key of the configuration");
                let path = keys.iter().map(|key| key.to_ascii_uppercase()).collect::<Vec<_>>();
                let variable = |field: &str| {
                    let parts = path.iter().cloned().chain([field.to_ascii_uppercase()]);
                    format!("{PREFIX}{}", parts.collect::<Vec<_>>().join("__"))
                };
                let hint = match closest(part, fields.iter().copied()) {
                    Some(near) => format!("did you mean {}?", variable(near)),
                    None if fields.is_empty() => format!("`{}` has no keys", keys.join(".")),
                    None => format!("known there: {}", fields.join(", ")),
                };
                return Err((message, hint));
            }
        };
        here = shape.members(&here, &key);
        keys.push(key);
    }
    let wants = |name: &str| {
        here.iter().any(|schema| match schema.get("type") {
            Some(Value::String(text)) => text == name,
            Some(Value::Array(names)) => names.iter().any(|text| text == name),
            _ => false,
        })
    };
    let path = keys.join(".");
    if wants("array") {
        return Err((
            format!("{name}: `{path}` is a list, and lists are not overridden"),
            "write it in the file".to_owned(),
        ));
    }
    if wants("object") && !wants("string") {
        let message = format!("{name}: `{path}` is a section, expected one of its keys");
        return Err((message, format!("write {name}__KEY")));
    }
    let value = match text.trim().to_ascii_lowercase().as_str() {
        "true" if wants("boolean") => NodeKind::Bool(true),
        "false" if wants("boolean") => NodeKind::Bool(false),
        number if wants("integer") || wants("number") => match number.parse::<u64>() {
            Ok(number) => NodeKind::Number(number.into()),
            Err(_) => NodeKind::String(text.to_owned()),
        },
        _ => NodeKind::String(text.to_owned()),
    };
    Ok((keys, value))
}

fn pointer(keys: &[String]) -> String {
    let parts = keys.iter().flat_map(|key| ["/".to_owned(), key.replace('~', "~0").replace('/', "~1")]);
    parts.collect()
}

/// Sets a value, with the mappings on the way to it.
fn set(node: &mut Node, keys: &[String], value: NodeKind) {
    let span = node.span;
    let Some((key, rest)) = keys.split_first() else {
        node.kind = value;
        node.block = None;
        return;
    };
    if !matches!(node.kind, NodeKind::Mapping(_)) {
        node.kind = NodeKind::Mapping(Vec::new());
    }
    let NodeKind::Mapping(entries) = &mut node.kind else { return };
    if !entries.iter().any(|entry| entry.key == *key) {
        let value = Node { span, kind: NodeKind::Null, block: None };
        entries.push(Entry { key: key.clone(), key_span: span, value });
    }
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
        set(&mut entry.value, rest, value);
    }
}
