//! Parser events put together into nodes: anchors, merge keys, duplicates and bounds.

use std::collections::HashMap;

use libyaml_safer::{Event, EventData, Mark, ScalarStyle};

use super::{
    Block, Entry, Limits, Node, NodeKind, ReadError, ReadErrorKind,
    scalar::{self, Scalar},
};
use crate::problem::Span;

/// From this many entries on, keys are looked up in a map.
const MANY: usize = 16;

/// Builds one document.
pub(super) struct Builder<'a> {
    text: &'a [u8],
    limits: Limits,
    frames: Vec<Frame>,
    anchors: HashMap<String, (Node, usize)>,
    root: Option<Node>,
    /// Values so far, those that aliases stand for included; long texts count for several.
    count: usize,
    /// Of these, what aliases and copies of anchored values added.
    copied: usize,
}

struct Frame {
    span: Span,
    anchor: Option<String>,
    begun: usize,
    shape: Shape,
}

enum Shape {
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    entries: Vec<Entry>,
    /// Whether the entry of the same index came from a merge.
    merged: Vec<bool>,
    index: HashMap<String, usize>,
    pending: Option<Pending>,
}

enum Pending {
    Key(String, Span),
    Merge(Span),
}

/// A value on its way into its collection.
struct Value {
    node: Node,
    scalar: Option<Scalar>,
    merge_key: bool,
    alias: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(limits: Limits, text: &'a [u8]) -> Self {
        Self { text, limits, frames: Vec::new(), anchors: HashMap::new(), root: None, count: 0, copied: 0 }
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    pub(super) fn push(&mut self, event: Event) -> Result<(), ReadError> {
        let span = span(event.start_mark, event.end_mark);
        match event.data {
            EventData::Scalar { anchor, tag, value, plain_implicit, style, .. } => {
                self.charge(weight(&value), 0, span)?;
                let resolved = scalar::resolve(tag.as_deref(), &value, plain_implicit)
                    .map_err(|message| value_error(span, message, None))?;
                let merge_key =
                    value == "<<" && (plain_implicit || tag.as_deref() == Some("tag:yaml.org,2002:merge"));
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
                    .then(|| self.block(event.start_mark, &value))
                    .flatten();
                let kind = match &resolved {
                    Scalar::Null => NodeKind::Null,
                    Scalar::Bool(value) => NodeKind::Bool(*value),
                    Scalar::Int(value) => NodeKind::Number((*value).into()),
                    Scalar::Uint(value) => NodeKind::Number((*value).into()),
                    Scalar::Text(text) => NodeKind::String(text.clone()),
                    // JSON has no infinity; as a key it is a text, so only a value is refused.
                    Scalar::Float(value) => match scalar::json_float(*value) {
                        Some(number) => NodeKind::Number(number),
                        None => NodeKind::Null,
                    },
                };
                let node = Node { span, kind, block };
                self.anchor(anchor, &node, weight(&value))?;
                self.place(Value { node, scalar: Some(resolved), merge_key, alias: false })
            }
            EventData::Alias { anchor } => {
                if self.frames.iter().any(|frame| frame.anchor.as_ref() == Some(&anchor)) {
                    return Err(value_error(
                        span,
                        format!("the value of anchor `{anchor}` contains itself"),
                        None,
                    ));
                }
                let Some((_, size)) = self.anchors.get(&anchor) else {
                    return Err(value_error(
                        span,
                        format!("no anchor `&{anchor}` stands before the alias `*{anchor}`"),
                        Some(
                            "anchors hold within one document; write `&name` before its first `*name`, or quote a text that begins with `*`",
                        ),
                    ));
                };
                let size = *size;
                self.charge(size, size, span)?;
                let Some((node, _)) = self.anchors.get(&anchor) else { return Ok(()) };
                let node = node.clone();
                let scalar = match &node.kind {
                    NodeKind::String(text) => Some(Scalar::Text(text.clone())),
                    NodeKind::Bool(value) => Some(Scalar::Bool(*value)),
                    NodeKind::Number(number) => number.as_i64().map(Scalar::Int),
                    _ => None,
                };
                self.place(Value { node, scalar, merge_key: false, alias: true })
            }
            EventData::SequenceStart { anchor, .. } => self.open(span, anchor, Shape::Sequence(Vec::new())),
            EventData::MappingStart { anchor, .. } => {
                self.open(span, anchor, Shape::Mapping(Mapping::default()))
            }
            EventData::SequenceEnd | EventData::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn open(&mut self, span: Span, anchor: Option<String>, shape: Shape) -> Result<(), ReadError> {
        let begun = self.count;
        self.charge(1, 0, span)?;
        if self.frames.len() >= self.limits.depth {
            return Err(self.limits.too_deep(span));
        }
        let span = Span { length: 1, ..span };
        self.frames.push(Frame { span, anchor, begun, shape });
        Ok(())
    }

    fn close(&mut self) -> Result<(), ReadError> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let kind = match frame.shape {
            Shape::Sequence(items) => NodeKind::Sequence(items),
            Shape::Mapping(mapping) => NodeKind::Mapping(mapping.entries),
        };
        let node = Node { span: frame.span, kind, block: None };
        self.anchor(frame.anchor, &node, self.count - frame.begun)?;
        self.place(Value { node, scalar: None, merge_key: false, alias: false })
    }

    fn anchor(&mut self, anchor: Option<String>, node: &Node, size: usize) -> Result<(), ReadError> {
        if let Some(anchor) = anchor {
            self.charge(0, size, node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(())
    }

    fn charge(&mut self, count: usize, copied: usize, span: Span) -> Result<(), ReadError> {
        self.count = self.count.saturating_add(count);
        self.copied = self.copied.saturating_add(copied);
        let bounds = |message: String, hint: &str| ReadError {
            kind: ReadErrorKind::Bounds,
            span,
            message,
            hint: Some(hint.to_owned()),
        };
        if self.copied > self.limits.alias_nodes(self.text.len()) {
            return Err(bounds(
                "aliases (`*name`) make this document far larger than its file".to_owned(),
                "write the values out",
            ));
        }
        if self.count > self.limits.nodes {
            return Err(bounds(
                format!("the document holds more than {} values", self.limits.nodes),
                "split it into several documents",
            ));
        }
        Ok(())
    }

    fn place(&mut self, value: Value) -> Result<(), ReadError> {
        match self.frames.last_mut().map(|frame| &mut frame.shape) {
            None => {
                self.root = Some(checked(value)?);
                Ok(())
            }
            Some(Shape::Sequence(items)) => {
                items.push(checked(value)?);
                Ok(())
            }
            Some(Shape::Mapping(mapping)) => mapping.place(value),
        }
    }

    /// Where the text of a block scalar stands, found from its header in the file.
    fn block(&self, header: Mark, value: &str) -> Option<Block> {
        let rest = self.text.get(usize::try_from(header.index).ok()?..)?;
        let first_line = line(header).saturating_add(1);
        let leading = |line: &[u8]| line.iter().take_while(|byte| **byte == b' ').count();
        let blank = |line: &&[u8]| !line.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\t'));
        let in_file = rest.split(|byte| *byte == b'\n').skip(1).find(blank).map_or(0, leading);
        let in_value = value.as_bytes().split(|byte| *byte == b'\n').find(blank).map_or(0, leading);
        let indent = u32::try_from(in_file.saturating_sub(in_value)).ok()?;
        Some(Block { first_line, indent })
    }
}

impl Mapping {
    fn place(&mut self, value: Value) -> Result<(), ReadError> {
        match self.pending.take() {
            None if value.merge_key => {
                self.pending = Some(Pending::Merge(value.node.span));
                Ok(())
            }
            None => {
                let span = value.node.span;
                let Some(key) = value.scalar.and_then(scalar::key) else {
                    return Err(value_error(
                        span,
                        "a key must be a text, a number or a boolean".to_owned(),
                        Some("a template placeholder such as `{{ name }}` needs quotes"),
                    ));
                };
                self.pending = Some(Pending::Key(key, span));
                Ok(())
            }
            Some(Pending::Key(key, key_span)) => {
                let entry = Entry { key, key_span, value: checked(value)? };
                self.insert(entry, false)
            }
            Some(Pending::Merge(span)) => self.merge(value, span),
        }
    }

    /// As go-yaml does it: what comes later wins, and of several mappings the first.
    fn merge(&mut self, value: Value, span: Span) -> Result<(), ReadError> {
        let fail =
            || value_error(span, "`<<` needs a mapping, or a list of mappings, to merge".to_owned(), None);
        let sources = match value.node.kind {
            NodeKind::Mapping(entries) => vec![entries],
            NodeKind::Sequence(items) if !value.alias => items
                .into_iter()
                .rev()
                .map(|item| match item.kind {
                    NodeKind::Mapping(entries) => Ok(entries),
                    _ => Err(fail()),
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(fail()),
        };
        for entry in sources.into_iter().flatten() {
            self.insert(entry, true)?;
        }
        Ok(())
    }

    fn insert(&mut self, entry: Entry, merged: bool) -> Result<(), ReadError> {
        let found = if self.entries.len() < MANY {
            self.entries.iter().position(|known| known.key == entry.key)
        } else {
            if self.index.is_empty() {
                self.index =
                    self.entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
            }
            self.index.get(&entry.key).copied()
        };
        let Some((at, (known, known_merged))) =
            found.and_then(|at| Some((at, (self.entries.get_mut(at)?, self.merged.get_mut(at)?))))
        else {
            if !self.index.is_empty() {
                self.index.insert(entry.key.clone(), self.entries.len());
            }
            self.entries.push(entry);
            self.merged.push(merged);
            return Ok(());
        };
        let _ = at;
        if !merged && !*known_merged {
            return Err(ReadError {
                kind: ReadErrorKind::DuplicateKey,
                span: entry.key_span,
                message: format!(
                    "the key `{}` stands here and on line {} column {}",
                    entry.key, known.key_span.line, known.key_span.column
                ),
                hint: Some("keep one of the two".to_owned()),
            });
        }
        *known = entry;
        *known_merged = merged;
        Ok(())
    }
}

/// Refuses what JSON has no value for.
fn checked(value: Value) -> Result<Node, ReadError> {
    match value.scalar {
        Some(Scalar::Float(float)) if !float.is_finite() => Err(value_error(
            value.node.span,
            "JSON, and so Kubernetes, has no infinite number and no NaN".to_owned(),
            Some("quote it if a text is meant"),
        )),
        _ => Ok(value.node),
    }
}

fn value_error(span: Span, message: String, hint: Option<&str>) -> ReadError {
    ReadError { kind: ReadErrorKind::Value, span, message, hint: hint.map(str::to_owned) }
}

/// Long texts count for several values, so that aliases cannot multiply them unnoticed.
fn weight(text: &str) -> usize {
    1 + text.len() / 64
}

fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn line(mark: Mark) -> u32 {
    number(mark.line).saturating_add(1)
}

fn span(start: Mark, end: Mark) -> Span {
    let length = if start.line == end.line { number(end.column.saturating_sub(start.column)) } else { 1 };
    Span { line: line(start), column: number(start.column).saturating_add(1), length: length.max(1) }
}
