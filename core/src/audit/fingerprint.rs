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

#[cfg(test)]
mod tests {
    use regorus::Value;
    use serde_json::{Value as Json, json};

    use super::{fingerprint, replace_words};
    use crate::{
        audit::{Object, Placement, Surroundings},
        identity::ConstraintId,
        scope::Semantics,
    };

    fn object(json: &Json, surroundings: &Surroundings) -> Object {
        let placement =
            Placement { semantics: Semantics::Cluster, default_namespace: "default", surroundings };
        Object::new(Value::from(json.clone()), String::new(), &placement).unwrap()
    }

    fn pod(suffix: &str, hash: &str, uid: &str) -> Json {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": format!("cart-{hash}-{suffix}"), "generateName": format!("cart-{hash}-"), "namespace": "shop",
            "uid": uid, "labels": {"pod-template-hash": hash},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("cart-{hash}"), "controller": true}],
        }})
    }

    fn of(json: &Json, message: &str, details: &Json) -> String {
        let mut surroundings = Surroundings::new(Semantics::Cluster);
        for hash in ["7d9f8b6c5d", "5c9b7d4f66"] {
            let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {
                "name": format!("cart-{hash}"), "namespace": "shop",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "controller": true}],
            }});
            surroundings.note(&Value::from(set), "default");
        }
        let object = object(json, &surroundings);
        let subject = surroundings.subject(&object);
        fingerprint(&ConstraintId::new("K8sRequireNonRoot", "all"), &subject, &object, message, details)
            .as_str()
            .to_owned()
    }

    #[test]
    fn the_algorithm_is_pinned() {
        let service =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}});
        assert_eq!(of(&service, "no owner label", &json!({})), "f1:8927df875308a69bc3a1d5c19e395082");
        assert_eq!(
            of(&pod("x2x4z", "7d9f8b6c5d", "u1"), "container web runs as root", &json!({"container": "web"})),
            "f1:fa0e64faaa0aedc8f0d5c78a08fe3616"
        );
        assert_eq!(
            of(&pod("x2x4z", "7d9f8b6c5d", "u1"), "pod cart-7d9f8b6c5d-x2x4z (u1) has no limit", &Json::Null),
            "f1:5d1fcae77a8cc730e7a9c76ce361ccc4"
        );
    }

    #[test]
    fn a_new_pod_of_the_same_deployment_is_the_same_finding() {
        let message = |suffix: &str, hash: &str, uid: &str| {
            format!(
                "<{suffix}> pod cart-{hash}-{suffix} of cart-{hash} ({uid}, hash {hash}) in cart has no limit"
            )
        };
        let old = of(&pod("x2x4z", "7d9f8b6c5d", "u1"), &message("x2x4z", "7d9f8b6c5d", "u1"), &Json::Null);
        let new = of(&pod("qqq7p", "5c9b7d4f66", "u2"), &message("qqq7p", "5c9b7d4f66", "u2"), &Json::Null);
        assert_eq!(old, new);
    }

    #[test]
    fn the_container_decides_where_the_details_name_one() {
        let pod = pod("x2x4z", "7d9f8b6c5d", "u1");
        let text = of(&pod, "a", &json!({"container": "web"}));
        assert_eq!(text, of(&pod, "b", &json!({"container": {"name": "web", "image": "x"}})));
        assert_eq!(text, of(&pod, "c", &json!({"containerName": "web", "other": 1})));
        assert_ne!(text, of(&pod, "a", &json!({"container": "sidecar"})));
        assert_ne!(text, of(&pod, "a", &json!({})));
        assert_ne!(of(&pod, "a", &json!({})), of(&pod, "b", &json!({"container": ""})));
    }

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(replace_words("web and web-1, web.", "web", "{name}"), "{name} and web-1, {name}.");
        assert_eq!(replace_words("webweb web", "web", "{name}"), "webweb {name}");
        assert_eq!(replace_words("cart-x2x4z", "cart-", "{prefix}"), "{prefix}x2x4z");
        assert_eq!(replace_words("", "web", "{name}"), "");
    }
}
