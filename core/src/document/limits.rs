//! How much of a document is read before it is refused.

use super::{ReadError, ReadErrorKind};
use crate::problem::Span;

/// Bounds of one text and its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nesting.
    pub depth: usize,
    /// Values of one document, those that aliases stand for included.
    pub nodes: usize,
    /// Bytes of the text.
    pub bytes: usize,
}

impl Default for Limits {
    /// 100 levels, 2,000,000 values, 256 MiB.
    fn default() -> Self {
        Self { depth: 100, nodes: 2_000_000, bytes: 256 << 20 }
    }
}

impl Limits {
    /// Values that aliases may add to a document of a text with so many bytes: generous for what
    /// people write, far from what a bomb needs.
    pub(super) fn alias_nodes(&self, bytes: usize) -> usize {
        bytes.saturating_mul(10).saturating_add(10_000).min(400_000).min(self.nodes)
    }

    /// Refuses a text with too many bytes.
    pub(super) fn admit(&self, bytes: usize) -> Result<(), ReadError> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(ReadError {
            kind: ReadErrorKind::Bounds,
            span: Span::default(),
            message: format!("the file has {bytes} bytes, at most {} are read", self.bytes),
            hint: Some("split it, or keep it out of the folder".to_owned()),
        })
    }

    pub(super) fn too_deep(&self, span: Span) -> ReadError {
        ReadError {
            kind: ReadErrorKind::Bounds,
            span,
            message: format!("the document nests deeper than {} levels", self.depth),
            hint: None,
        }
    }
}
