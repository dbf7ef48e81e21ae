//! The report as data. Its JSON form is versioned by [`SCHEMA`]; fields may be added to a version, never
//! removed or given another meaning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Change, ConstraintRow, ConstraintState, Engine, ExemptionState, NamespaceRow, NotEvaluated, Notice,
    ReportFilter, ReportFinding, RolloutState, RunFacts, Source, StandardRow, Summary, SyncState, TrendPoint,
};
use crate::audit::LedgerRow;

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
    /// When the report was made that this one is compared with; `null` where it is compared with the audit before.
    pub since: Option<Timestamp>,
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

impl Provenance {
    /// `since the last report`, or what else it is compared with.
    pub(super) fn since_words(&self) -> &'static str {
        if self.since.is_some() { "since the last report" } else { "since the previous audit" }
    }
}
