//! One violation or error, on one object, by one constraint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::{ConstraintId, Fingerprint};

/// Whether the policy said no, or could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The policy reports a violation.
    Violation,
    /// The match or the evaluation failed; Gatekeeper would refuse with the error as message.
    Error,
}

/// How a finding compares with the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Never seen before.
    New,
    /// Seen in the last run too.
    Open,
    /// Was there before, is gone now, and what it was about was evaluated.
    Fixed,
    /// Was fixed, is there again.
    Regressed,
}

/// The object a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// API group, empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `metadata.uid`, empty where unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Who has to act: the topmost controller, else the object itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for Subject {
    /// `Deployment shop/cart`, `Namespace shop`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// One finding of an audit run; the JSON form is the one of `portcullis audit -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The constraint.
    pub constraint: ConstraintId,
    /// The enforcementAction it is judged under: the live stage, or git's target for a bundle.
    pub enforcement_action: String,
    /// Violation or error.
    pub class: Class,
    /// `CREATE` or `UPDATE` where it was synthesised, else empty.
    pub operation: String,
    /// The generator the object was expanded from, else empty.
    pub via: String,
    /// The object.
    pub object: ObjectRef,
    /// Who has to act.
    pub subject: Subject,
    /// The whole message.
    pub message: String,
    /// The policy's details; `Null` for Secrets and where it gave none.
    pub details: Value,
    /// `low`, `medium`, `high` or `critical`, from the constraint's annotation `portcullis.dev/severity`; `medium` where unset.
    pub severity: String,
    /// Identity across runs.
    pub fingerprint: Fingerprint,
    /// Name of the Exemption that excuses it, else empty.
    pub exempt_by: String,
    /// `true` for finished Pods and ReplicaSets scaled to zero: reported, not counted in gates.
    #[serde(default)]
    pub uncounted: bool,
    /// Where the object stands, `file:line`, for objects read from files; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}
