//! A text cut into its documents and items of lists, so that one broken document costs one document.

use std::{ops::Range, sync::Arc};

use super::lists::{self, ListHead};

/// One document of a text, its `---` line included, or one item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// The line it begins on, from 1.
    pub first_line: u32,
    /// For an item: the list it stands in.
    pub list: Option<Arc<ListHead>>,
}

/// Whether a text is read as JSON: it begins like a JSON object or list. YAML in flow style is cut nowhere
/// either, and the YAML reader takes it.
pub(super) fn looks_like_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    matches!(text.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'['))
}

/// The documents of a text; lists are cut into their items where they plainly are lists.
pub(super) fn pieces(text: &[u8]) -> Vec<Piece> {
    if looks_like_json(text) {
        return lists::of_json(text).or_else(|| lists::of_stream(text)).unwrap_or_else(|| vec![whole(text)]);
    }
    let has_items = |piece: &[u8]| piece.windows(7).any(|bytes| bytes == b"\nitems:");
    documents(text)
        .into_iter()
        .flat_map(|piece| {
            let content = text.get(piece.range.clone()).filter(|content| has_items(content));
            match content.and_then(|content| lists::of_yaml(content, piece.first_line)) {
                Some(mut items) => {
                    for item in &mut items {
                        item.range = item.range.start + piece.range.start..item.range.end + piece.range.start;
                    }
                    items
                }
                None => vec![piece],
            }
        })
        .collect()
}

fn whole(text: &[u8]) -> Piece {
    Piece { range: 0..text.len(), first_line: 1, list: None }
}

/// Cuts before every line that begins with `---` and a space or nothing: such a line ends a document
/// wherever it stands, within a block scalar too. A text with directives (`%YAML`) is not cut, since they
/// belong to the document after them.
fn documents(text: &[u8]) -> Vec<Piece> {
    if text.starts_with(b"%") {
        return vec![whole(text)];
    }
    let mut pieces = Vec::new();
    let (mut start, mut first_line, mut line, mut at) = (0, 1, 1_u32, 0);
    for content in text.split_inclusive(|byte| *byte == b'\n') {
        if content.starts_with(b"%") {
            return vec![whole(text)];
        }
        if is_marker(content) && at > start {
            pieces.push(Piece { range: start..at, first_line, list: None });
            (start, first_line) = (at, line);
        }
        at += content.len();
        line = line.saturating_add(1);
    }
    if at > start {
        pieces.push(Piece { range: start..at, first_line, list: None });
    }
    pieces
}

fn is_marker(line: &[u8]) -> bool {
    line.strip_prefix(b"---").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

#[cfg(test)]
mod tests {
    use super::{looks_like_json, pieces};

    fn cut(text: &str) -> Vec<(&str, u32)> {
        pieces(text.as_bytes()).into_iter().map(|piece| (&text[piece.range], piece.first_line)).collect()
    }

    #[test]
    fn documents_are_cut_before_their_marker_and_know_their_line() {
        assert_eq!(
            cut("a: 1\n---\nb: 2\n--- # c\nc: 3"),
            [("a: 1\n", 1), ("---\nb: 2\n", 2), ("--- # c\nc: 3", 4)]
        );
        assert_eq!(cut("---\r\na: 1\r\n---\r\n"), [("---\r\na: 1\r\n", 1), ("---\r\n", 3)]);
    }

    #[test]
    fn what_only_looks_like_a_marker_cuts_nothing() {
        for text in [
            "a: |\n  ---\n  b\n",
            "---a: 1\n----\n",
            "a: 1\n ---\n",
            "%YAML 1.1\n---\na: 1\n---\nb: 1\n",
            "{\"a\":\n---\n}",
        ] {
            assert_eq!(cut(text), [(text, 1)], "{text}");
        }
        assert_eq!(cut(""), []);
    }

    #[test]
    fn json_is_known_by_its_first_character() {
        assert!(looks_like_json(b"\n  {\"a\": 1}"));
        assert!(looks_like_json(b"\xef\xbb\xbf[]"));
        assert!(!looks_like_json(b"a: {}"));
    }
}
