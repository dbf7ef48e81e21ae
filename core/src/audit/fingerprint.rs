//! The identity of a finding across runs: a new Pod of the same Deployment is the same finding.

use sha2::{Digest, Sha256};

use super::{Object, Subject, object::NAMESPACE_NAME_LABEL};
use crate::identity::{ConstraintId, Fingerprint};
use serde_json::Value;

/// Labels whose values a controller generates.
const GENERATED_LABELS: [&str; 4] =
    ["pod-template-hash", "controller-revision-hash", "controller-uid", "batch.kubernetes.io/controller-uid"];

/// `f1:` and the first 32 hex digits of a SHA-256 over constraint, subject, and the container's name where
/// the details carry one (`container`, as a text or with a `name`, or `containerName`), else the message
/// with what is the object's own replaced: its name, uid, generated suffix, generated labels and the name
/// of an intermediate controller. Every part is preceded by its length, so none can run into the next.
pub fn fingerprint(
    constraint: &ConstraintId,
    subject: &Subject,
    object: &Object,
    message: &str,
    details: &Value,
) -> Fingerprint {
    let (sort, text) = match container_of(details) {
        Some(container) => ("container", container.to_owned()),
        None => ("message", normalised(message, object, subject)),
    };
    let mut hash = Sha256::new();
    for part in [
        constraint.kind.as_str(),
        &constraint.name,
        &subject.group,
        &subject.kind,
        &subject.namespace,
        &subject.name,
        sort,
        &text,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut text = String::from("f1:");
    for byte in digest.iter().take(16) {
        text.push_str(&format!("{byte:02x}"));
    }
    Fingerprint::new(text)
}

fn container_of(details: &Value) -> Option<&str> {
    let named = |value: &'_ Value| -> bool { value.as_str().is_some_and(|name| !name.is_empty()) };
    let container = details.get("container");
    [container, container.and_then(|c| c.get("name")), details.get("containerName")]
        .into_iter()
        .flatten()
        .find(|value| named(value))
        .and_then(Value::as_str)
}

fn normalised(message: &str, object: &Object, subject: &Subject) -> String {
    let mut own: Vec<(&str, &str)> = vec![(&object.uid, "{uid}"), (&object.name, "{name}")];
    if let Some(owner) = object.controller.as_ref().filter(|owner| owner.name != subject.name) {
        own.push((&owner.name, "{owner}"));
    }
    let suffix = object.name.strip_prefix(object.generate_name.as_str()).unwrap_or("");
    if !object.generate_name.is_empty() {
        own.push((&object.generate_name, "{prefix}"));
        own.push((suffix, "{suffix}"));
    }
    for (label, value) in &object.labels {
        if GENERATED_LABELS.contains(&label.as_str()) && label != NAMESPACE_NAME_LABEL {
            own.push((value, "{generated}"));
        }
    }
    // The longest first: a Pod's name begins with the name of its ReplicaSet. The subject's own name stays.
    own.retain(|(text, _)| !text.is_empty() && *text != subject.name);
    own.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    own.iter().fold(message.to_owned(), |message, (text, with)| replace_words(&message, text, with))
}

/// Replaces a text where it stands alone: no letter, digit or `-` before or after it.
fn replace_words(message: &str, text: &str, with: &str) -> String {
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(text) {
        let (before, found) = rest.split_at(at);
        let after = found.get(text.len()..).unwrap_or("");
        let opens = before.chars().next_back().or_else(|| out.chars().next_back()).is_none_or(|c| !joins(c));
        let closes = text.ends_with('-') || after.chars().next().is_none_or(|c| !joins(c));
        out.push_str(before);
        out.push_str(if opens && closes { with } else { text });
        rest = after;
    }
    out.push_str(rest);
    out
}
