//! Suites, as far as the bundle needs them: which files they name, and as what.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Bundle, Location, SuiteFile, read::Raw};
use crate::{problem::Severity, suite::SuiteResult};

/// What a suite takes a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A template, a constraint or an expansion: policy wherever it lies.
    Policy,
    /// A sample, an inventory, or a constraint that must be refused.
    Fixture,
}

/// One file that a suite names.
pub(super) struct Named {
    pub path: String,
    pub role: Role,
    pub is_template: bool,
}

/// Takes a document for a suite.
pub(super) fn suite(raw: &Raw) -> SuiteFile {
    SuiteFile {
        location: Location { ..raw.location.clone() },
        name: raw.name.clone(),
        manifest: raw.manifest.clone(),
    }
}

impl SuiteFile {
    /// The templates, constraints and expansions it names, as paths from the root of the repository.
    pub fn policy_files(&self) -> Vec<String> {
        named(self).into_iter().filter(|named| named.role == Role::Policy).map(|named| named.path).collect()
    }
}

impl Bundle {
    /// Takes the results of the suites: a failing one is a problem, and refuses the policy units it tests.
    pub fn judge_by_suites(&mut self, results: &[SuiteResult]) {
        for result in results {
            let problems = result.problems();
            let first = problems.iter().find(|problem| problem.severity == Severity::Error);
            if let Some(first) = first {
                let why = format!("{}:{}: {} {}", first.file, first.span.line, first.code, first.message);
                let tested: BTreeSet<String> = self
                    .suites
                    .iter()
                    .filter(|suite| suite.location.file == result.file)
                    .flat_map(SuiteFile::policy_files)
                    .collect();
                let kinds = self.templates.iter().filter(|template| tested.contains(&template.location.file));
                for kind in kinds.map(|template| template.spec.kind.to_lowercase()) {
                    self.refused.entry(kind).or_insert_with(|| why.clone());
                }
            }
            self.problems.extend(problems);
        }
        self.problems.sort();
    }

    /// The files with suites whose policies are without errors so far: a policy that does not compile fails
    /// its suite as well, and one problem is enough.
    pub fn suites_to_run(&self) -> Vec<String> {
        let wrong: BTreeSet<&str> = self
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| problem.file.as_str())
            .collect();
        let mut files: Vec<String> = self.suites.iter().map(|suite| suite.location.file.clone()).collect();
        files.dedup();
        files.retain(|file| {
            let mut named = self.suites.iter().filter(|suite| suite.location.file == *file);
            !named.any(|suite| suite.policy_files().iter().any(|file| wrong.contains(file.as_str())))
        });
        files
    }
}

/// The files a suite names, as paths from the root of the repository.
pub(super) fn named(suite: &SuiteFile) -> Vec<Named> {
    let folder = suite.location.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    let mut add = |value: Option<&Value>, role: Role, is_template: bool| {
        if let Some(path) = value.and_then(Value::as_str).and_then(|path| resolve(folder, path)) {
            found.push(Named { path, role, is_template });
        }
    };
    let list = |value: &Value, field: &str| -> Vec<Value> {
        value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for test in list(&suite.manifest, "tests") {
        let invalid = test.get("invalid").and_then(Value::as_bool).unwrap_or(false);
        add(test.get("template"), Role::Policy, true);
        add(test.get("expansion"), Role::Policy, false);
        add(test.get("constraint"), if invalid { Role::Fixture } else { Role::Policy }, false);
        for case in list(&test, "cases") {
            add(case.get("object"), Role::Fixture, false);
            for inventory in list(&case, "inventory") {
                add(Some(&inventory), Role::Fixture, false);
            }
        }
    }
    found
}

/// A path relative to a folder, without `.` and `..`; `None` where it leaves the tree.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // A tree may itself be named from below: `../policies`.
            ".." if parts.last() == Some(&"..") => return None,
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}
