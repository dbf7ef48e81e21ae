//! What a report is told: facts as the store and the cluster know them, taken over as they are.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Severity;
use crate::{
    audit::{Finding, Status},
    identity::{ConstraintId, PolicyHash, Revision, Stage},
    problem::Problem,
    rollout::{Change as ChangeSpec, RolloutSpec, Strategy},
};

/// Where the policies come from, and who vouches for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// URL of the repository; user and password are removed.
    pub url: String,
    /// The branch followed.
    pub branch: String,
    /// The commit in force.
    pub revision: Revision,
    /// First line of the commit's message.
    pub subject: String,
    /// Author, as the commit names them.
    pub author: String,
    /// When it was committed.
    pub committed: Timestamp,
    /// Who signed the commit; `None` where no signature was verified.
    pub signer: Option<String>,
}

/// The engine that judged the objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Engine {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

/// The audit run a report rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunFacts {
    /// Number or id of the run.
    pub id: String,
    /// Why it ran: `schedule`, `sync`, `command`.
    pub cause: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` where it was cut short.
    pub finished: Option<Timestamp>,
    /// `false` where anything is unknown: the ledger says what.
    pub complete: bool,
    /// Objects read, matched or not.
    pub objects: u64,
}

/// A finding with its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// How it compares with the audit before, or with the previous report.
    pub status: Status,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

impl ReportFinding {
    /// Compares with a report made at `since` where the status compares with the audit before.
    pub(super) fn compare(&mut self, since: Timestamp) {
        self.status = match self.status {
            Status::New | Status::Open if self.first_seen > since => Status::New,
            Status::New | Status::Open => Status::Open,
            status @ (Status::Fixed | Status::Regressed) => status,
        };
    }
}

/// A constraint as it is enforced now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintState {
    /// The constraint.
    pub id: ConstraintId,
    /// The live stage; `None` where it is not on the cluster yet.
    pub stage: Option<Stage>,
    /// The furthest stage git allows.
    pub target: Stage,
    /// At this stage since.
    pub since: Option<Timestamp>,
    /// What the next stage needs, in the words of the decision; empty at the target.
    pub next: String,
    /// How much it matters.
    pub severity: Severity,
    /// Who answers for it, from the annotation `portcullis.dev/owner`; empty where unset.
    pub owner: String,
    /// Standards it serves, from the annotation `portcullis.dev/controls`.
    pub controls: Vec<String>,
    /// What it asks for in a sentence; empty where unset.
    pub description: String,
    /// Why it is held by a person or a problem; `None` where it is not.
    pub held: Option<String>,
    /// Why stored objects cannot tell whether it is kept; `None` where they can.
    pub not_auditable: Option<String>,
    /// The semantic hash of what is in force.
    pub hash: Option<PolicyHash>,
}

/// One past audit run, for the trend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrendPoint {
    /// Number or id of the run.
    pub run: String,
    /// When it ended.
    pub at: Timestamp,
    /// Score, 0 to 100; `None` where nothing was evaluated.
    pub score: Option<f64>,
    /// Violations open.
    pub open: u64,
    /// Of them new in this run.
    pub new: u64,
    /// Violations that were gone in this run.
    pub fixed: u64,
    /// Whether the run was complete.
    pub complete: bool,
}

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// New on the cluster.
    Added,
    /// Enforced more strictly.
    Promoted,
    /// Enforced less strictly.
    Demoted,
    /// Its content changed.
    Changed,
    /// Known under another name now.
    Renamed,
    /// No longer on the cluster.
    Removed,
    /// A change from git that was not taken.
    Refused,
    /// Frozen, or kept from going on.
    Held,
    /// Let go on.
    Resumed,
    /// Put back after somebody changed it on the cluster.
    Restored,
    /// An exemption began, changed or ended.
    Exemption,
    /// Anything else; `why` says what.
    #[serde(other)]
    Other,
}

/// Something that happened since the previous report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub what: ChangeKind,
    /// What it happened to, for example `K8sAllowedRepos/repos`.
    pub object: String,
    /// Before: a stage, a name; empty where nothing was.
    pub from: String,
    /// After; empty where nothing is.
    pub to: String,
    /// The commit that caused it.
    pub revision: Option<Revision>,
    /// The person or part that did it.
    pub who: String,
    /// The reason in words.
    pub why: String,
}

/// A Rollout and what it governs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutState {
    /// Name of the document, or `default` for the configuration's.
    pub name: String,
    /// The way through the stages, for example `dryrun 14d → warn 3d → deny`.
    pub path: String,
    /// What happens to a changed policy past dryrun: `Shadow`, `Restart` or `Apply`.
    pub strategy: String,
    /// The constraints it governs.
    pub constraints: Vec<ConstraintId>,
}

impl RolloutState {
    /// A Rollout of this name with its way through the stages in words.
    pub fn new(name: impl Into<String>, spec: &RolloutSpec, constraints: Vec<ConstraintId>) -> Self {
        let path: Vec<String> = spec
            .stages
            .iter()
            .map(|stage| match stage.soak {
                Some(soak) => format!("{} {soak}", stage.action),
                None => stage.action.to_string(),
            })
            .collect();
        let ChangeSpec { strategy, .. } = spec.change;
        let strategy = match strategy {
            Strategy::Shadow => "Shadow",
            Strategy::Restart => "Restart",
            Strategy::Apply => "Apply",
        };
        Self { name: name.into(), path: path.join(" → "), strategy: strategy.to_owned(), constraints }
    }
}

/// An Exemption in force, to come or just past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExemptionState {
    /// Name of the document.
    pub name: String,
    /// What it excuses from, for example `K8sRequireNonRoot/*`.
    pub constraints: Vec<String>,
    /// The namespaces excused.
    pub namespaces: Vec<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The ticket; empty where there is none.
    pub ticket: String,
    /// First valid day, `YYYY-MM-DD`.
    pub from: Option<String>,
    /// Last valid day, `YYYY-MM-DD`; `None` where it has no end.
    pub expires: Option<String>,
    /// Days until it ends, 0 on the last day, negative once past; `None` where it has no end.
    pub days_left: Option<i64>,
    /// Findings it excuses now. [`super::Report::build`] counts them from the findings.
    pub excused: u64,
}

/// How git and cluster compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SyncStatus {
    /// What git asks for is in force.
    InStep,
    /// Part of the revision was refused or is held; the rest is in force.
    Partial,
    /// The newest revision was refused; an older one stays in force.
    Refused,
    /// The repository cannot be reached; the last good revision stays in force.
    Unreachable,
    /// No sync yet.
    #[default]
    Unknown,
}

/// How git and cluster compare, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncState {
    /// In a word.
    pub status: SyncStatus,
    /// When the last sync succeeded.
    pub at: Option<Timestamp>,
    /// What stands in the way, in words.
    pub reasons: Vec<String>,
    /// Mistakes in the repository, and what it asks for that is not supported yet.
    pub problems: Vec<ReportProblem>,
}

/// A mistake in the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportProblem {
    /// Path from the root of the repository.
    pub file: String,
    /// Line, from 1; 0 where it concerns the whole file.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// Stable code, for example `PC0201`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<&Problem> for ReportProblem {
    fn from(problem: &Problem) -> Self {
        let severity = match problem.severity {
            crate::problem::Severity::Error => "error",
            crate::problem::Severity::Warning => "warning",
            crate::problem::Severity::Note => "note",
        };
        Self {
            file: problem.file.clone(),
            line: problem.span.line,
            column: problem.span.column,
            severity: severity.to_owned(),
            code: problem.code.to_owned(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}
