//! The fields that templates and constraints have, and metadata that Kubernetes accepts.

use super::{
    codes,
    findings::{Reporter, join, words},
};
use crate::document::{Node, NodeKind, closest};

const OBJECT: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
const CONSTRAINT_SPEC: [&str; 4] = ["enforcementAction", "match", "parameters", "scopedEnforcementActions"];
const REGO_SOURCE: [&str; 3] = ["libs", "rego", "version"];
const CEL_SOURCE: [&str; 7] = [
    "failurePolicy",
    "generateVAP",
    "generateVap",
    "matchCondition",
    "matchConditions",
    "validations",
    "variables",
];

/// Reports fields that a mapping at `pointer` does not have.
fn known(node: &Node, pointer: &str, known: &[&str], code: &'static str, out: &mut Reporter<'_>) {
    let Some(mapping) = node.find(pointer) else { return };
    for entry in mapping.entries() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let place = if pointer.is_empty() { "here".to_owned() } else { dotted(pointer) };
        let hint = closest(&entry.key, known.iter().copied())
            .map_or_else(|| format!("known: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        let message = format!("unknown field `{}` in {place}", entry.key).replace(" in here", "");
        out.error(entry.key_span, words(code, message).hint(hint));
    }
}

/// A JSON pointer as people write a path: `spec.targets[0]`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push('[');
            out.push_str(part);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(part);
        }
    }
    out
}

/// Metadata: known fields, and texts alone in labels and annotations.
fn metadata(node: &Node, code: &'static str, out: &mut Reporter<'_>) {
    known(node, "/metadata", &METADATA, code, out);
    for field in ["labels", "annotations"] {
        let Some(mapping) = node.find(&join("/metadata", field)) else { continue };
        for entry in mapping.entries() {
            if !matches!(entry.value.kind, NodeKind::String(_)) {
                let found = entry.value.to_json();
                out.error(
                    entry.value.span,
                    words(
                        codes::METADATA,
                        format!("metadata.{field}.{} must be a text, found {found}", entry.key),
                    )
                    .hint("quote the value; YAML reads an unquoted yes, no, on, off, number or date as something else"),
                );
            }
        }
    }
}

/// Unknown fields of a constraint.
pub(super) fn constraint(node: &Node, out: &mut Reporter<'_>) {
    let code = codes::CONSTRAINT_FIELD;
    known(node, "", &OBJECT, code, out);
    metadata(node, code, out);
    known(node, "/spec", &CONSTRAINT_SPEC, code, out);
}

/// Unknown fields of a template.
pub(super) fn template(node: &Node, out: &mut Reporter<'_>) {
    let code = codes::TEMPLATE_FIELD;
    known(node, "", &OBJECT, code, out);
    metadata(node, code, out);
    for (pointer, fields) in [
        ("/spec", &["crd", "targets"][..]),
        ("/spec/crd", &["spec"]),
        ("/spec/crd/spec", &["names", "validation"]),
        ("/spec/crd/spec/names", &["kind", "shortNames"]),
        ("/spec/crd/spec/validation", &["legacySchema", "openAPIV3Schema"]),
    ] {
        known(node, pointer, fields, code, out);
    }
    let targets = node.find("/spec/targets").map_or(0, |targets| targets.items().len());
    for target in 0..targets {
        let target = format!("/spec/targets/{target}");
        known(node, &target, &["code", "libs", "operations", "rego", "target"], code, out);
        let codes = node.find(&format!("{target}/code")).map_or(0, |list| list.items().len());
        for index in 0..codes {
            let place = format!("{target}/code/{index}");
            known(node, &place, &["engine", "source"], code, out);
            let fields = match node.find(&format!("{place}/engine")).and_then(Node::as_str) {
                Some("Rego") => &REGO_SOURCE[..],
                Some("K8sNativeValidation") => &CEL_SOURCE,
                _ => continue,
            };
            known(node, &format!("{place}/source"), fields, code, out);
        }
    }
}
