//! Problems on their way: collected with what they refuse.

use std::collections::BTreeMap;

use crate::{
    document::Node,
    problem::{Problem, Severity, Span},
};

/// Everything found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub problems: Vec<Problem>,
    /// Lower-case kinds of refused units, with the first reason.
    pub refused: BTreeMap<String, String>,
    pub refused_whole: bool,
}

/// What a problem says.
pub(super) struct Words {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

/// A problem without advice.
pub(super) fn words(code: &'static str, message: impl Into<String>) -> Words {
    Words { code, message: message.into(), hint: None }
}

impl Words {
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl Findings {
    pub fn add(&mut self, file: &str, span: Span, severity: Severity, words: Words) {
        self.problems.push(Problem {
            file: file.to_owned(),
            span,
            severity,
            code: words.code,
            message: words.message,
            hint: words.hint,
        });
    }

    /// Refuses the unit of a kind; the first reason stays.
    pub fn refuse(&mut self, kind: &str, why: impl Into<String>) {
        self.refused.entry(kind.to_lowercase()).or_insert_with(|| why.into());
    }

    pub fn at<'a>(&'a mut self, file: &'a str, unit: Option<&'a str>) -> Reporter<'a> {
        Reporter { findings: self, file, unit, errors: 0 }
    }
}

/// Reports on one document; its errors refuse its unit, where it belongs to one.
pub(super) struct Reporter<'a> {
    findings: &'a mut Findings,
    file: &'a str,
    unit: Option<&'a str>,
    pub errors: usize,
}

impl Reporter<'_> {
    pub fn report(&mut self, severity: Severity, span: Span, words: Words) {
        if severity == Severity::Error {
            self.errors += 1;
            if let Some(unit) = self.unit {
                let why = format!("{} ({}:{})", words.message, self.file, span.line);
                self.findings.refuse(unit, why);
            }
        }
        self.findings.add(self.file, span, severity, words);
    }

    pub fn error(&mut self, span: Span, words: Words) {
        self.report(Severity::Error, span, words);
    }

    pub fn warning(&mut self, span: Span, words: Words) {
        self.report(Severity::Warning, span, words);
    }

    pub fn note(&mut self, span: Span, words: Words) {
        self.report(Severity::Note, span, words);
    }

    /// An error that refuses nothing: what it is about is only held back.
    pub fn unsupported(&mut self, span: Span, words: Words) {
        self.findings.add(self.file, span, Severity::Error, words);
    }
}

/// The place of the key at a JSON pointer, else of the nearest thing above it.
pub(super) fn key_span(node: &Node, pointer: &str) -> Span {
    let entry = pointer
        .rsplit_once('/')
        .and_then(|(parent, key)| node.find(parent)?.entry(&key.replace("~1", "/").replace("~0", "~")));
    entry.map_or_else(|| node.span_at(pointer), |entry| entry.key_span)
}

/// The place of the value at a JSON pointer: its key where the value is a block below it.
pub(super) fn value_span(node: &Node, pointer: &str) -> Span {
    match node.find(pointer) {
        Some(value) if value.entries().is_empty() && value.items().is_empty() && value.block.is_none() => {
            value.span
        }
        _ => key_span(node, pointer),
    }
}

/// A JSON pointer one level down.
pub(super) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
