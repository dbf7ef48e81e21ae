//! Files into documents, and what a document is by its `apiVersion` and `kind`.

use serde_json::Value;

use super::{
    DocKind, FileIssue, Location, SourceFile, codes,
    findings::{Findings, Words, key_span, words},
};
use crate::{
    document::{Limits, Node, ReadError, ReadErrorKind, json, yaml},
    problem::{Severity, Span},
};

/// One document.
pub(super) struct Raw {
    pub location: Location,
    pub node: Node,
    pub manifest: Value,
    pub api_version: String,
    pub kind: String,
    /// `metadata.name`, empty where it has none.
    pub name: String,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Template,
    Constraint,
    Ours(DocKind),
    Suite,
    /// Kinds that a later version acts on.
    Later,
    /// Kinds of Gatekeeper's surroundings that others manage.
    Unmanaged,
    Unknown,
    Nameless,
}

impl Raw {
    fn new(file: &str, node: Node) -> Self {
        let text = |pointer: &str| node.find(pointer).and_then(Node::as_str).unwrap_or("").to_owned();
        Self {
            location: Location { file: file.to_owned(), span: start(&node) },
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            name: text("/metadata/name"),
            manifest: node.to_json(),
            node,
        }
    }

    pub fn sort(&self) -> Sort {
        if self.api_version.is_empty() || self.kind.is_empty() {
            return Sort::Nameless;
        }
        let group = self.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        match (group, self.kind.as_str()) {
            ("templates.gatekeeper.sh", "ConstraintTemplate") => Sort::Template,
            ("constraints.gatekeeper.sh", _) => Sort::Constraint,
            ("test.gatekeeper.sh", "Suite") => Sort::Suite,
            ("syncset.gatekeeper.sh", "SyncSet")
            | ("expansion.gatekeeper.sh", "ExpansionTemplate")
            | ("config.gatekeeper.sh", "Config") => Sort::Later,
            ("mutations.gatekeeper.sh" | "kustomize.config.k8s.io", _)
            | ("externaldata.gatekeeper.sh", "Provider") => Sort::Unmanaged,
            ("portcullis.dev", kind) if self.api_version == "portcullis.dev/v1alpha1" => match kind {
                "Rollout" => Sort::Ours(DocKind::Rollout),
                "Exemption" => Sort::Ours(DocKind::Exemption),
                "ExemptionPolicy" => Sort::Ours(DocKind::ExemptionPolicy),
                _ => Sort::Unknown,
            },
            _ => Sort::Unknown,
        }
    }
}

/// The place to show for a document as a whole: its first key.
fn start(node: &Node) -> Span {
    node.entries().first().map_or(node.span, |entry| entry.key_span)
}

/// Whether a file is one that holds documents.
pub(super) fn is_document_file(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The documents of a file. What cannot be read refuses the revision.
pub(super) fn documents(file: &SourceFile, limits: &Limits, findings: &mut Findings) -> Vec<Raw> {
    let read = if file.path.to_ascii_lowercase().ends_with(".json") {
        json::read(&file.bytes, limits).map(|node| vec![node])
    } else {
        yaml::read(&file.bytes, limits)
    };
    match read {
        Ok(nodes) => nodes.into_iter().map(|node| Raw::new(&file.path, node)).collect(),
        Err(error) => {
            findings.refused_whole = true;
            findings.add(&file.path, error.span, Severity::Error, unreadable(error));
            Vec::new()
        }
    }
}

fn unreadable(error: ReadError) -> Words {
    let code = match error.kind {
        ReadErrorKind::Syntax => codes::SYNTAX,
        ReadErrorKind::DuplicateKey => codes::DUPLICATE_KEY,
        ReadErrorKind::Value => codes::UNREADABLE_VALUE,
        ReadErrorKind::Bounds => codes::BOUNDS,
        ReadErrorKind::Encoding => codes::ENCODING,
    };
    words(code, error.message).maybe_hint(error.hint)
}

/// Reports what the source could not read.
pub(super) fn issue(path: &str, issue: &FileIssue, findings: &mut Findings) {
    let words = match issue {
        FileIssue::Symlink => words(codes::NO_FILE, "a symbolic link, and links are not followed")
            .hint("put the file itself here, or name its folder in source.paths"),
        FileIssue::Submodule => words(codes::NO_FILE, "a submodule, and submodules are not fetched")
            .hint("copy its files into this repository"),
        FileIssue::TooLarge { bytes, limit } => {
            findings.refused_whole = true;
            words(codes::BOUNDS, format!("the file has {bytes} bytes, at most {limit} are read"))
                .hint("split it, keep it out of the folder, or raise source.limits.fileSize")
        }
        FileIssue::Unreadable(why) => {
            findings.refused_whole = true;
            words(codes::NO_FILE, format!("the file cannot be read: {why}"))
        }
    };
    findings.add(path, Span::default(), Severity::Error, words);
}

/// Reports a document that is none of ours.
pub(super) fn foreign(raw: &Raw, sort: Sort, findings: &mut Findings) {
    let file = &raw.location.file;
    let span = key_span(&raw.node, "/kind");
    match sort {
        Sort::Nameless => {
            let missing = match (raw.api_version.is_empty(), raw.kind.is_empty()) {
                (true, true) => "apiVersion and kind",
                (true, false) => "apiVersion",
                _ => "kind",
            };
            findings.add(
                file,
                raw.location.span,
                Severity::Warning,
                words(codes::NAMELESS, format!("a document without {missing} is left alone"))
                    .hint("keep it out of the folder, or name it in .portcullisignore"),
            );
        }
        Sort::Unmanaged => findings.add(
            file,
            span,
            Severity::Warning,
            words(codes::UNMANAGED, format!("{} is not managed here", raw.kind))
                .hint("apply it by other means, and name it in .portcullisignore"),
        ),
        _ => {
            let ours = raw.api_version.starts_with("portcullis.dev/");
            let near = crate::document::closest(
                &raw.kind,
                ["Rollout", "Exemption", "ExemptionPolicy", "ConstraintTemplate", "Suite"],
            );
            let hint = match (near, raw.kind.as_str()) {
                (_, "PortcullisConfig") => "the daemon's configuration belongs outside the policy repository".to_owned(),
                (Some(near), _) if near == raw.kind => {
                    format!("{near} has another apiVersion: {}", home(near))
                }
                (Some(near), _) if ours => format!("did you mean {near}?"),
                _ => "samples of suites are named by their suite; anything else belongs elsewhere or in .portcullisignore".to_owned(),
            };
            findings.add(
                file,
                span,
                Severity::Error,
                words(
                    codes::UNKNOWN_DOCUMENT,
                    format!("{} of {} is no document of a policy repository", raw.kind, raw.api_version),
                )
                .hint(hint),
            );
        }
    }
}

fn home(kind: &str) -> &'static str {
    match kind {
        "ConstraintTemplate" => "templates.gatekeeper.sh/v1",
        "Suite" => "test.gatekeeper.sh/v1alpha1",
        _ => "portcullis.dev/v1alpha1",
    }
}
