//! The report as data. Its JSON form is versioned by [`SCHEMA`]; fields may be added to a version, never
//! removed or given another meaning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Change, ConstraintState, Engine, ExemptionState, ReportFilter, ReportFinding, RolloutState, RunFacts,
    Severity, Source, SyncState, TrendPoint,
};
use crate::{
    audit::LedgerRow,
    identity::{ConstraintId, Stage},
};

/// The version of the report's JSON form, its field `schema`.
pub const SCHEMA: &str = "portcullis.dev/report/v1alpha1";

/// All that a report is made of; [`Report::build`] takes it.
#[derive(Clone, Debug)]
pub struct ReportInput {
    /// When the report is made.
    pub generated: Timestamp,
    /// The cluster.
    pub cluster: Cluster,
    /// The policies' origin; `None` before the first sync.
    pub source: Option<Source>,
    /// What judged the objects.
    pub engine: Engine,
    /// Who enforces: `simulated` on a directory cluster.
    pub enforced: String,
    /// The newest audit run; `None` before the first.
    pub run: Option<RunFacts>,
    /// All findings of that run.
    pub findings: Vec<ReportFinding>,
    /// Findings that are gone since the previous report.
    pub fixed: Vec<ReportFinding>,
    /// The ledger of that run.
    pub ledger: Vec<LedgerRow>,
    /// Every constraint in git or on the cluster.
    pub constraints: Vec<ConstraintState>,
    /// Past runs, in any order.
    pub trend: Vec<TrendPoint>,
    /// The score of the previous report.
    pub previous_score: Option<f64>,
    /// What happened since the previous report, in any order.
    pub changes: Vec<Change>,
    /// The Rollouts.
    pub rollouts: Vec<RolloutState>,
    /// The Exemptions.
    pub exemptions: Vec<ExemptionState>,
    /// How git and cluster compare.
    pub sync: SyncState,
    /// What the report is limited to.
    pub filter: ReportFilter,
}

/// A compliance report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Where the figures come from.
    pub provenance: Provenance,
    /// What a reader must know before reading on, the gravest first.
    pub notices: Vec<Notice>,
    /// What the report is limited to; absent where it covers everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ReportFilter>,
    /// The figures at a glance.
    pub summary: Summary,
    /// Past runs, oldest first, of the whole cluster.
    pub trend: Vec<TrendPoint>,
    /// What happened since the previous report, newest first.
    pub changes: Vec<Change>,
    /// One row per constraint, what needs attention first.
    pub constraints: Vec<ConstraintRow>,
    /// Open violations by namespace, the worst first.
    pub namespaces: Vec<NamespaceRow>,
    /// Standards the constraints serve, by name.
    pub standards: Vec<StandardRow>,
    /// Rollouts, by name.
    pub rollouts: Vec<RolloutState>,
    /// Exemptions, the next to end first.
    pub exemptions: Vec<ExemptionState>,
    /// What nobody looked at, and why.
    pub not_evaluated: NotEvaluated,
    /// How git and cluster compare.
    pub sync: SyncState,
    /// Every finding, excused ones included; by severity, constraint, subject.
    pub findings: Vec<ReportFinding>,
    /// Findings that are gone since the previous report, in the same order.
    pub fixed: Vec<ReportFinding>,
}

/// The cluster a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The instance of Portcullis that looks after it.
    pub instance: String,
}

/// Where the figures come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// When the report was made.
    pub generated: Timestamp,
    /// The cluster.
    pub cluster: Cluster,
    /// The policies' origin; `null` before the first sync.
    pub source: Option<Source>,
    /// What judged the objects.
    pub engine: Engine,
    /// Who enforces: `simulated` on a directory cluster.
    pub enforced: String,
    /// The audit run; `null` before the first.
    pub run: Option<RunFacts>,
}

/// How urgent a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoticeLevel {
    /// The figures cannot be relied on as they stand.
    Alarm,
    /// Something needs a person.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something a reader must know before reading on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// How urgent.
    pub level: NoticeLevel,
    /// In a few words.
    pub title: String,
    /// What it means, in whole sentences.
    pub text: String,
}

/// How the cluster stands, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// No audit has run yet.
    #[default]
    NoEvidence,
    /// There is no policy.
    NoPolicies,
    /// The newest audit is incomplete: there may be more than is known.
    Incomplete,
    /// At least one enforced policy is violated.
    Violated,
    /// Violations are open, none of them against an enforced policy.
    Open,
    /// No violation is open.
    InOrder,
}

/// The figures at a glance. Violations are counted by fingerprint, policies by constraint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How the cluster stands.
    pub standing: Standing,
    /// The findings of the report in plain sentences.
    pub sentences: Vec<String>,
    /// Share of what was judged that passes, weighted by severity, 0 to 100, rounded down to a tenth, of the
    /// whole cluster; `null` where nothing was judged.
    pub score: Option<f64>,
    /// The score of the previous report.
    pub previous_score: Option<f64>,
    /// `score - previousScore`.
    pub score_delta: Option<f64>,
    /// Share of what should have been judged that was, 0 to 100, rounded down to a tenth, of the whole cluster;
    /// `null` where there was nothing to judge.
    pub coverage: Option<f64>,
    /// Open violations, excused ones apart.
    pub open: u64,
    /// Of them never seen before.
    pub new: u64,
    /// Of them fixed once and back again.
    pub regressed: u64,
    /// Violations that are gone since the previous report.
    pub fixed: u64,
    /// Of the open ones those against a policy at deny: they exist and would be refused on their next change.
    pub open_at_deny: u64,
    /// Distinct subjects that would be refused if every policy went to its target now, in addition to those that
    /// are refused already.
    pub would_block: u64,
    /// Violations an Exemption excuses.
    pub exempt: u64,
    /// Exemptions in force.
    pub exemptions: u64,
    /// Of them ending within 30 days.
    pub exemptions_expiring: u64,
    /// Exemptions that are past their last day.
    pub exemptions_expired: u64,
    /// Objects a policy could not be asked about.
    pub errors: u64,
    /// Policies.
    pub policies: u64,
    /// Of them at deny.
    pub deny: u64,
    /// Of them at warn.
    pub warn: u64,
    /// Of them at dryrun.
    pub dryrun: u64,
    /// Of them not on the cluster yet.
    pub pending: u64,
    /// Policies held by a person or a problem.
    pub held: u64,
    /// Policies that stored objects cannot tell about.
    pub not_auditable: u64,
}

impl Summary {
    /// How the cluster stands, in a short sentence.
    pub fn headline(&self) -> &'static str {
        let enforced = self.deny > 0;
        match self.standing {
            Standing::NoEvidence => "Nothing is known yet",
            Standing::NoPolicies => "No policies are in place",
            Standing::Incomplete => "Not everything was checked",
            Standing::Violated => "Enforced policies are violated",
            Standing::Open if enforced => "Enforced policies are kept, others are not yet",
            Standing::Open => "Violations are open, no policy is enforced yet",
            Standing::InOrder if !enforced => "No violation is open, no policy is enforced yet",
            Standing::InOrder if self.coverage == Some(100.0) => "No violation is open",
            Standing::InOrder => "No violation is open in what was checked",
        }
    }
}

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
