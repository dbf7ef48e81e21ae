//! The parser's complaints in words a person can act on.

use libyaml_safer::{Error, ErrorKind};

use super::{ReadError, ReadErrorKind};
use crate::problem::Span;

/// The message and the hint for what the parser says most often.
const KNOWN: [(&str, &str, &str); 12] = [
    (
        "mapping values are not allowed in this context",
        "a `key: value` is not allowed here",
        "quote a text that contains `: `, or mend the indentation",
    ),
    (
        "did not find expected key",
        "expected a key of the mapping above, found something else",
        "compare the indentation of this line with the lines above it",
    ),
    (
        "could not find expected ':'",
        "expected `:` after a key",
        "write `key: value`, indent the line into the text above, or close a quote that is open",
    ),
    (
        "did not find expected '-' indicator",
        "expected the next `- ` item of the list above",
        "compare the indentation of this line with the list above it",
    ),
    (
        "did not find expected ',' or ']'",
        "expected `,` or `]` in a list that is still open",
        "close the list, or quote a text that contains brackets or commas",
    ),
    (
        "did not find expected ',' or '}'",
        "expected `,` or `}` in a mapping that is still open",
        "close the mapping, or quote a text that contains braces or commas",
    ),
    (
        "found unexpected end of stream",
        "the file ends inside a quoted text",
        "close the quote; is the file complete?",
    ),
    (
        "found a tab character where an indentation space is expected",
        "a tab indents this line",
        "indent with spaces, YAML forbids tabs there",
    ),
    (
        "found a tab character that violates indentation",
        "a tab indents this line",
        "indent with spaces, YAML forbids tabs there",
    ),
    (
        "block sequence entries are not allowed in this context",
        "a list item is not allowed here",
        "begin the list on a line of its own below the key",
    ),
    (
        "found unknown escape character",
        "unknown escape in a double-quoted text",
        "double the backslash, or use single quotes",
    ),
    (
        "did not find expected <document start>",
        "expected the end of the document, or `---`",
        "compare the indentation of this line with the lines above it",
    ),
];

/// Makes a problem of a parser's error; `text` is what it read, without byte order mark.
pub(super) fn explain(error: &Error, text: &[u8]) -> ReadError {
    if matches!(error.kind(), ErrorKind::Reader | ErrorKind::Io) {
        return encoding(text);
    }
    let mark = error.problem_mark().unwrap_or_default();
    let to_u32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX - 1);
    let span = Span { line: to_u32(mark.line) + 1, column: to_u32(mark.column) + 1, length: 1 };
    let found = usize::try_from(mark.index).ok().and_then(|index| {
        std::str::from_utf8(text.get(index..index.saturating_add(4).min(text.len()))?).ok()?.chars().next()
    });
    let (mut message, hint) = if error.problem() == "found character that cannot start any token" {
        match found {
            Some('\t') => (
                "a tab indents this line".to_owned(),
                Some("indent with spaces, YAML forbids tabs there".to_owned()),
            ),
            Some(character) => {
                (format!("a plain value cannot begin with `{character}`"), Some("quote the value".to_owned()))
            }
            None => (error.problem().to_owned(), None),
        }
    } else {
        match KNOWN.iter().find(|(problem, ..)| *problem == error.problem()) {
            Some((_, message, hint)) => ((*message).to_owned(), Some((*hint).to_owned())),
            None => (error.problem().to_owned(), None),
        }
    };
    if let (Some(context), Some(at)) = (error.context(), error.context_mark())
        && at.line != mark.line
    {
        message = format!("{message} ({context} that begins on line {})", at.line + 1);
    }
    ReadError { kind: ReadErrorKind::Syntax, span, message, hint }
}

/// What is wrong with the bytes themselves.
fn encoding(text: &[u8]) -> ReadError {
    let (valid, rest) = match std::str::from_utf8(text) {
        Ok(valid) => (valid, None),
        Err(error) => {
            let (valid, rest) = text.split_at_checked(error.valid_up_to()).unwrap_or((text, &[]));
            (std::str::from_utf8(valid).unwrap_or(""), rest.first())
        }
    };
    let forbidden = valid.char_indices().find(|(_, character)| {
        !matches!(character,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
    });
    let end = forbidden.map_or(valid.len(), |(at, _)| at);
    let before = valid.get(..end).unwrap_or(valid);
    let lines = before.bytes().filter(|byte| *byte == b'\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let to_u32 = |value: usize| u32::try_from(value).unwrap_or(u32::MAX - 1);
    let (message, hint) = match (forbidden, rest) {
        (Some((_, character)), _) => (
            format!("the control character U+{:04X} is not allowed", u32::from(character)),
            "remove it, or write it as an escape in a double-quoted text",
        ),
        (None, Some(byte)) => {
            (format!("the file is not UTF-8: found the byte 0x{byte:02X}"), "save the file as UTF-8")
        }
        (None, None) => ("the file cannot be read as UTF-8".to_owned(), "save the file as UTF-8"),
    };
    ReadError {
        kind: ReadErrorKind::Encoding,
        span: Span { line: to_u32(lines) + 1, column: to_u32(column) + 1, length: 1 },
        message,
        hint: Some(hint.to_owned()),
    }
}
