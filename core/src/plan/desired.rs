//! What git wants: units of a template and its constraints, with everything that bears on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    identity::{ConstraintId, PolicyHash, Revision},
    policy::{ConstraintSpec, TemplateSpec},
    rollout::{RolloutSpec, Strategy},
};

/// The whole of a revision.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The commit.
    pub revision: Option<Revision>,
    /// Units by the kind of their constraints.
    pub units: BTreeMap<String, DesiredUnit>,
    /// Whether anything in the revision was refused; then nothing is pruned.
    pub anything_refused: bool,
    /// Constraints whose exemptions cannot be told, because an Exemption is broken and no good version of it
    /// is known: what is exempted on the cluster stays so.
    pub keep_exempted: bool,
}

/// A template with all its constraints.
#[derive(Clone, Debug)]
pub struct DesiredUnit {
    /// The kind of the constraints.
    pub kind: String,
    /// The template; `None` where others own it, or where the unit is refused and it could not be read.
    pub template: Option<DesiredTemplate>,
    /// The constraints by name.
    pub constraints: BTreeMap<String, DesiredConstraint>,
    /// Why the unit is refused: it stays as enforced.
    pub refused: Option<String>,
}

/// A ConstraintTemplate as git has it.
#[derive(Clone, Debug)]
pub struct DesiredTemplate {
    /// `metadata.name`.
    pub name: String,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: TemplateSpec,
    /// Its own semantic hash.
    pub hash: PolicyHash,
}

/// A constraint as git has it.
#[derive(Clone, Debug)]
pub struct DesiredConstraint {
    /// Kind and name.
    pub id: ConstraintId,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: ConstraintSpec,
    /// Semantic hash together with the template in git.
    pub hash: PolicyHash,
    /// Semantic hash together with the template in force, where that is another one.
    pub hash_in_force: Option<PolicyHash>,
    /// The rules that move it.
    pub rollout: RolloutSpec,
    /// Why it is not promoted (what is not supported yet, a broken Rollout).
    pub capped: Vec<String>,
    /// Namespaces that Exemptions excuse now.
    pub exempt: BTreeSet<String>,
    /// Why audits cannot judge it.
    pub not_auditable: Option<String>,
}

impl DesiredConstraint {
    /// What happens to a changed version. Where it is not known which rules apply (a broken Rollout, or one that
    /// asks for what is not supported yet), the old version stays, as under `Shadow`.
    pub fn strategy(&self) -> Strategy {
        if self.capped.is_empty() { self.rollout.change.strategy } else { Strategy::Shadow }
    }
}
