//! What was evaluated, and what was not and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::ConstraintId;

/// Why something was not evaluated, by its consequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HoleClass {
    /// Nobody knows the verdict: the run is incomplete for the constraint.
    Unknown,
    /// Evaluated, but Gatekeeper does not enforce there: makes nothing incomplete.
    NotEnforced,
}

/// One kind of hole and how often it occurred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Hole {
    /// Consequence.
    pub class: HoleClass,
    /// What happened, in words, with the place where known.
    pub reason: String,
    /// Objects (or files) concerned.
    pub count: u64,
}

/// One constraint against one kind of object; the JSON form is the one of `portcullis audit -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRow {
    /// The constraint.
    pub constraint: ConstraintId,
    /// API group of the objects, `*` where the hole touches every kind.
    pub group: String,
    /// Kind of the objects, `*` where the hole touches every kind.
    pub kind: String,
    /// Objects that matched and were evaluated.
    pub evaluated: u64,
    /// Objects with at least one violation, exempt ones apart.
    pub violated: u64,
    /// Objects with violations that are all excused.
    pub exempt: u64,
    /// Objects whose match or evaluation failed.
    pub errors: u64,
    /// What was not evaluated.
    pub holes: Vec<Hole>,
}

/// The ledger of one run; merges associatively, so workers keep their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    rows: BTreeMap<(ConstraintId, String, String), Counts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    evaluated: u64,
    violated: u64,
    exempt: u64,
    errors: u64,
    holes: BTreeMap<(HoleClass, String), u64>,
}
