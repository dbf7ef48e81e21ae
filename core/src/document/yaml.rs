//! YAML read one document at a time, as sigs.k8s.io/yaml reads it, with the place of every value.

use std::{
    io::{BufRead, Read},
    panic::{AssertUnwindSafe, catch_unwind},
};

use libyaml_safer::{Event, EventData, Parser};

use super::{Limits, Node, NodeKind, ReadError, ReadErrorKind, build::Builder, syntax};
use crate::problem::Span;

/// Reads all documents of a text; documents that hold nothing are left out.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Node>, ReadError> {
    Documents::new(bytes, limits).collect()
}

/// The documents of a text, one at a time; ends after the first error.
pub struct Documents<'a> {
    bytes: &'a [u8],
    limits: Limits,
    parser: Parser<Input<'a>>,
    /// The last line, where it lacks its line break and was given one.
    mended: Option<&'a [u8]>,
    done: bool,
}

impl std::fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").field("bytes", &self.bytes.len()).field("done", &self.done).finish()
    }
}

impl<'a> Documents<'a> {
    /// Begins to read a text.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        // Without a last line break the scanner panics in block scalars and after a backslash.
        let mended = match text.last() {
            None | Some(b'\n' | b'\r') => None,
            Some(_) => text.rsplit(|byte| *byte == b'\n').next(),
        };
        let mut parser = Parser::new();
        parser.set_encoding(libyaml_safer::Encoding::Utf8);
        parser.set_input(Input { rest: text, tail: if mended.is_some() { b"\n" } else { b"" } });
        Self { bytes: text, limits: *limits, parser, mended, done: false }
    }

    fn event(&mut self) -> Result<Event, ReadError> {
        // What the scanner does not foresee (`[!tag, x]`) is a panic there and an error here.
        match catch_unwind(AssertUnwindSafe(|| self.parser.parse())) {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(error)) => Err(syntax::explain(&error, self.bytes)),
            Err(_) => Err(ReadError {
                kind: ReadErrorKind::Syntax,
                span: Span { line: 1, column: 1, length: 1 },
                message: "the YAML reader cannot make sense of this file".to_owned(),
                hint: Some("look for a tag followed by a comma, such as `[!tag, x]`".to_owned()),
            }),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, ReadError> {
        let mut builder = Builder::new(self.limits, self.bytes);
        loop {
            let mut event = self.event()?;
            match &event.data {
                EventData::StreamStart { .. } => {}
                EventData::StreamEnd => return Ok(None),
                EventData::DocumentStart { .. } => builder = Builder::new(self.limits, self.bytes),
                EventData::DocumentEnd { .. } => match builder.finish() {
                    Some(Node { kind: NodeKind::Null, .. }) | None => {
                        builder = Builder::new(self.limits, self.bytes);
                    }
                    Some(node) => return Ok(Some(node)),
                },
                _ => {
                    if let Some(last) = self.mended {
                        self.unmend(&mut event, last);
                    }
                    builder.push(event)?;
                }
            }
        }
    }

    /// Takes back the line break that was put at the end of the text, where it became content.
    fn unmend(&self, event: &mut Event, last: &[u8]) {
        use libyaml_safer::ScalarStyle::{Folded, Literal};
        let at_end = usize::try_from(event.end_mark.index).is_ok_and(|index| index >= self.bytes.len());
        if let EventData::Scalar { value, style: Literal | Folded, .. } = &mut event.data
            && at_end
        {
            let blank = last.iter().all(|byte| *byte == b' ');
            let added = if blank {
                let line = value.strip_suffix('\n').and_then(|value| value.rsplit('\n').next());
                line.is_some_and(|line| line.bytes().all(|byte| byte == b' '))
            } else {
                value.ends_with('\n')
            };
            if added {
                value.pop();
            }
        }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Node, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.limits.admit(self.bytes.len()).and_then(|()| self.document());
        self.done = !matches!(result, Ok(Some(_)));
        result.transpose()
    }
}

/// The text in pieces, so that the parser buffers a piece and not the whole.
#[derive(Debug)]
struct Input<'a> {
    rest: &'a [u8],
    tail: &'static [u8],
}

const PIECE: usize = 16_384;

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = Read::read(&mut self.fill_buf()?, out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.rest = std::mem::take(&mut self.tail);
        }
        Ok(self.rest.get(..PIECE).unwrap_or(self.rest))
    }

    fn consume(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Documents, read};
    use crate::document::{Limits, Node, ReadError, ReadErrorKind};

    fn json(text: &str) -> Vec<Value> {
        read(text.as_bytes(), &Limits::default()).unwrap().iter().map(Node::to_json).collect()
    }

    fn error(text: &[u8]) -> ReadError {
        read(text, &Limits::default()).unwrap_err()
    }

    #[test]
    fn documents_that_hold_nothing_are_left_out() {
        assert_eq!(json("---\n# only a comment\n---\na: 1\n---\n~\n---\n\n"), [json!({"a": 1})]);
        assert!(json("").is_empty());
        assert_eq!(json("\u{feff}a: 1\r\nb: [x, 'y']\r\n"), [json!({"a": 1, "b": ["x", "y"]})]);
    }

    #[test]
    fn places_are_those_of_the_text() {
        let node = read(b"a:\n  - b: \xc3\xa4\n    cc: |\n\n      x\n       y\n", &Limits::default())
            .unwrap()
            .remove(0);
        let cc = node.find("/a/0/cc").unwrap();
        assert_eq!((cc.span.line, cc.span.column), (3, 9));
        let block = cc.block.unwrap();
        assert_eq!((block.first_line, block.indent), (4, 6));
        assert_eq!(cc.as_str(), Some("\nx\n y\n"));
        let entry = node.find("/a/0").unwrap().entry("cc").unwrap();
        assert_eq!((entry.key_span.line, entry.key_span.column, entry.key_span.length), (3, 5, 2));
    }

    #[test]
    fn merge_keys_are_those_of_go() {
        assert_eq!(
            json("x: &x {a: 1, b: 1}\nw: {<<: *x, b: 2}\nz: {b: 3, <<: [{a: 5}, *x]}\n"),
            [json!({"x": {"a": 1, "b": 1}, "w": {"a": 1, "b": 2}, "z": {"a": 5, "b": 1}})]
        );
        assert_eq!(error(b"x: {<<: 5}").kind, ReadErrorKind::Value);
    }

    #[test]
    fn a_duplicate_key_names_both_places() {
        let error = error(b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n");
        assert_eq!(error.kind, ReadErrorKind::DuplicateKey);
        assert_eq!(error.message, "the key `c` stands here and on line 3 column 3");
        assert_eq!((error.span.line, error.span.column), (5, 3));
        let many: String = (0..40).map(|at| format!("k{at}: 1\n")).chain(["k7: 2\n".to_owned()]).collect();
        assert_eq!(super::read(many.as_bytes(), &Limits::default()).unwrap_err().span.line, 41);
    }

    #[test]
    fn hostile_texts_are_errors() {
        let nested = "[".repeat(10_000);
        let blocks = (0..300).map(|at| format!("{}a:\n", " ".repeat(at))).collect::<Vec<_>>().concat();
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..12 {
            let aliases = vec![format!("*a{}", at - 1); 9].join(", ");
            bomb = format!("{bomb}a{at}: &a{at} [{aliases}]\n");
        }
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 5_000].join(","));
        for (text, kind) in [
            (nested.as_bytes(), ReadErrorKind::Bounds),
            (blocks.as_bytes(), ReadErrorKind::Bounds),
            (bomb.as_bytes(), ReadErrorKind::Bounds),
            (long.as_bytes(), ReadErrorKind::Bounds),
            (b"a: &a [*a]", ReadErrorKind::Value),
            (b"a: *nowhere", ReadErrorKind::Value),
            (b"a: .inf", ReadErrorKind::Value),
            (b"{a: 1}: b", ReadErrorKind::Value),
            (b"a: \"x", ReadErrorKind::Syntax),
            (b"a: \"x\\", ReadErrorKind::Syntax),
            (b"a: [1, 2", ReadErrorKind::Syntax),
            (b"a: \xff\n", ReadErrorKind::Encoding),
            (b"a: \xc3", ReadErrorKind::Encoding),
            (b"a: \x01", ReadErrorKind::Encoding),
            (b"a:\n\t- b", ReadErrorKind::Syntax),
        ] {
            assert_eq!(error(text).kind, kind, "{:?}", String::from_utf8_lossy(&text[..text.len().min(40)]));
        }
        let big = read(b"a: 1", &Limits { bytes: 3, ..Limits::default() }).unwrap_err();
        assert_eq!(big.kind, ReadErrorKind::Bounds);
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let tab = error(b"a: 1\nb:\n\tc: 1\n");
        assert_eq!((tab.span.line, tab.message.as_str()), (3, "a tab indents this line"));
        let bytes = error(b"a: 1\nb: x\xffy\n");
        assert_eq!((bytes.span.line, bytes.span.column), (2, 5));
        let colon = error(b"a: 1\nmessage: say: no\n");
        assert_eq!((colon.span.line, colon.span.column), (2, 13));
        assert!(colon.hint.unwrap().contains("quote"));
    }

    #[test]
    fn a_stream_gives_what_stands_before_the_error() {
        let mut documents = Documents::new(b"a: 1\n---\nb: [\n---\nc: 1\n", &Limits::default());
        assert_eq!(documents.next().unwrap().unwrap().to_json(), json!({"a": 1}));
        assert!(documents.next().unwrap().is_err());
        assert!(documents.next().is_none());
    }

    #[test]
    fn a_last_line_without_line_break_is_read_as_it_is() {
        assert_eq!(json("a: |\n  x\n  y"), [json!({"a": "x\ny"})]);
        assert_eq!(json("a: |\n  x\n  "), [json!({"a": "x\n"})]);
        assert_eq!(json("a: |+\n  x\n\n  "), [json!({"a": "x\n\n"})]);
        assert_eq!(json("a: |-\n  x"), [json!({"a": "x"})]);
        assert_eq!(json("a: |\n  x\n# c"), [json!({"a": "x\n"})]);
        assert_eq!(json("a: |\n  x \\"), [json!({"a": "x \\"})]);
        assert_eq!(json("a: x\\"), [json!({"a": "x\\"})]);
    }
}
