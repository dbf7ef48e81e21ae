//! Documents parsed into objects; lists are unpacked.

use portcullis_core::document::{Documents as Reader, Limits, Node, NodeKind, ReadError, json};
use regorus::Value;

use super::{Chunk, chunk::Documents, lists::ListHead, split::looks_like_json};

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
        let mut seen = false;
        read(text, documents.path.ends_with(".json"), &limits, &mut |document| {
            seen = true;
            match (document, &piece.list) {
                (Ok(node), None) => of_node(&node, &place, each),
                (Ok(node), Some(head)) if head.in_sequence => {
                    node.items().iter().for_each(|item| of_item(item, head, &place, each));
                }
                (Ok(node), Some(head)) => of_item(&node, head, &place, each),
                (Err(error), _) => {
                    each(Item::Hole(format!("{}: {}", place(error.span.line), error.message)));
                }
            }
        });
        if !seen && piece.list.is_some() {
            each(Item::Hole(format!("{}: the item of the list is empty", place(1))));
        }
    }
}

/// Reads JSON as JSON, everything else as YAML; that is also flow style, which only looks like JSON.
fn read(text: &[u8], is_json: bool, limits: &Limits, each: &mut dyn FnMut(Result<Node, ReadError>)) {
    if looks_like_json(text) {
        let document = json::read(text, limits);
        if is_json || document.is_ok() {
            return each(document);
        }
    }
    Reader::new(text, limits).for_each(each);
}

fn of_node(node: &Node, place: &dyn Fn(u32) -> String, each: &mut dyn FnMut(Item)) {
    let text = |key: &str| node.get(key).and_then(Node::as_str).unwrap_or("");
    let named = node.get("metadata").and_then(|metadata| metadata.get("name")).is_some();
    let list = node.get("items").filter(|items| matches!(items.kind, NodeKind::Sequence(_)));
    match list {
        Some(list) if ListHead::is_list(text("kind"), named) => {
            let head = ListHead {
                kind: text("kind").to_owned(),
                api_version: text("apiVersion").to_owned(),
                in_sequence: true,
            };
            list.items().iter().for_each(|item| of_item(item, &head, place, each));
        }
        _ => each(Item::Object(node.to_value(), place(node.span.line))),
    }
}

fn of_item(item: &Node, head: &ListHead, place: &dyn Fn(u32) -> String, each: &mut dyn FnMut(Item)) {
    let mut value = item.to_value();
    if let Some(kind) = ListHead::item_kind(&head.kind)
        && !head.api_version.is_empty()
    {
        complete(&mut value, "kind", kind);
        complete(&mut value, "apiVersion", &head.api_version);
    }
    each(Item::Object(value, place(item.span.line)));
}

fn complete(value: &mut Value, key: &str, text: &str) {
    let key = Value::String(key.into());
    if let Ok(fields) = value.as_object_mut()
        && fields.get(&key).is_none()
    {
        fields.insert(key, Value::String(text.into()));
    }
}
