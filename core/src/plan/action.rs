//! What a plan consists of: writes in their order, and where each constraint stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    audit::Subject,
    identity::{ConstraintId, PolicyHash, Stage},
    plan::{Drift, ObjectKey, Record},
    rollout::{PersonIntent, Waiting},
};

/// The order of writes: what weakens by a person's or git's word before a template is replaced, then
/// templates, then constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Back to dryrun before a restart replaces the template.
    Weaken,
    /// Templates.
    Templates,
    /// Constraints.
    Constraints,
}

/// Why an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// New to cluster and store.
    Create,
    /// Takes over stage and soak of one that git no longer has.
    Rename(ConstraintId),
    /// A new version at dryrun, or of a template none of whose constraints is past dryrun.
    Update,
    /// A new version at the same stage, by strategy `Apply` or by a person.
    Swap,
    /// A new version, back at dryrun, by strategy `Restart`.
    Restart,
    /// A stage further, or back because git lowered the target.
    Move(Stage, Stage),
    /// The same verdicts, other text.
    Cosmetic,
    /// Exemptions changed.
    Exemptions,
    /// Drift is put back.
    Restore(Drift),
    /// A person's annotation is used up.
    Consume,
}

impl Change {
    /// Whether it only puts back what was decided before: such a write goes on even while the store is down.
    pub fn restores(&self) -> bool {
        matches!(self, Self::Restore(_))
    }

    /// One word for the history.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Rename(_) => "renamed",
            Self::Update => "updated",
            Self::Swap => "swapped",
            Self::Restart => "restarted",
            Self::Move(from, to) if to > from => "promoted",
            Self::Move(..) => "lowered",
            Self::Cosmetic => "rewritten",
            Self::Exemptions => "exemptions",
            Self::Restore(_) => "restored",
            Self::Consume => "resumed",
        }
    }
}

/// One object to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Which object.
    pub key: ObjectKey,
    /// When, within the sync.
    pub phase: Phase,
    /// Why.
    pub change: Change,
    /// The whole manifest.
    pub manifest: Value,
    /// The live version to replace; `None` where the object must not exist.
    pub expected: Option<String>,
    /// The state after it.
    pub record: Record,
    /// The state before it.
    pub before: Option<Record>,
    /// In words, for the history.
    pub reason: String,
    /// Who, where it was a person.
    pub by: Option<PersonIntent>,
    /// What the decision rests on.
    pub evidence: Value,
}

/// Where a constraint stands, beyond waiting for its next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Git's version is in force.
    Current,
    /// Enters now, at dryrun or, renamed, at its old stage.
    Entering,
    /// New in git, waits because its template is held.
    Pending,
    /// Git has another version, held back.
    HeldVersion,
    /// Its policy unit is refused; it stays as enforced.
    Refused,
    /// Exists and is not ours.
    Foreign,
    /// Its state is missing or contradictory.
    Unknown,
    /// Git no longer has it; it goes, or its removal is held.
    Removed,
}

/// One constraint after the plan; the JSON form is that of `rollout status -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintStatus {
    /// Kind and name.
    pub constraint: ConstraintId,
    /// The stage after the plan; `None` where it is not on the cluster.
    pub stage: Option<Stage>,
    /// The target in git; `None` where git does not have it.
    pub target: Option<Stage>,
    /// Since when it stands at this stage.
    pub since: Option<Timestamp>,
    /// The version in force.
    pub hash: Option<PolicyHash>,
    /// The version git has, where it is another one.
    pub candidate: Option<PolicyHash>,
    /// How it stands.
    pub state: State,
    /// What it waits for, where git's version is in force.
    pub waiting: Option<Waiting>,
    /// The sentence of rule 9.
    pub next: String,
    /// What would be blocked if it were promoted now.
    pub would_block: Vec<Subject>,
    /// Why audits cannot judge it.
    pub not_auditable: Option<String>,
}

impl ConstraintStatus {
    /// Whether something other than soak and gates holds it: a changed policy, a person, an unknown state.
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::HeldVersion | State::Pending | State::Foreign | State::Unknown)
            || self.waiting == Some(Waiting::Held)
    }
}
