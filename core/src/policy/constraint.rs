//! What a constraint says, read from its JSON form.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::identity::{ConstraintId, Stage};

/// A constraint, as far as verdicts depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstraintSpec {
    /// Kind and name.
    pub id: ConstraintId,
    /// `spec.match` as written, `Null` where absent.
    pub match_spec: Value,
    /// `spec.parameters` as written, `Null` where absent.
    pub parameters: Value,
    /// How far it may go.
    pub target: Target,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}

/// The `enforcementAction` of a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `dryrun`, `warn`, `deny`; unset is deny.
    Plain(Stage),
    /// `scoped`: the action at `validation.gatekeeper.sh`; `None` where that point has none.
    Scoped(Option<Stage>),
}

impl Target {
    /// The furthest stage the constraint may reach at admission; a scoped one without a webhook action stays at dryrun.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Plain(stage) | Self::Scoped(Some(stage)) => *stage,
            Self::Scoped(None) => Stage::Dryrun,
        }
    }
}

/// A constraint that cannot be understood at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConstraintError {
    /// JSON pointer of the part that is wrong.
    pub pointer: String,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
