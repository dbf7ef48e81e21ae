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

/// What the survey asks of a JSON object before it parses it.
#[derive(serde::Deserialize)]
struct Peek<'a> {
    #[serde(borrow, rename = "apiVersion")]
    api_version: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    metadata: PeekMetadata,
    items: Option<serde::de::IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct PeekMetadata {
    #[serde(rename = "ownerReferences")]
    owners: Option<serde::de::IgnoredAny>,
}

/// Whether a document must be parsed. Only one whose kind and apiVersion stand once each, plainly, at the
/// beginning of a line (of a list's item: two characters on), or in plain JSON, is left out.
fn matters(text: &[u8]) -> bool {
    if looks_like_json(text) {
        return serde_json::from_slice::<Peek<'_>>(text).map_or(true, |peek| {
            let gvk = GroupVersionKind::new(&peek.api_version, &peek.kind);
            peek.items.is_some() || Surroundings::wants(&gvk.group, &gvk.kind, peek.metadata.owners.is_some())
        });
    }
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let is_item = text.starts_with("- ");
    let (mut kind, mut api_version) = (None, None);
    for (number, line) in text.lines().enumerate() {
        let line = match (is_item, number) {
            (false, _) => line,
            (true, 0) => line.get(2..).unwrap_or(""),
            (true, _) => line.strip_prefix("  ").unwrap_or(line),
        };
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
        return is_item || text.contains("kind");
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
            ("{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"ownerReferences\": []}}", false),
            ("{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {}}", true),
            ("{\"kind\": \"List\", \"apiVersion\": \"v1\", \"metadata\": {}, \"items\": []}", true),
            ("{apiVersion: v1, kind: Pod, metadata: {}}", true),
            ("- apiVersion: v1\n  kind: Pod\n  metadata: {}\n", false),
            ("- apiVersion: v1\n  kind: Namespace\n", true),
            ("- metadata: {name: x}\n", true),
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
