//! Mistakes in what people wrote, as data: where, what, and what to do.

use serde::Serialize;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy unit, or the revision, is refused.
    Error,
    /// It works, but probably not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// A place in a text: 1-based line and column (in characters), and a length in characters on that line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Line, from 1; 0 where the problem concerns the whole file.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Characters to underline, at least 1 where known.
    pub length: u32,
}

/// One problem in a file of the policy repository or the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Path from the root of what was read.
    pub file: String,
    /// Where in the file.
    #[serde(flatten)]
    pub span: Span,
    /// How bad.
    pub severity: Severity,
    /// Stable code, for example `PC0201`; `docs/checks.md` explains each.
    pub code: &'static str,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
