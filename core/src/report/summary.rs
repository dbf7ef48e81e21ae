//! The report at a glance: how the cluster stands, and the figures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
