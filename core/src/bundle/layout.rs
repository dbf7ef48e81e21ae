//! What every file of the tree is taken for.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::Serialize;

use super::{
    SourceFile, codes,
    findings::{Findings, words},
};
use crate::problem::{Severity, Span};

/// One file and what it is taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayoutEntry {
    /// Path from the root of the repository.
    pub path: String,
    /// What it is.
    pub class: LayoutClass,
    /// Why, in words: the documents it holds, the suite that names it, the file that ignores it.
    pub detail: String,
    /// Documents of a policy repository in it.
    pub documents: usize,
}

/// What a file is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutClass {
    /// Its documents are policy.
    Policy,
    /// Suites read it, nothing is applied.
    Fixture,
    /// A `.portcullisignore` names it.
    Ignored,
    /// No document file.
    Other,
}

impl LayoutClass {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Fixture => "fixture",
            Self::Ignored => "ignored",
            Self::Other => "other",
        }
    }
}

/// The name of the files that keep others from being applied.
pub(super) const IGNORE_FILE: &str = ".portcullisignore";

/// All `.portcullisignore` files of a tree, the deepest first.
pub(super) struct Ignores(Vec<(String, String, Gitignore)>);

impl Ignores {
    pub fn read(files: &[SourceFile], findings: &mut Findings) -> Self {
        let mut found = Vec::new();
        for file in files.iter().filter(|file| file.issue.is_none()) {
            let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
            if name != IGNORE_FILE {
                continue;
            }
            let text = String::from_utf8_lossy(&file.bytes);
            let mut builder = GitignoreBuilder::new("");
            for (line, number) in text.lines().zip(1_u32..) {
                if let Err(error) = builder.add_line(None, line) {
                    let length = u32::try_from(line.chars().count()).unwrap_or(1).max(1);
                    findings.add(
                        &file.path,
                        Span { line: number, column: 1, length },
                        Severity::Error,
                        words(codes::IGNORE_LINE, format!("not a pattern: {error}"))
                            .hint("the syntax is gitignore's"),
                    );
                }
            }
            match builder.build() {
                Ok(ignore) => found.push((folder.to_owned(), file.path.clone(), ignore)),
                Err(error) => findings.add(
                    &file.path,
                    Span::default(),
                    Severity::Error,
                    words(codes::IGNORE_LINE, error.to_string()),
                ),
            }
        }
        found.sort_by_key(|(folder, _, _)| {
            std::cmp::Reverse(folder.split('/').filter(|part| !part.is_empty()).count())
        });
        Self(found)
    }

    /// The file that has a path ignored.
    pub fn by(&self, path: &str) -> Option<&str> {
        for (folder, file, ignore) in &self.0 {
            let relative = if folder.is_empty() {
                Some(path)
            } else {
                path.strip_prefix(folder.as_str()).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(relative) = relative.filter(|path| !path.starts_with('/')) else { continue };
            let matched = ignore.matched_path_or_any_parents(relative, false);
            if matched.is_ignore() {
                return Some(file);
            }
            if matched.is_whitelist() {
                return None;
            }
        }
        None
    }
}
