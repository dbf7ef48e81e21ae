//! Manifests as we write them: ownership, stage, exemptions and state on the object, and what they say when
//! read back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    identity::{PolicyHash, Stage},
    plan::Record,
    policy::{ConstraintSpec, TemplateSpec, semantic_hash, template_hash},
    rollout::{HOLD, PROMOTE, RESUME},
    scope::Match,
};

/// The annotations that carry the rollout state.
pub mod annotation {
    /// The stage in force.
    pub const STAGE: &str = "portcullis.dev/stage";
    /// Since when, RFC 3339.
    pub const SINCE: &str = "portcullis.dev/stage-since";
    /// Semantic hash of the version in force.
    pub const HASH: &str = "portcullis.dev/policy-hash";
    /// The commit that last changed the content.
    pub const REVISION: &str = "portcullis.dev/revision";
    /// Namespaces that exemptions added, a JSON list.
    pub const EXEMPTED: &str = "portcullis.dev/exempted";
    /// `disabled` keeps an object that git no longer has.
    pub const PRUNE: &str = "portcullis.dev/prune";
}

/// The label that says who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that says which instance.
pub const INSTANCE: &str = "portcullis.dev/instance";
/// The enforcement point of the webhook, whose action is the stage of a scoped constraint.
const WEBHOOK_POINT: &str = "validation.gatekeeper.sh";
/// Every enforcement point that `*` stands for, the webhook apart.
const OTHER_POINTS: [&str; 3] = ["audit.gatekeeper.sh", "gator.gatekeeper.sh", "vap.k8s.io"];

/// `metadata.annotations` as strings.
pub fn annotations(manifest: &Value) -> BTreeMap<String, String> {
    strings(manifest.pointer("/metadata/annotations"))
}

fn strings(value: Option<&Value>) -> BTreeMap<String, String> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Who owns a live object that is not this instance's: the other instance, or empty where nobody says.
/// `None` where it is ours.
pub fn foreign_owner(manifest: &Value, instance: &str) -> Option<String> {
    let labels = strings(manifest.pointer("/metadata/labels"));
    let ours = labels.get(MANAGED_BY).map(String::as_str) == Some("portcullis")
        && labels.get(INSTANCE).map(String::as_str) == Some(instance);
    if ours {
        return None;
    }
    Some(match (labels.get(INSTANCE), labels.get(MANAGED_BY)) {
        (Some(other), _) if other != instance => format!("instance {other}"),
        (_, Some(manager)) if manager != "portcullis" => manager.clone(),
        _ => String::new(),
    })
}

/// The namespaces that exemptions added, from the annotation.
pub fn exempted(annotations: &BTreeMap<String, String>) -> Vec<String> {
    annotations.get(annotation::EXEMPTED).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The stage a live constraint is enforced at: its `enforcementAction`, or the webhook's scoped action.
pub fn live_stage(manifest: &Value) -> Option<Stage> {
    match manifest.pointer("/spec/enforcementAction").and_then(Value::as_str) {
        None => Some(Stage::Deny),
        Some("scoped") => ConstraintSpec::from_json(manifest).ok().map(|spec| spec.target.stage()),
        Some(action) => Stage::parse(action),
    }
}

/// A constraint without the namespaces that exemptions added to its match: as git has it, stage apart.
pub fn without_exemptions(manifest: &Value) -> Value {
    let added = exempted(&annotations(manifest));
    let mut manifest = manifest.clone();
    if added.is_empty() {
        return manifest;
    }
    let Some(matching) = manifest.pointer_mut("/spec/match").and_then(Value::as_object_mut) else {
        return manifest;
    };
    if let Some(list) = matching.get_mut("excludedNamespaces").and_then(Value::as_array_mut) {
        list.retain(|item| !item.as_str().is_some_and(|name| added.iter().any(|other| other == name)));
        if list.is_empty() {
            matching.remove("excludedNamespaces");
        }
    }
    if matching.is_empty()
        && let Some(spec) = manifest.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.remove("match");
    }
    manifest
}

/// The semantic hash of a template manifest.
pub fn hash_template(template: &Value) -> Result<PolicyHash, String> {
    let spec =
        TemplateSpec::from_json(template).map_err(|error| format!("its template is unreadable: {error}"))?;
    Ok(template_hash(&spec))
}

/// The semantic hash of a constraint manifest under a template manifest, exemptions taken off.
pub fn hash_constraint(template: &Value, constraint: &Value) -> Result<PolicyHash, String> {
    let spec =
        TemplateSpec::from_json(template).map_err(|error| format!("its template is unreadable: {error}"))?;
    let constraint = ConstraintSpec::from_json(&without_exemptions(constraint))
        .map_err(|error| format!("it is unreadable: {error}"))?;
    Ok(hash_of(&spec, &constraint))
}

/// The semantic hash of a constraint, exemptions taken off, under its template.
pub fn hash_of(template: &TemplateSpec, constraint: &ConstraintSpec) -> PolicyHash {
    let (matching, _) = Match::parse(&constraint.match_spec);
    semantic_hash(template, constraint, &matching.normal_form())
}

/// The manifest of a template, without state.
pub fn template_content(manifest: &Value) -> Value {
    content_of(manifest)
}

/// The manifest of a constraint at a stage, with exemptions composed into its match. Returns the namespaces
/// that were added: those the match did not exclude by itself.
pub fn constraint_content(manifest: &Value, stage: Stage, exempt: &BTreeSet<String>) -> (Value, Vec<String>) {
    let mut content = content_of(manifest);
    let mut added = Vec::new();
    if let Some(root) = content.as_object_mut() {
        let spec = root.entry("spec").or_insert_with(|| json!({}));
        if let Some(spec) = spec.as_object_mut() {
            set_stage(spec, stage);
            if !exempt.is_empty() {
                added = exclude(spec, exempt);
            }
        }
    }
    (content, added)
}

/// The document without what the server or we ourselves put on it.
fn content_of(manifest: &Value) -> Value {
    let mut content = manifest.clone();
    if let Some(root) = content.as_object_mut() {
        root.remove("status");
        if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in
                ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"]
            {
                metadata.remove(field);
            }
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.retain(|key, _| !is_state(key) && !is_intent(key));
            }
        }
    }
    content
}

fn is_state(key: &str) -> bool {
    [annotation::STAGE, annotation::SINCE, annotation::HASH, annotation::REVISION, annotation::EXEMPTED]
        .contains(&key)
}

fn is_intent(key: &str) -> bool {
    [HOLD, RESUME, PROMOTE].contains(&key)
}

fn set_stage(spec: &mut Map<String, Value>, stage: Stage) {
    let scoped = spec.get("enforcementAction").and_then(Value::as_str) == Some("scoped");
    if !scoped {
        spec.insert("enforcementAction".to_owned(), json!(stage));
        return;
    }
    let Some(list) = spec.get("scopedEnforcementActions").and_then(Value::as_array) else {
        return;
    };
    let mut rewritten = Vec::new();
    let mut had_webhook = false;
    for entry in list {
        let mut points = Vec::new();
        for point in entry.get("enforcementPoints").and_then(Value::as_array).into_iter().flatten() {
            match point.get("name").and_then(Value::as_str) {
                Some(WEBHOOK_POINT) => had_webhook = true,
                Some("*") => {
                    had_webhook = true;
                    points.extend(OTHER_POINTS.iter().map(|name| json!({"name": name})));
                }
                _ => points.push(point.clone()),
            }
        }
        if !points.is_empty() {
            let mut entry = entry.clone();
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("enforcementPoints".to_owned(), Value::Array(points));
            }
            rewritten.push(entry);
        }
    }
    if had_webhook {
        rewritten.push(json!({"action": stage, "enforcementPoints": [{"name": WEBHOOK_POINT}]}));
    }
    spec.insert("scopedEnforcementActions".to_owned(), Value::Array(rewritten));
}

fn exclude(spec: &mut Map<String, Value>, exempt: &BTreeSet<String>) -> Vec<String> {
    let matching = spec.entry("match").or_insert_with(|| json!({}));
    if matching.is_null() {
        *matching = json!({});
    }
    let Some(matching) = matching.as_object_mut() else { return Vec::new() };
    let list = matching.entry("excludedNamespaces").or_insert_with(|| json!([]));
    if list.is_null() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return Vec::new() };
    let added: Vec<String> = exempt
        .iter()
        .filter(|name| !list.iter().any(|item| item.as_str() == Some(name.as_str())))
        .cloned()
        .collect();
    list.extend(added.iter().map(|name| json!(name)));
    added
}

/// Digest of what is sent, state apart: equal digests mean that there is nothing to send.
pub fn content_digest(content: &Value) -> String {
    let digest = Sha256::digest(content.to_string().as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The whole manifest to write: content, ownership, state, and what others put on the live object.
///
/// Labels and annotations of others stay; what our last write had and git no longer has goes.
pub fn manifest(
    content: &Value,
    record: &Record,
    instance: &str,
    live: Option<&Value>,
    last: Option<&Value>,
    consumed: &[&str],
) -> Value {
    let mut manifest = content.clone();
    let Some(root) = manifest.as_object_mut() else { return manifest };
    let metadata = root.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return manifest };

    for field in ["labels", "annotations"] {
        let pointer = format!("/metadata/{field}");
        let mut merged = strings(live.and_then(|live| live.pointer(&pointer)));
        let written = strings(last.and_then(|last| last.pointer(&pointer)));
        merged.retain(|key, _| {
            let ours = written.contains_key(key) || is_state(key);
            is_intent(key) && !consumed.contains(&key.as_str()) || !ours && !is_intent(key)
        });
        merged.extend(strings(metadata.get(field)));
        if field == "labels" {
            merged.insert(MANAGED_BY.to_owned(), "portcullis".to_owned());
            merged.insert(INSTANCE.to_owned(), instance.to_owned());
        } else {
            if let Some(stage) = record.stage {
                merged.insert(annotation::STAGE.to_owned(), stage.to_string());
            }
            merged.insert(annotation::SINCE.to_owned(), record.since.to_string());
            merged.insert(annotation::HASH.to_owned(), record.hash.to_string());
            merged.insert(annotation::REVISION.to_owned(), record.revision.to_string());
            if let (None, Some(hold)) = (live, &record.hold) {
                merged.insert(HOLD.to_owned(), json!(hold).to_string());
            }
            if !record.exempted.is_empty() {
                merged.insert(annotation::EXEMPTED.to_owned(), json!(record.exempted).to_string());
            }
        }
        metadata.insert(field.to_owned(), json!(merged));
    }
    manifest
}

/// The parts in which a live object differs from our last write; others' labels and annotations do not count.
pub fn differences(written: &Value, live: &Value) -> Vec<String> {
    let mut parts = Vec::new();
    if written.get("spec") != live.get("spec") {
        let (old, new) = (written.get("spec"), live.get("spec"));
        let keys: BTreeSet<&String> =
            [old, new].into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys).collect();
        for key in keys {
            if old.and_then(|spec| spec.get(key)) != new.and_then(|spec| spec.get(key)) {
                parts.push(format!("spec.{key}"));
            }
        }
        if parts.is_empty() {
            parts.push("spec".to_owned());
        }
    }
    for field in ["labels", "annotations"] {
        let pointer = format!("/metadata/{field}");
        let live = strings(live.pointer(&pointer));
        for (key, value) in strings(written.pointer(&pointer)) {
            if !is_intent(&key) && live.get(&key) != Some(&value) {
                parts.push(format!("{field} {key}"));
            }
        }
    }
    parts
}
