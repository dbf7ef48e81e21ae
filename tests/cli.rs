//! The real binary as people and scripts use it: exit codes, messages, shapes, and what bad input leaves as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share fail as tests do"
)]

mod configuration;
mod people;
mod policies;
mod shapes;
mod surroundings;

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    e2e::documents::{deployment, labels, paced, wants},
    support::program::{Program, Ran},
};

const TEMPLATE: &str = "labels/template.yaml";
const OWNER: &str = "labels/owner.yaml";

/// A program whose first sync put `K8sLabels/owner` into force at dryrun.
fn in_step(more: &str) -> Program {
    let program = Program::new(more);
    program.object("cart.yaml", &deployment("shop", "cart", "{app: cart}"));
    let files = [
        ("rollouts.yaml", paced("1h", "Shadow")),
        (TEMPLATE, labels("K8sLabels", "")),
        (OWNER, wants("K8sLabels", "owner", "owner", "deny")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    program.repo.commit("labels", &files);
    program.run(&["sync", "--once"]).ended(0, &["created", "K8sLabels/owner", "in step at"]);
    program
}

/// Every file in the cluster's `policies/`, byte for byte.
fn enforced(program: &Program) -> BTreeMap<String, Vec<u8>> {
    let root = program.path("cluster/policies");
    let entries = walkdir::WalkDir::new(&root).into_iter();
    entries
        // The folder is made by the first sync.
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (entry.path().display().to_string(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// A sync that ends with this code, says this, and changes nothing that is enforced.
fn sync_changes_nothing(program: &Program, code: i32, phrases: &[&str]) -> Ran {
    let before = enforced(program);
    let ran = program.run(&["sync", "--once"]).ended(code, phrases);
    assert_eq!(enforced(program), before);
    ran
}

/// The names of an object's fields.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Fails where an object lacks one of these fields; more may be there.
fn has_fields(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "no `{name}` in {:?}", fields(value));
    }
}
