//! A parsed document that remembers where each part stood.

use std::collections::BTreeMap;

use crate::problem::Span;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub span: Span,
    /// The value.
    pub kind: NodeKind,
    /// For a literal or folded block scalar: where its text stands.
    pub block: Option<Block>,
}

/// Where the text of a block scalar stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// File line of the text's first line, from 1.
    pub first_line: u32,
    /// Characters of indentation stripped from each line.
    pub indent: u32,
}

/// The shapes a value can have; scalars are already resolved as sigs.k8s.io/yaml resolves them.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// `null`, `~`, or nothing.
    Null,
    /// A boolean, YAML 1.1 spellings included.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping in file order; keys are distinct.
    Mapping(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as a string, as JSON would have it.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// A text that is not a readable document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// What sort of mistake it is.
    pub kind: ReadErrorKind,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do, where known.
    pub hint: Option<String>,
}

/// What sort of mistake makes a text unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// The text is not YAML or JSON.
    Syntax,
    /// One key stands twice in a mapping.
    DuplicateKey,
    /// A value does not fit its tag, or JSON has no such value or key.
    Value,
    /// Too many bytes, levels or values.
    Bounds,
    /// Not UTF-8, or characters that YAML forbids.
    Encoding,
}

impl Node {
    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Key and value of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a mapping, none for other shapes.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            NodeKind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list, none for other shapes.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            NodeKind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// What stands at a JSON pointer (RFC 6901).
    pub fn find(&self, pointer: &str) -> Option<&Node> {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            node = match &node.kind {
                NodeKind::Mapping(_) => node.get(&part)?,
                NodeKind::Sequence(items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// The place of what stands at a JSON pointer, else of the nearest thing above it.
    pub fn span_at(&self, pointer: &str) -> Span {
        let mut rest = pointer;
        loop {
            if let Some(node) = self.find(rest) {
                return node.span;
            }
            match rest.rfind('/') {
                Some(at) => rest = rest.get(..at).unwrap_or(""),
                None => return self.span,
            }
        }
    }

    /// The same value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::String(text) => Value::String(text.clone()),
            NodeKind::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeKind::Mapping(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            ),
        }
    }

    /// The same value as the policy engine takes it: integers of 64 bits with a sign exactly, larger
    /// numbers as floats, which is what Kubernetes' JSON decoder makes of them.
    pub fn to_value(&self) -> regorus::Value {
        use regorus::Value;
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Value::from(whole),
                (None, Some(float)) => Value::from(float),
                (None, None) => Value::Undefined,
            },
            NodeKind::String(text) => Value::String(text.as_str().into()),
            NodeKind::Sequence(items) => Value::from(items.iter().map(Node::to_value).collect::<Vec<_>>()),
            NodeKind::Mapping(entries) => Value::from(
                entries
                    .iter()
                    .map(|entry| (Value::String(entry.key.as_str().into()), entry.value.to_value()))
                    .collect::<BTreeMap<_, _>>(),
            ),
        }
    }
}
