//! Long lists cut into their items by their text, so that a dump of a whole cluster is never held at once.
//! What does not look exactly like a list that a tool wrote is not cut: the readers then take it whole.

use std::{ops::Range, sync::Arc};

use super::split::Piece;

/// What the items of a list have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListHead {
    /// The list's own kind, for example `List` or `PodList`.
    pub kind: String,
    /// The list's `apiVersion`.
    pub api_version: String,
    /// Whether each piece is a YAML sequence of one item, and not the item.
    pub in_sequence: bool,
}

impl ListHead {
    /// Whether a document of this kind is a list: `List`, or a typed list, which has no name.
    pub fn is_list(kind: &str, named: bool) -> bool {
        kind == "List" || (kind.ends_with("List") && !named)
    }

    /// The kind of items that leave it out.
    pub fn item_kind(kind: &str) -> Option<&str> {
        kind.strip_suffix("List").filter(|kind| !kind.is_empty())
    }
}

/// The items of a JSON object with `items`, `None` where it is not plainly a list.
pub(super) fn of_json(text: &[u8]) -> Option<Vec<Piece>> {
    let mut scan = Scan { text, at: if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 } };
    let (mut kind, mut api_version, mut items, mut named) = (None, None, None, false);
    scan.expect(b'{')?;
    loop {
        let key = scan.string()?;
        scan.expect(b':')?;
        match key {
            b"items" if scan.peek() == Some(b'[') => {
                if items.replace(scan.elements()?).is_some() {
                    return None;
                }
            }
            b"items" => return None,
            b"kind" => kind = Some(std::str::from_utf8(scan.string()?).ok()?.to_owned()),
            b"apiVersion" => api_version = Some(std::str::from_utf8(scan.string()?).ok()?.to_owned()),
            b"metadata" => {
                let metadata = text.get(scan.value()?)?;
                named |= serde_json::from_slice::<serde_json::Value>(metadata).ok()?.get("name").is_some();
            }
            _ => {
                scan.value()?;
            }
        }
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    if scan.peek().is_some() {
        return None;
    }
    let (kind, items) = (kind?, items?);
    if !ListHead::is_list(&kind, named) {
        return None;
    }
    let head = Arc::new(ListHead { kind, api_version: api_version?, in_sequence: false });
    Some(with_lines(text, items, 1, Some(&head)))
}

/// The values of a text that holds several JSON objects one after the other; `None` where it holds one, or
/// something else.
pub(super) fn of_stream(text: &[u8]) -> Option<Vec<Piece>> {
    let mut scan = Scan { text, at: if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 } };
    let mut ranges = Vec::new();
    while let Some(first) = scan.peek() {
        if first != b'{' {
            return None;
        }
        ranges.push(scan.value()?);
    }
    (ranges.len() > 1).then(|| with_lines(text, ranges, 1, None))
}

/// The items of a YAML document in block style, the items at the beginning of the line, as kubectl writes
/// it; `None` where it is not plainly that.
pub(super) fn of_yaml(text: &[u8], first_line: u32) -> Option<Vec<Piece>> {
    let (mut kind, mut api_version, mut items) = (None, None, None::<Vec<Range<usize>>>);
    let (mut within, mut named, mut at) = (false, false, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        let content = line.trim_ascii_end();
        match content.first() {
            Some(b'-') if within && (content == b"-" || content.starts_with(b"- ")) => {
                items.as_mut()?.push(start..at);
            }
            None | Some(b' ' | b'#') => {
                if within {
                    if let Some(item) = items.as_mut()?.last_mut() {
                        item.end = at;
                    }
                } else {
                    named |= content.trim_ascii_start().starts_with(b"name:");
                }
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                within = false;
                if content == b"items:" {
                    within = true;
                    if items.replace(Vec::new()).is_some() {
                        return None;
                    }
                } else if let Some(value) = content.strip_prefix(b"kind: ") {
                    kind = Some(plain(value)?);
                } else if let Some(value) = content.strip_prefix(b"apiVersion: ") {
                    api_version = Some(plain(value)?);
                }
            }
            Some(b'-') if content == b"---" && start == 0 => {}
            Some(_) => return None,
        }
    }
    let (kind, items) = (kind?, items?);
    // An alias may stand in another item than its anchor.
    let aliased = text.windows(3).any(|bytes| matches!(bytes, b": *" | b"- *" | b", *"));
    if !ListHead::is_list(&kind, named) || items.is_empty() || aliased {
        return None;
    }
    let head = Arc::new(ListHead { kind, api_version: api_version?, in_sequence: true });
    Some(with_lines(text, items, first_line, Some(&head)))
}

fn plain(value: &[u8]) -> Option<String> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-');
    value.iter().all(good).then(|| String::from_utf8_lossy(value).into_owned())
}

fn with_lines(
    text: &[u8],
    ranges: Vec<Range<usize>>,
    first_line: u32,
    head: Option<&Arc<ListHead>>,
) -> Vec<Piece> {
    let (mut line, mut counted) = (first_line, 0);
    ranges
        .into_iter()
        .map(|range| {
            let between = text.get(counted..range.start).unwrap_or_default();
            let breaks = between.split(|byte| *byte == b'\n').count() - 1;
            line = line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
            counted = range.start;
            Piece { range, first_line: line, list: head.cloned() }
        })
        .collect()
}

/// Walks over JSON without taking it apart; what is not JSON is found by the reader that parses the items.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next character that is no white space, not passed.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// The raw content of a string without escapes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let range = self.quoted()?;
        let content = self.text.get(range.start + 1..range.end - 1)?;
        (!content.contains(&b'\\')).then_some(content)
    }

    fn quoted(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at - 1;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(start..self.at);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Where a value stands; passes it.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => return self.quoted(),
            b'{' | b'[' => {
                let mut depth = 0_u32;
                loop {
                    match self.peek()? {
                        b'"' => {
                            self.quoted()?;
                        }
                        byte => {
                            self.at += 1;
                            match byte {
                                b'{' | b'[' => depth += 1,
                                b'}' | b']' => depth -= 1,
                                _ => {}
                            }
                        }
                    }
                    if depth == 0 {
                        return Some(start..self.at);
                    }
                }
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']');
                while self.text.get(self.at).is_some_and(|byte| !ends(byte)) {
                    self.at += 1;
                }
            }
        }
        (self.at > start).then_some(start..self.at)
    }

    /// Where the elements of a list stand; passes the list.
    fn elements(&mut self) -> Option<Vec<Range<usize>>> {
        self.expect(b'[')?;
        let mut elements = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(elements);
        }
        loop {
            elements.push(self.value()?);
            match self.next()? {
                b',' => {}
                b']' => return Some(elements),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{of_json, of_stream, of_yaml};
    use crate::edge::objects::split::Piece;

    fn shown(text: &str, pieces: Option<Vec<Piece>>) -> Option<Vec<(&str, u32)>> {
        pieces.map(|pieces| pieces.into_iter().map(|piece| (&text[piece.range], piece.first_line)).collect())
    }

    fn json(text: &str) -> Option<Vec<(&str, u32)>> {
        shown(text, of_json(text.as_bytes()))
    }

    fn yaml(text: &str) -> Option<Vec<(&str, u32)>> {
        shown(text, of_yaml(text.as_bytes(), 11))
    }

    #[test]
    fn a_json_list_is_cut_at_its_items() {
        let text = "{\"apiVersion\": \"v1\", \"items\": [\n {\"a\": \"]}\\\"\", \"b\": [1, {}]},\n 5, \"x\"\n],\n\"kind\": \"List\", \"metadata\": {\"resourceVersion\": \"\"}}\n";
        assert_eq!(json(text).unwrap(), [("{\"a\": \"]}\\\"\", \"b\": [1, {}]}", 2), ("5", 3), ("\"x\"", 3)]);
        assert_eq!(json("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[]}").unwrap(), []);
    }

    #[test]
    fn what_is_not_plainly_a_json_list_is_not_cut() {
        for text in [
            "[]",
            "{}",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\"}",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": null}",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [], \"items\": []}",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [{]}",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [1",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [1 2]}",
            "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [1]} {}",
            "{\"kind\": \"L\\u0069st\", \"apiVersion\": \"v1\", \"items\": [1]}",
            "{\"kind\": \"AllowList\", \"apiVersion\": \"x/v1\", \"metadata\": {\"name\": \"a\"}, \"items\": [1]}",
            "{kind: List, apiVersion: v1, items: []}",
        ] {
            assert_eq!(json(text), None, "{text}");
        }
    }

    #[test]
    fn json_objects_one_after_the_other_are_cut() {
        let text = "{\"a\": 1}\n{\"b\": {}} {}\n";
        assert_eq!(
            shown(text, of_stream(text.as_bytes())).unwrap(),
            [("{\"a\": 1}", 1), ("{\"b\": {}}", 2), ("{}", 2)]
        );
        for text in ["{}", "{} x", "[1] [2]", "{\"a\": ", ""] {
            assert_eq!(of_stream(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_yaml_list_is_cut_at_its_items() {
        let text = "---\napiVersion: v1\nitems:\n- a: |\n    - b\n\n  c: 1\n-\n  d: 2\nkind: List\nmetadata:\n  resourceVersion: \"\"\n";
        assert_eq!(yaml(text).unwrap(), [("- a: |\n    - b\n\n  c: 1\n", 14), ("-\n  d: 2\n", 18)]);
    }

    #[test]
    fn what_is_not_plainly_a_yaml_list_is_not_cut() {
        for text in [
            "kind: List\napiVersion: v1\nitems: []\n",
            "kind: List\napiVersion: v1\nitems:\n",
            "kind: List\napiVersion: v1\nitems:\n  - a: 1\n",
            "kind: \"List\"\napiVersion: v1\nitems:\n- a: 1\n",
            "kind: List\nitems:\n- a: 1\n",
            "kind: List\napiVersion: v1\nitems:\n- a: &x 1\n- a: *x\n",
            "kind: List\napiVersion: v1\nitems:\n- a: 1\nitems:\n- b: 1\n",
            "kind: AllowList\napiVersion: v1\nmetadata:\n  name: a\nitems:\n- a: 1\n",
            "kind: List\napiVersion: v1\nitems:\n- a: 1\n? b\n: c\n",
            "kind: Pod\napiVersion: v1\n",
        ] {
            assert_eq!(yaml(text), None, "{text}");
        }
    }
}
