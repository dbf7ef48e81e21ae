//! What documents ask for that a later version acts on: an error on its line, and nothing it is about
//! goes further than dryrun.

use super::{
    codes,
    findings::{Findings, Reporter, key_span, words},
    read::Raw,
};
use crate::document::Node;

/// Annotations in git that are not acted on yet.
const ANNOTATIONS: [&str; 4] =
    ["portcullis.dev/adopt", "portcullis.dev/clusters", "portcullis.dev/expedite", "portcullis.dev/override"];

/// Reports such annotations of a template or a constraint.
pub(super) fn annotations(node: &Node, out: &mut Reporter<'_>) {
    let Some(annotations) = node.find("/metadata/annotations") else { return };
    for entry in annotations.entries().iter().filter(|entry| ANNOTATIONS.contains(&entry.key.as_str())) {
        out.unsupported(
            entry.key_span,
            words(codes::UNSUPPORTED, format!("the annotation {} is not supported yet", entry.key))
                .hint("until it is, what it is about goes no further than dryrun; remove it to go on"),
        );
    }
}

/// Why a document's annotations keep it at dryrun.
pub(super) fn reason(node: &Node) -> Option<String> {
    let annotations = node.find("/metadata/annotations")?;
    let entry = annotations.entries().iter().find(|entry| ANNOTATIONS.contains(&entry.key.as_str()))?;
    Some(format!("{} is not supported yet", entry.key))
}

/// Reports a field of one of our documents.
pub(super) fn field(node: &Node, pointer: &str, what: &str, out: &mut Reporter<'_>) {
    out.unsupported(
        key_span(node, pointer),
        words(codes::UNSUPPORTED, format!("`{what}` is not supported yet"))
            .hint("until it is, the constraints concerned go no further than dryrun; remove it to go on"),
    );
}

/// Reports a document as a whole.
pub(super) fn document(raw: &Raw, findings: &mut Findings) {
    let span = key_span(&raw.node, "/kind");
    findings.at(&raw.location.file, None).unsupported(
        span,
        words(codes::UNSUPPORTED, format!("{} documents are not supported yet", raw.kind))
            .hint("apply it by other means, and name the file in .portcullisignore"),
    );
}
