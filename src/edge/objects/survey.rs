//! The first pass: what judging needs to know of all objects, parsed only where a file can tell it.

use portcullis_core::{audit::Surroundings, identity::GroupVersionKind, scope::Semantics};

use super::{Chunk, Item, ObjectSource, chunk::Documents, items, split::looks_like_json};

/// Reads namespaces, controllers and the scope of unknown kinds. A document is parsed only where the lines
/// that name its apiVersion and kind say, or do not tell, that it matters; holes are left to the second pass.
pub fn survey(source: &ObjectSource, semantics: Semantics, default_namespace: &str) -> Surroundings {
    let mut surroundings = Surroundings::new(semantics);
    for chunk in source.chunks() {
        let Chunk::Documents(mut documents) = chunk else { continue };
        let bytes = std::sync::Arc::clone(&documents.bytes);
        documents.pieces.retain(|piece| bytes.get(piece.range.clone()).is_some_and(matters));
        parse(documents, &mut surroundings, default_namespace);
    }
    surroundings
}

fn parse(documents: Documents, surroundings: &mut Surroundings, default_namespace: &str) {
    items(&Chunk::Documents(documents), &mut |item| {
        if let Item::Object(value, _) = item {
            surroundings.note(&value, default_namespace);
        }
    });
}

/// Whether a document must be parsed. Only one whose kind and apiVersion stand once each, plainly, at the
/// beginning of a line, is left out.
fn matters(text: &[u8]) -> bool {
    if looks_like_json(text) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (mut kind, mut api_version) = (None, None);
    for line in text.lines() {
        let target = if let Some(rest) = line.strip_prefix("kind:") {
            Some((&mut kind, rest))
        } else if let Some(rest) = line.strip_prefix("apiVersion:") {
            Some((&mut api_version, rest))
        } else {
            // A line that begins a mapping in another way may hold a second kind.
            if line.starts_with(['{', '[', '?', '"', '\'', '&', '*', '!', '<', '.'])
                || line.starts_with("--- ")
            {
                return true;
            }
            None
        };
        if let Some((slot, rest)) = target {
            let value = rest.split(" #").next().unwrap_or(rest).trim().trim_matches(['"', '\'']);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-');
            if slot.is_some() || value.is_empty() || !value.chars().all(plain) {
                return true;
            }
            *slot = Some(value);
        }
    }
    let (Some(kind), Some(api_version)) = (kind, api_version) else {
        // Neither: indented, or nothing at all.
        return text.contains("kind");
    };
    let gvk = GroupVersionKind::new(api_version, kind);
    kind.ends_with("List") || Surroundings::wants(&gvk.group, &gvk.kind, text.contains("ownerReferences"))
}

#[cfg(test)]
mod tests {
    use super::matters;

    #[test]
    fn only_documents_that_tell_nothing_are_left_out() {
        for (text, expected) in [
            ("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n", false),
            ("---\napiVersion: v1\nkind: \"Pod\" # x\nmetadata: {ownerReferences: []}\n", false),
            ("# only a comment\n", false),
            ("apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: a}\n", false),
            ("apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {ownerReferences: []}\n", true),
            ("apiVersion: v1\nkind: Namespace\n", true),
            ("apiVersion: example.com/v1\nkind: Pod\n", true),
            ("apiVersion: v1\nkind: List\n", true),
            ("apiVersion: v1\nkind: PodList\n", true),
            ("  apiVersion: v1\n  kind: Namespace\n", true),
            ("{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}", true),
            ("--- {apiVersion: v1, kind: Namespace}\n", true),
            ("apiVersion: v1\n\"kind\": Namespace\n", true),
            ("apiVersion: v1\nkind: !!str Namespace\n", true),
            ("apiVersion: v1\nkind: Pod\n...\nkind: Namespace\n", true),
            ("kind: Namespace\napiVersion: &v v1\n", true),
            ("apiVersion: v1\nkind:\n  Namespace\n", true),
        ] {
            assert_eq!(matters(text.as_bytes()), expected, "{text}");
        }
    }
}
