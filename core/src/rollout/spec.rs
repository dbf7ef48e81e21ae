//! The `spec` of a Rollout document, which is also `rollout.default` of the configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{document::Duration, identity::Stage};

/// How a set of constraints moves towards its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutSpec {
    /// Which constraints; absent means all.
    #[serde(default)]
    pub r#match: RolloutMatch,
    /// dryrun first, then warn and deny or one of them.
    pub stages: Vec<StageSpec>,
    /// What happens to a changed policy that is already past dryrun.
    #[serde(default)]
    pub change: Change,
    /// When promotions and expiries may happen; empty means always.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Whose explicit approval a promotion needs.
    #[serde(default)]
    pub approval: Approval,
    /// When denials push a constraint back; absent or `Off` means never.
    #[serde(default)]
    pub demotion: Demotion,
}

/// Which constraints a Rollout is about; all three must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutMatch {
    /// Globs on the kind; empty means `*`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Globs on the name; empty means `*`.
    #[serde(default)]
    pub names: Vec<String>,
    /// Labels the constraint must carry.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// One stage and what it takes to leave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StageSpec {
    /// The enforcementAction of this stage.
    pub action: Stage,
    /// At least this long at this stage with the same semantic hash; absent means no soak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Duration>,
    /// The evidence that leaving needs; absent means the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSpec>,
    /// Deny one ring of namespaces after the other (not supported yet).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rings: Option<Vec<serde_json::Value>>,
}

/// `gate: None`, or the bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GateSpec {
    /// The word `None`: no evidence asked for.
    Word(NoneWord),
    /// Bounds; a field left out takes its default.
    Bounds(Gate),
}

/// The word `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NoneWord {
    /// Explicitly nothing.
    None,
}

/// The evidence a promotion needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Distinct violating subjects of the newest complete audit, exemptions apart; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_violations: Option<u64>,
    /// Complete, error-free audits at this stage and hash; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_audits: Option<u64>,
    /// How old the newest may be; default twice the audit interval, at least 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_audit_age: Option<Duration>,
}

/// What happens to a changed policy that is already past dryrun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// Default `Shadow`.
    #[serde(default)]
    pub strategy: Strategy,
    /// How long a candidate is shadow-audited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Duration>,
    /// The evidence a candidate needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<ChangeGate>,
}

/// How a changed policy replaces the old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    /// The old stays enforced while the new is audited beside it.
    #[default]
    Shadow,
    /// Back to dryrun with the new.
    Restart,
    /// The new at once, at the same stage.
    Apply,
}

/// The evidence a candidate needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeGate {
    /// Subjects that violate under the candidate and not under the current version; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_new_violations: Option<u64>,
    /// Complete, error-free audits of the candidate; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_audits: Option<u64>,
    /// How old the newest may be; default twice the audit interval, at least 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_audit_age: Option<Duration>,
}

/// When promotions and expiries may happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// When it opens, five fields or six.
    pub cron: String,
    /// How long it stays open.
    pub duration: Duration,
    /// IANA name; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// Whose explicit approval a promotion needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// Nobody's.
    #[default]
    None,
    /// A person's, before deny.
    BeforeDeny,
    /// A person's, before every stage.
    EveryStage,
}

/// When denials push a constraint back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Demotion {
    /// The word `Off`.
    Word(OffWord),
    /// Bounds.
    Bounds(DemotionBounds),
}

impl Default for Demotion {
    fn default() -> Self {
        Self::Word(OffWord::Off)
    }
}

/// The word `Off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OffWord {
    /// Explicitly nothing.
    Off,
}

/// Denials that are too many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DemotionBounds {
    /// Owners denied, at least.
    pub distinct_owners: u64,
    /// Namespaces concerned, at least.
    pub distinct_namespaces: u64,
    /// The window they are counted in.
    pub within: Duration,
    /// The stage to go back to.
    pub to: Stage,
}
