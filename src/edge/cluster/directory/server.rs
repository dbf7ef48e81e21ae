//! What an API server and Gatekeeper would do with an object: default, prune, refuse, load, collect.

use std::{collections::BTreeMap, path::Path};

use portcullis_core::{
    document,
    plan::{LiveObject, ObjectKey},
    policy::{self, ConstraintSpec, ParameterSchema, TemplateSpec},
    problem::Severity,
    scope::Match,
};
use serde_json::{Value, json};

use super::files;
use crate::edge::cluster::{Acknowledgement, ClusterError};

fn rejected(key: &ObjectKey, reason: impl Into<String>) -> ClusterError {
    ClusterError::Rejected { key: key.clone(), reason: reason.into() }
}

/// What the server makes of a manifest: defaults filled in, unknown parameters pruned, or its refusal.
pub(super) fn admit(
    root: &Path,
    key: &ObjectKey,
    manifest: &Value,
    template: Option<&Value>,
) -> Result<Value, ClusterError> {
    match key {
        ObjectKey::Template(kind) => {
            let spec = TemplateSpec::from_json(manifest).map_err(|error| rejected(key, error.to_string()))?;
            if spec.kind != *kind {
                return Err(rejected(key, format!("it makes the kind {}, not {kind}", spec.kind)));
            }
            Ok(manifest.clone())
        }
        ObjectKey::Constraint(id) => {
            let stored = files::read(root, &ObjectKey::Template(id.kind.clone()))?;
            let template =
                template.cloned().or_else(|| stored.map(|live| live.manifest)).ok_or_else(|| {
                    rejected(key, format!("the server does not serve {} (no ConstraintTemplate)", id.kind))
                })?;
            admit_constraint(key, manifest, &template)
        }
    }
}

fn admit_constraint(key: &ObjectKey, manifest: &Value, template: &Value) -> Result<Value, ClusterError> {
    let template = TemplateSpec::from_json(template).map_err(|error| rejected(key, error.to_string()))?;
    let spec = ConstraintSpec::from_json(manifest).map_err(|error| rejected(key, error.to_string()))?;
    let (_, problems) = Match::parse(&spec.match_spec);
    if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
        return Err(rejected(key, format!("spec.match{}: {}", problem.pointer, problem.message)));
    }
    let schema = ParameterSchema::new(&template).map_err(|error| rejected(key, error.to_string()))?;
    if let Some(mismatch) = schema.check(&spec.parameters).first() {
        return Err(rejected(key, format!("spec.parameters{}: {}", mismatch.pointer, mismatch.message)));
    }
    let mut admitted = manifest.clone();
    if let Some(root) = admitted.as_object_mut() {
        let spec_json = root.entry("spec").or_insert_with(|| json!({}));
        if let Some(object) = spec_json.as_object_mut() {
            object.entry("enforcementAction").or_insert_with(|| json!("deny"));
            let parameters = schema.default_and_prune(&spec.parameters);
            if parameters.is_null() {
                object.remove("parameters");
            } else {
                object.insert("parameters".to_owned(), parameters);
            }
        }
    }
    Ok(admitted)
}

/// Whether Gatekeeper could load the object as it is stored.
pub(super) fn load(root: &Path, key: &ObjectKey) -> Result<Acknowledgement, ClusterError> {
    let Some(live) = files::read(root, key)? else {
        return Ok(Acknowledgement::Pending(format!("{key} is not on the cluster")));
    };
    let ObjectKey::Template(_) = key else { return Ok(Acknowledgement::Done) };
    let spec = match TemplateSpec::from_json(&live.manifest) {
        Ok(spec) => spec,
        Err(error) => return Ok(Acknowledgement::Failed(error.to_string())),
    };
    if spec.rego.is_none() {
        return Ok(Acknowledgement::Done);
    }
    Ok(match policy::compile(&spec) {
        Ok(_) => Acknowledgement::Done,
        Err(problems) => {
            let first = problems.first().map_or_else(String::new, |problem| problem.message.clone());
            Acknowledgement::Failed(format!("the rule does not load: {first}"))
        }
    })
}

/// Writes what the server side would say of an object.
pub(super) fn write_status(root: &Path, key: &ObjectKey, live: &LiveObject) -> Result<(), ClusterError> {
    let status = match key {
        ObjectKey::Template(_) => json!({"created": true, "enforced": "simulated", "observed": live.version}),
        ObjectKey::Constraint(_) => json!({"enforced": "simulated", "observed": live.version}),
    };
    let path = files::path(root, "status", key)?;
    files::write_file(root, &path, document::to_yaml(&status).as_bytes())
}

/// Removes constraints whose template is gone, as the server's garbage collection does.
pub(super) fn collect(root: &Path) -> Result<Vec<ObjectKey>, ClusterError> {
    let (_, orphans) = files::stored(root)?;
    for key in &orphans {
        files::remove(root, key)?;
    }
    Ok(orphans)
}

/// Sets and removes annotations.
pub(super) fn annotate(manifest: &mut Value, changes: &BTreeMap<String, Option<String>>) {
    let Some(root) = manifest.as_object_mut() else { return };
    let metadata = root.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    let Some(annotations) = annotations.as_object_mut() else { return };
    for (key, value) in changes {
        match value {
            Some(value) => annotations.insert(key.clone(), json!(value)),
            None => annotations.remove(key),
        };
    }
}
