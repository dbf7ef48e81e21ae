//! The rows of the report's tables.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConstraintState, RunFacts, Severity};
use crate::identity::{ConstraintId, Stage};

/// What the audit says about a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// At least one object violates it.
    Violated,
    /// Not everything it is about could be judged; nothing judged violates it.
    Incomplete,
    /// Stored objects cannot tell.
    NotAuditable,
    /// No audit has judged it yet.
    NotAudited,
    /// Everything that violates it is excused, and nothing passes.
    Exempt,
    /// There is no object it is about.
    NothingToCheck,
    /// Everything it is about was judged and passes, excused objects apart.
    Met,
}

/// A constraint with what the audit says about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintRow {
    /// The constraint as it is enforced now.
    #[serde(flatten)]
    pub state: ConstraintState,
    /// What the audit says.
    pub verdict: Verdict,
    /// Objects evaluated, of the whole cluster.
    pub evaluated: u64,
    /// Of them with a violation that is not excused.
    pub violated: u64,
    /// Of them with violations that are all excused.
    pub exempt: u64,
    /// Objects whose match or evaluation failed.
    pub errors: u64,
    /// Share of its objects that were judged, 0 to 100; `null` where there is none.
    pub coverage: Option<f64>,
    /// Subjects in this report that violate it, excused ones apart.
    pub failing: u64,
    /// Of them new since the previous report.
    pub new: u64,
    /// The oldest open violation was first seen then.
    pub oldest: Option<Timestamp>,
    /// Subjects that would be refused if it went to deny now; `null` where it is at deny already, or
    /// where no audit can tell.
    pub would_block: Option<u64>,
}

impl ConstraintRow {
    /// Whether it is as far as git lets it go.
    pub fn at_target(&self) -> bool {
        self.state.stage.is_some_and(|stage| stage >= self.state.target)
    }

    /// Whether there is nothing to tell: at its target, nothing open, everything judged.
    pub fn is_quiet(&self) -> bool {
        self.at_target()
            && self.state.held.is_none()
            && matches!(self.verdict, Verdict::Met | Verdict::NothingToCheck)
    }

    /// Whether it is enforced: at deny.
    pub fn enforced(&self) -> bool {
        self.state.stage == Some(Stage::Deny)
    }
}

/// Counts by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeverityCounts {
    /// Critical.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Medium.
    pub medium: u64,
    /// Low.
    pub low: u64,
}

impl SeverityCounts {
    /// The count of one severity.
    pub fn of(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Critical => self.critical,
            Severity::High => self.high,
            Severity::Medium => self.medium,
            Severity::Low => self.low,
        }
    }

    /// Counts one more.
    pub fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Critical => self.critical += 1,
            Severity::High => self.high += 1,
            Severity::Medium => self.medium += 1,
            Severity::Low => self.low += 1,
        }
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.critical + self.high + self.medium + self.low
    }
}

/// Open violations of one namespace, excused ones apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceRow {
    /// The namespace; empty for objects that belong to none.
    pub namespace: String,
    /// Violations by severity.
    pub open: SeverityCounts,
    /// Of them against a policy at deny.
    pub open_at_deny: u64,
}

/// How far a standard is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StandardStatus {
    /// Something violates one of its policies.
    Violated,
    /// Not everything was judged; nothing judged violates it.
    Unknown,
    /// Nothing violates it, but not all its policies are enforced.
    Observed,
    /// All its policies are at deny, everything was judged, nothing violates it.
    Enforced,
}

/// A standard's control and the policies that serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandardRow {
    /// The control, for example `cis-5.2.6`.
    pub control: String,
    /// How far it is served.
    pub status: StandardStatus,
    /// The policies that serve it.
    pub constraints: Vec<ConstraintId>,
    /// How many of them are at deny.
    pub enforced: u64,
    /// Distinct subjects that violate one of them, excused ones apart.
    pub failing: u64,
}

/// What nobody looked at, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotEvaluated {
    /// Policies that stored objects cannot tell about.
    pub not_auditable: Vec<NotAuditable>,
    /// Policies that no audit has judged yet.
    pub not_audited: Vec<ConstraintId>,
    /// Nobody knows the verdict.
    pub unknown: Vec<Gap>,
    /// Evaluated, but not enforced there.
    pub not_enforced: Vec<Gap>,
}

impl NotEvaluated {
    /// Whether a run is incomplete for more than the policies that no audit can judge.
    pub fn leaves_open(&self, run: &RunFacts) -> bool {
        !run.complete && (!self.unknown.is_empty() || self.not_auditable.is_empty() || run.finished.is_none())
    }

    /// Whether everything was evaluated, and is enforced where it was.
    pub fn is_empty(&self) -> bool {
        self.not_auditable.is_empty()
            && self.not_audited.is_empty()
            && self.unknown.is_empty()
            && self.not_enforced.is_empty()
    }
}

/// A policy that stored objects cannot tell about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotAuditable {
    /// The policy.
    pub constraint: ConstraintId,
    /// Why not.
    pub reason: String,
}

/// One reason for not looking, with all it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// What happened, in words.
    pub reason: String,
    /// Objects or files concerned; the most that any one constraint misses.
    pub count: u64,
    /// The kinds of objects; `*` where every kind may be concerned.
    pub kinds: Vec<String>,
    /// Whether it touches every constraint.
    pub everywhere: bool,
    /// The constraints it touches, where it does not touch all.
    pub constraints: Vec<ConstraintId>,
}
