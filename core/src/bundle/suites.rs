//! Suites, as far as the bundle needs them: which files they name, and as what.

use serde_json::Value;

use super::{Location, SuiteFile, read::Raw};

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
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
