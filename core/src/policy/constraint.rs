//! What a constraint says, read from its JSON form.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::reading::{Misread, join, list, mapping, shape, string, string_map};
use crate::identity::{ConstraintId, Stage};

/// The enforcement point of the admission webhook.
const WEBHOOK: &str = "validation.gatekeeper.sh";
/// The enforcement points Gatekeeper knows.
const POINTS: [&str; 5] = [WEBHOOK, "audit.gatekeeper.sh", "gator.gatekeeper.sh", "vap.k8s.io", "*"];

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

impl From<Misread> for ConstraintError {
    fn from(misread: Misread) -> Self {
        Self { pointer: misread.pointer, message: misread.message, hint: misread.hint }
    }
}

impl ConstraintSpec {
    /// Reads a `constraints.gatekeeper.sh/{v1beta1,v1alpha1}` object of any kind. Whether its match and
    /// its parameters make sense is for others to say.
    ///
    /// # Errors
    /// The first part that cannot be understood, with its JSON pointer.
    pub fn from_json(document: &Value) -> Result<Self, ConstraintError> {
        Ok(read(document)?)
    }
}

fn read(document: &Value) -> Result<ConstraintSpec, Misread> {
    let Value::Object(root) = document else {
        return Err(Misread::new("", format!("expected a constraint, found {}", shape(document))));
    };
    match string(root, "", "apiVersion")? {
        Some("constraints.gatekeeper.sh/v1beta1" | "constraints.gatekeeper.sh/v1alpha1") => {}
        other => {
            return Err(Misread::new(
                "/apiVersion",
                format!("expected constraints.gatekeeper.sh/v1beta1, found {}", other.unwrap_or("nothing")),
            ));
        }
    }
    let kind = string(root, "", "kind")?
        .filter(|kind| !kind.is_empty())
        .ok_or_else(|| Misread::new("", "kind is missing").hint("the kind of the constraint's template"))?;
    let metadata = mapping(root, "", "metadata")?.ok_or_else(|| Misread::new("", "metadata is missing"))?;
    let name = string(metadata, "/metadata", "name")?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Misread::new("/metadata", "metadata.name is missing"))?;
    if !is_name(name) {
        return Err(Misread::new(
            "/metadata/name",
            format!("expected lower-case letters, digits, `-` and `.`, at most 63, found `{name}`"),
        ));
    }
    if let Some(namespace) = string(metadata, "/metadata", "namespace")? {
        return Err(Misread::new(
            "/metadata/namespace",
            format!("expected no namespace, found `{namespace}`: constraints are cluster-scoped"),
        ));
    }
    let empty = Map::new();
    let spec = mapping(root, "", "spec")?.unwrap_or(&empty);
    mapping(spec, "/spec", "match")?;
    mapping(spec, "/spec", "parameters")?;
    Ok(ConstraintSpec {
        id: ConstraintId::new(kind, name),
        match_spec: spec.get("match").cloned().unwrap_or_default(),
        parameters: spec.get("parameters").cloned().unwrap_or_default(),
        target: read_target(spec)?,
        annotations: string_map(metadata, "/metadata", "annotations")?,
        labels: string_map(metadata, "/metadata", "labels")?,
    })
}

/// RFC 1123 subdomain, and no longer than the CRD allows.
fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
}

fn read_target(spec: &Map<String, Value>) -> Result<Target, Misread> {
    const ACTION: &str = "/spec/enforcementAction";
    const SCOPED: &str = "/spec/scopedEnforcementActions";
    let scoped = list(spec, "/spec", "scopedEnforcementActions")?;
    match string(spec, "/spec", "enforcementAction")? {
        None => Ok(Target::Plain(Stage::Deny)),
        Some("scoped") => match scoped {
            None => Err(Misread::new(
                "/spec",
                "enforcementAction is scoped, but scopedEnforcementActions is missing",
            )
            .hint("list an action and its enforcement points, for example validation.gatekeeper.sh")),
            Some([]) => Err(Misread::new(SCOPED, "expected at least one action, found none")),
            Some(actions) => read_scoped(actions, SCOPED).map(Target::Scoped),
        },
        Some("") => Err(Misread::new(ACTION, "expected dryrun, warn, deny or scoped, found an empty text")
            .hint("Gatekeeper takes this and enforces nothing; write dryrun if that is meant")),
        Some(action) => Stage::parse(action).map(Target::Plain).ok_or_else(|| {
            Misread::new(ACTION, format!("expected dryrun, warn, deny or scoped, found `{action}`"))
        }),
    }
}

/// The strongest action of the webhook's enforcement point, as Gatekeeper finds it.
fn read_scoped(actions: &[Value], place: &str) -> Result<Option<Stage>, Misread> {
    let mut webhook = None;
    for (index, action) in actions.iter().enumerate() {
        let place = join(place, &index.to_string());
        let Value::Object(action) = action else {
            return Err(Misread::new(place, format!("expected a mapping, found {}", shape(action))));
        };
        let text = string(action, &place, "action")?
            .ok_or_else(|| Misread::new(place.as_str(), "action is missing").hint("dryrun, warn or deny"))?;
        let stage = Stage::parse(text).ok_or_else(|| {
            Misread::new(join(&place, "action"), format!("expected dryrun, warn or deny, found `{text}`"))
        })?;
        let points_place = join(&place, "enforcementPoints");
        let points = list(action, &place, "enforcementPoints")?.unwrap_or_default();
        if points.is_empty() {
            return Err(Misread::new(points_place, "expected at least one enforcement point, found none")
                .hint(format!("for example name: {WEBHOOK}")));
        }
        for (index, point) in points.iter().enumerate() {
            let place = join(&points_place, &index.to_string());
            let Value::Object(point) = point else {
                return Err(Misread::new(place, format!("expected a mapping, found {}", shape(point))));
            };
            let name = string(point, &place, "name")?
                .ok_or_else(|| Misread::new(place.as_str(), "name is missing"))?;
            if !POINTS.contains(&name) {
                return Err(Misread::new(
                    join(&place, "name"),
                    format!("expected one of {}, found `{name}`", POINTS.join(", ")),
                ));
            }
            if name == WEBHOOK || name == "*" {
                webhook = webhook.max(Some(stage));
            }
        }
    }
    Ok(webhook)
}
