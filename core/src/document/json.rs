//! JSON documents; numbers are taken as for YAML, and a key that stands twice is refused.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Entry, Limits, Node, NodeKind, ReadError, ReadErrorKind, scalar::json_float};
use crate::problem::Span;

const START: Span = Span { line: 1, column: 1, length: 1 };
const DUPLICATE: &str = "stands twice in one object";
const DEEP: &str = "nests deeper than";

/// Reads one JSON document. Places are known for errors only: every node has the document's start.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Node, ReadError> {
    limits.admit(bytes.len())?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let depth = limits.depth;
    Seed { depth, most: depth }
        .deserialize(&mut deserializer)
        .and_then(|node| deserializer.end().map(|()| node))
        .map_err(|error| explain(&error))
}

fn explain(error: &serde_json::Error) -> ReadError {
    let to_u32 = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let (kind, hint) = if message.contains(DUPLICATE) {
        (ReadErrorKind::DuplicateKey, Some("keep one of the two"))
    } else if message.contains(DEEP) || message.contains("recursion limit") {
        (ReadErrorKind::Bounds, None)
    } else if message.contains("invalid unicode") {
        (ReadErrorKind::Encoding, Some("save the file as UTF-8"))
    } else if error.is_eof() {
        (ReadErrorKind::Syntax, Some("the file ends too early; is it complete?"))
    } else {
        (ReadErrorKind::Syntax, None)
    };
    ReadError {
        kind,
        span: Span { line: to_u32(error.line()).max(1), column: to_u32(error.column()).max(1), length: 1 },
        message,
        hint: hint.map(str::to_owned),
    }
}

#[derive(Clone, Copy)]
struct Seed {
    depth: usize,
    most: usize,
}

impl Seed {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(E::custom(format!("the document {DEEP} {} levels", self.most))),
        }
    }
}

fn node(kind: NodeKind) -> Node {
    Node { span: START, kind, block: None }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(node(NodeKind::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(node(NodeKind::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(node(NodeKind::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(node(NodeKind::Number(value.into())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        json_float(value)
            .map(|number| node(NodeKind::Number(number)))
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(node(NodeKind::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(node(NodeKind::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let below = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(below)? {
            items.push(item);
        }
        Ok(node(NodeKind::Sequence(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let below = self.deeper()?;
        let mut seen = HashSet::new();
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key `{key}` {DUPLICATE}")));
            }
            let value = access.next_value_seed(below)?;
            entries.push(Entry { key, key_span: START, value });
        }
        Ok(node(NodeKind::Mapping(entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadErrorKind, read};
    use crate::document::Limits;

    #[test]
    fn values_are_those_of_the_text() {
        let node = read(br#"{"a": [1, 1.0, 1e3, -0.0, 1.5, null, true, "x"]}"#, &Limits::default()).unwrap();
        assert_eq!(node.to_json(), serde_json::json!({"a": [1, 1, 1000, 0, 1.5, null, true, "x"]}));
    }

    #[test]
    fn mistakes_have_a_place() {
        let nested = "[".repeat(10_000);
        for (text, kind, line) in [
            (&b"{\n \"a\": 1,\n \"a\": 2}"[..], ReadErrorKind::DuplicateKey, 3),
            (b"{\"a\": ", ReadErrorKind::Syntax, 1),
            (b"{\"a\": 1}\nx", ReadErrorKind::Syntax, 2),
            (nested.as_bytes(), ReadErrorKind::Bounds, 1),
        ] {
            let error = read(text, &Limits::default()).unwrap_err();
            assert_eq!((error.kind, error.span.line), (kind, line), "{error}");
        }
    }
}
