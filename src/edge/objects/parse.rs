//! Documents parsed into objects; lists are unpacked.

use portcullis_core::document::{Documents as Reader, Limits, Node, NodeKind};
use regorus::Value;

use super::{Chunk, chunk::Documents};

/// What a document turned out to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An object, and where it stands, `file:line`.
    Object(Value, String),
    /// `file:line: reason`.
    Hole(String),
}

/// Parses a chunk, one document at a time, and hands each item to `each`. A list is handed over item by
/// item: `kind: List`, and any kind that ends in `List`, has `items` and no name. Where the items of a typed
/// list leave out their kind, they get it from the list.
pub fn items(chunk: &Chunk, each: &mut dyn FnMut(Item)) {
    match chunk {
        Chunk::Hole(reason) => each(Item::Hole(reason.clone())),
        Chunk::Documents(documents) => of_documents(documents, each),
    }
}

fn of_documents(documents: &Documents, each: &mut dyn FnMut(Item)) {
    let limits = Limits::default();
    for piece in &documents.pieces {
        let Some(text) = documents.bytes.get(piece.range.clone()) else { continue };
        let place = |line: u32| {
            let line = piece.first_line.saturating_add(line.max(1)) - 1;
            format!("{}:{line}", documents.path)
        };
        for document in Reader::new(text, &limits) {
            match document {
                Ok(node) => of_node(&node, &place, each),
                Err(error) => each(Item::Hole(format!("{}: {}", place(error.span.line), error.message))),
            }
        }
    }
}

fn of_node(node: &Node, place: &dyn Fn(u32) -> String, each: &mut dyn FnMut(Item)) {
    let kind = node.get("kind").and_then(Node::as_str).unwrap_or("");
    let unnamed = node.get("metadata").and_then(|metadata| metadata.get("name")).is_none();
    let list = node.get("items").filter(|items| matches!(items.kind, NodeKind::Sequence(_)));
    match list {
        Some(list) if kind == "List" || (kind.ends_with("List") && unnamed) => {
            let of_items = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
            let api_version = node.get("apiVersion").and_then(Node::as_str);
            for item in list.items() {
                let mut value = item.to_value();
                if let (Some(kind), Some(api_version)) = (of_items, api_version) {
                    complete(&mut value, "kind", kind);
                    complete(&mut value, "apiVersion", api_version);
                }
                each(Item::Object(value, place(item.span.line)));
            }
        }
        _ => each(Item::Object(node.to_value(), place(node.span.line))),
    }
}

fn complete(value: &mut Value, key: &str, text: &str) {
    let key = Value::String(key.into());
    if let Ok(fields) = value.as_object_mut()
        && fields.get(&key).is_none()
    {
        fields.insert(key, Value::String(text.into()));
    }
}
