//! Constraints: read, and held against their template.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Constraint, Template, codes, fields,
    findings::{Findings, Reporter, key_span, value_span, words},
    read::Raw,
    unsupported,
};
use crate::{
    document::{Node, closest},
    identity::Stage,
    policy::ConstraintSpec,
    problem::Severity,
    scope::{Candidate, Labels, Match, Origin, Semantics},
};

/// What constraints are held against.
pub(super) struct Surroundings<'a> {
    pub templates: &'a [Template],
    /// Templates of our own that could not be understood, by lower-case kind.
    pub refused: BTreeSet<String>,
    pub external: &'a BTreeSet<String>,
    /// Whether an ExemptionPolicy says how namespaces may be excused.
    pub policed: bool,
}

/// Reads a constraint. What is wrong with it refuses its unit.
pub(super) fn read(raw: &Raw, around: &Surroundings<'_>, findings: &mut Findings) -> Option<Constraint> {
    let node = &raw.node;
    let file = &raw.location.file;
    let mut out = findings.at(file, Some(&raw.kind));
    fields::constraint(node, &mut out);
    unsupported::annotations(node, &mut out);
    template(raw, around, &mut out);
    let (matching, faults) =
        Match::parse(raw.manifest.pointer("/spec/match").unwrap_or(&serde_json::Value::Null));
    for fault in faults {
        let pointer = format!("/spec/match{}", fault.pointer);
        let unknown = fault.code == codes::MATCH_FIELD;
        out.report(
            fault.severity,
            if unknown { key_span(node, &pointer) } else { value_span(node, &pointer) },
            words(fault.code, fault.message).maybe_hint(fault.hint),
        );
    }
    let spec = match ConstraintSpec::from_json(&raw.manifest) {
        Ok(spec) => spec,
        Err(error) => {
            // A label that is no text is reported with the other fields of the metadata.
            let metadata = ["/metadata/labels/", "/metadata/annotations/"];
            if out.errors == 0 || !metadata.iter().any(|place| error.pointer.starts_with(place)) {
                let words = words(codes::CONSTRAINT, error.message).maybe_hint(error.hint);
                out.error(value_span(node, &error.pointer), words);
            }
            return None;
        }
    };
    if node.find("/spec/enforcementAction").is_none() {
        out.note(
            key_span(node, "/spec"),
            words(codes::ACTION_UNSET, "enforcementAction is not set: the target is deny, as in Gatekeeper")
                .hint("write `enforcementAction: deny` to say so"),
        );
    }
    excluded(node, around, &mut out);
    subresources(node, &mut out);
    lockout(node, &spec, &matching, &mut out);
    Some(Constraint { location: raw.location.clone(), manifest: raw.manifest.clone(), spec, matching })
}

/// Its template, and its parameters against the template's schema.
fn template(raw: &Raw, around: &Surroundings<'_>, out: &mut Reporter<'_>) {
    let node = &raw.node;
    let Some(template) = around.templates.iter().find(|template| template.spec.kind == raw.kind) else {
        if around.external.contains(&raw.kind) || around.refused.contains(&raw.kind.to_lowercase()) {
            return;
        }
        let kinds = around.templates.iter().map(|template| template.spec.kind.as_str());
        let hint = closest(&raw.kind, kinds).map_or_else(
            || {
                "add its template, or name the kind in source.externalTemplates where others own it"
                    .to_owned()
            },
            |near| format!("did you mean `{near}`?"),
        );
        out.error(
            value_span(node, "/kind"),
            words(codes::UNKNOWN_KIND, format!("no template makes the kind {}", raw.kind)).hint(hint),
        );
        return;
    };
    let Some(schema) = &template.parameters else { return };
    let parameters = raw.manifest.pointer("/spec/parameters").cloned().unwrap_or_default();
    for mismatch in schema.check(&parameters) {
        let pointer = format!("/spec/parameters{}", mismatch.pointer);
        let unknown = mismatch.message.contains("is not in the schema") || mismatch.pointer.is_empty();
        let span = if unknown { key_span(node, &pointer) } else { value_span(node, &pointer) };
        let hint = match mismatch.hint {
            Some(hint) if unknown => Some(format!("{hint} Gatekeeper refuses unknown parameters")),
            hint => hint,
        };
        out.error(span, words(codes::PARAMETER, mismatch.message).maybe_hint(hint));
    }
}

/// Namespaces that are excused without owner, reason and end.
fn excluded(node: &Node, around: &Surroundings<'_>, out: &mut Reporter<'_>) {
    let pointer = "/spec/match/excludedNamespaces";
    if node.find(pointer).is_none_or(|list| list.items().is_empty()) {
        return;
    }
    let severity = if around.policed { Severity::Error } else { Severity::Warning };
    out.report(
        severity,
        key_span(node, pointer),
        words(codes::EXCLUDED_NAMESPACES, "namespaces are excused here without owner, reason and end")
            .hint("write an Exemption for them instead"),
    );
}

/// Kinds with a slash: subresources, which the default webhook never sees.
fn subresources(node: &Node, out: &mut Reporter<'_>) {
    let entries = node.find("/spec/match/kinds").map(Node::items).unwrap_or_default();
    for kind in entries.iter().filter_map(|entry| entry.get("kinds")).flat_map(Node::items) {
        if kind.as_str().is_some_and(|text| text.contains('/')) {
            out.warning(
                kind.span,
                words(codes::SUBRESOURCE, "the default webhook never sees subresources")
                    .hint("name the kind of the object the request carries, for example PodExecOptions"),
            );
        }
    }
}

/// A match of every kind at deny refuses the writes of Gatekeeper and of Portcullis too.
fn lockout(node: &Node, spec: &ConstraintSpec, matching: &Match, out: &mut Reporter<'_>) {
    if spec.target.stage() != Stage::Deny || spec.match_spec.get("name").is_some() {
        return;
    }
    let labels: Labels = BTreeMap::new();
    let denied: Vec<&str> = [
        ("templates.gatekeeper.sh", "ConstraintTemplate", "templates and constraints"),
        ("constraints.gatekeeper.sh", spec.id.kind.as_str(), "templates and constraints"),
        ("config.gatekeeper.sh", "Config", "Gatekeeper's Config"),
        ("coordination.k8s.io", "Lease", "Leases"),
    ]
    .into_iter()
    .filter(|(group, kind, _)| {
        let lease = *kind == "Lease";
        let candidate = Candidate {
            group,
            kind,
            namespace: if lease { "gatekeeper-system" } else { "" },
            name: "portcullis",
            generate_name: "",
            labels: &labels,
            namespace_labels: lease.then_some(&labels),
            origin: Origin::Original,
        };
        !matching.names_kind(group, kind)
            && matching.applies(&candidate, Semantics::Cluster).is_ok_and(crate::scope::Outcome::applies)
    })
    .map(|(_, _, what)| what)
    .collect();
    if denied.first() != Some(&"templates and constraints") {
        return;
    }
    out.error(
        if node.find("/spec/match/kinds").is_some() { key_span(node, "/spec/match/kinds") } else { key_span(node, "/spec") },
        words(
            codes::LOCKOUT,
            "matches every kind at deny: it would judge templates and constraints too, and could lock everyone out",
        )
        .hint("name the API groups and kinds it is about, without templates.gatekeeper.sh and constraints.gatekeeper.sh"),
    );
}
