//! Rollouts: read, and held against each other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Broken, Constraint, Coverage, DocId, DocKind, Rollout, codes,
    exemption::glob_fault,
    findings::{Findings, Reporter, key_span, words},
    read::Raw,
    specificity, unsupported,
};
use crate::{
    document::{Mismatch, Node, NodeKind, decode},
    identity::Stage,
    problem::Severity,
    rollout::{Approval, Demotion, OffWord, RolloutMatch, RolloutSpec},
};

/// A document of ours.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document<T> {
    /// `portcullis.dev/v1alpha1`.
    #[expect(dead_code, reason = "asked for by the form")]
    api_version: String,
    /// The kind.
    #[expect(dead_code, reason = "asked for by the form")]
    kind: String,
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// What it says.
    pub spec: T,
}

/// The metadata of a document of ours.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Metadata {
    /// The name.
    pub name: String,
    /// Labels.
    #[serde(default)]
    #[expect(dead_code, reason = "asked for by the form")]
    labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    #[expect(dead_code, reason = "asked for by the form")]
    annotations: BTreeMap<String, String>,
}

/// A Rollout as far as it could be read.
pub(super) struct ReadRollout {
    pub rollout: Option<Rollout>,
    pub broken: Option<Broken>,
    /// What is not supported yet, in words.
    pub unsupported: Vec<String>,
}

/// Takes `spec.clusters` out, which no form knows yet, and reports it.
pub(super) fn without_clusters(node: &Node, out: &mut Reporter<'_>) -> (Node, bool) {
    let mut copy = node.clone();
    let mut found = false;
    if let NodeKind::Mapping(entries) = &mut copy.kind
        && let Some(spec) = entries.iter_mut().find(|entry| entry.key == "spec")
        && let NodeKind::Mapping(fields) = &mut spec.value.kind
    {
        let before = fields.len();
        fields.retain(|entry| entry.key != "clusters");
        found = fields.len() < before;
    }
    if found {
        unsupported::field(node, "/spec/clusters", "clusters", out);
    }
    (copy, found)
}

/// Reports every mismatch with the form of a document.
pub(super) fn mismatches(found: Vec<Mismatch>, out: &mut Reporter<'_>) {
    for mismatch in found {
        out.error(mismatch.span, words(codes::FORM, mismatch.message).maybe_hint(mismatch.hint));
    }
}

/// Reads a Rollout.
pub(super) fn read(raw: &Raw, findings: &mut Findings) -> ReadRollout {
    let mut out = findings.at(&raw.location.file, None);
    let (node, clusters) = without_clusters(&raw.node, &mut out);
    let mut unsupported: Vec<String> = if clusters { vec!["clusters".to_owned()] } else { Vec::new() };
    let decoded = decode::<Document<RolloutSpec>>(&node);
    let (rollout, covers) = match decoded {
        Ok(document) => {
            let spec = document.spec;
            not_yet(&raw.node, &spec, &mut unsupported, &mut out);
            stages(&raw.node, &spec, &mut out);
            globs(&raw.node, "/spec/match/kinds", &spec.r#match.kinds, &mut out);
            globs(&raw.node, "/spec/match/names", &spec.r#match.names, &mut out);
            let covers = Coverage::Rollout(spec.r#match.clone());
            let rollout = Rollout {
                location: raw.location.clone(),
                name: document.metadata.name,
                manifest: raw.manifest.clone(),
                spec,
            };
            (Some(rollout), covers)
        }
        Err(found) => {
            mismatches(found, &mut out);
            let covers = match node.find("/spec/match") {
                None if node.find("/spec").is_some() => Coverage::Rollout(RolloutMatch::default()),
                None => Coverage::Unknown,
                Some(part) => decode::<RolloutMatch>(part).map_or(Coverage::Unknown, Coverage::Rollout),
            };
            (None, covers)
        }
    };
    let good = out.errors == 0 && unsupported.is_empty();
    let id = DocId { kind: DocKind::Rollout, name: raw.name.clone() };
    ReadRollout {
        broken: (!good).then(|| Broken { id, location: raw.location.clone(), covers }),
        rollout: rollout.filter(|_| good),
        unsupported,
    }
}

fn not_yet(node: &Node, spec: &RolloutSpec, unsupported: &mut Vec<String>, out: &mut Reporter<'_>) {
    let mut report = |pointer: &str, what: &str| {
        unsupported::field(node, pointer, what, out);
        unsupported.push(what.to_owned());
    };
    if !spec.windows.is_empty() {
        report("/spec/windows", "windows");
    }
    if spec.approval != Approval::None {
        report("/spec/approval", "approval");
    }
    if spec.demotion != Demotion::Word(OffWord::Off) {
        report("/spec/demotion", "demotion");
    }
    for (index, stage) in spec.stages.iter().enumerate() {
        if stage.rings.is_some() {
            report(&format!("/spec/stages/{index}/rings"), "rings");
        }
    }
}

/// dryrun first, then warn and deny or one of them.
fn stages(node: &Node, spec: &RolloutSpec, out: &mut Reporter<'_>) {
    let hint = "dryrun first, then warn and deny or one of them";
    let place = |index: usize| node.span_at(&format!("/spec/stages/{index}/action"));
    match spec.stages.first() {
        None => {
            out.error(key_span(node, "/spec/stages"), words(codes::STAGES, "stages is empty").hint(hint));
            return;
        }
        Some(first) if first.action != Stage::Dryrun => out.error(
            place(0),
            words(codes::STAGES, format!("expected dryrun as the first stage, found {}", first.action))
                .hint(hint),
        ),
        Some(_) => {}
    }
    for (index, pair) in spec.stages.windows(2).enumerate() {
        if let [before, after] = pair
            && after.action <= before.action
        {
            out.error(
                place(index + 1),
                words(codes::STAGES, format!("{} cannot come after {}", after.action, before.action))
                    .hint(hint),
            );
        }
    }
    if spec.stages.len() == 1 {
        out.warning(
            place(0),
            words(codes::STAGES, "a single stage: nothing is ever promoted").hint("add warn or deny"),
        );
    }
}

fn globs(node: &Node, pointer: &str, globs: &[String], out: &mut Reporter<'_>) {
    for (index, glob) in globs.iter().enumerate() {
        if let Some(fault) = glob_fault(glob) {
            out.error(node.span_at(&format!("{pointer}/{index}")), words(codes::GLOB, fault));
        }
    }
}

/// Rollouts that are equally close to a constraint, and those that move nothing. Returns the names of
/// those in a tie.
pub(super) fn compare(
    rollouts: &[Rollout],
    constraints: &[Constraint],
    findings: &mut Findings,
) -> Vec<(String, Coverage)> {
    let mut tied: BTreeMap<(String, String), String> = BTreeMap::new();
    for (index, one) in rollouts.iter().enumerate() {
        for other in rollouts.iter().skip(index + 1) {
            if same_match(&one.spec.r#match, &other.spec.r#match) {
                tied.insert((one.name.clone(), other.name.clone()), "their match is the same".to_owned());
            }
        }
    }
    let mut used = vec![false; rollouts.len()];
    for constraint in constraints {
        let ranked = specificity::ranked(rollouts, &constraint.spec);
        for (_, rollout) in &ranked {
            if let Some(at) = rollouts.iter().position(|known| std::ptr::eq(known, *rollout))
                && let Some(seen) = used.get_mut(at)
            {
                *seen = true;
            }
        }
        if let [(first, one), (second, other), ..] = ranked.as_slice()
            && first == second
        {
            tied.entry((one.name.clone(), other.name.clone()))
                .or_insert_with(|| format!("both match {} as closely", constraint.spec.id));
        }
    }
    for ((one, other), why) in &tied {
        for (name, rival) in [(one, other), (other, one)] {
            for rollout in rollouts.iter().filter(|rollout| rollout.name == *name) {
                let at = rollouts.iter().find(|rollout| rollout.name == *rival);
                let place = at.map_or_else(String::new, |rival| {
                    format!(" ({}:{})", rival.location.file, rival.location.span.line)
                });
                findings.add(
                    &rollout.location.file,
                    rollout.location.span,
                    Severity::Error,
                    words(codes::TIE, format!("the Rollouts `{name}` and `{rival}`{place} are equally specific: {why}"))
                        .hint("a literal name beats a glob on names, then labels, a literal kind, a glob on kinds, and `*`"),
                );
            }
        }
    }
    for (rollout, used) in rollouts.iter().zip(used) {
        let any = rollout.spec.r#match == RolloutMatch::default();
        if !used && !constraints.is_empty() && !any {
            findings.add(
                &rollout.location.file,
                rollout.location.span,
                Severity::Warning,
                words(codes::IDLE_ROLLOUT, format!("the Rollout `{}` matches no constraint", rollout.name)),
            );
        }
    }
    let names: std::collections::BTreeSet<&String> =
        tied.keys().flat_map(|(one, other)| [one, other]).collect();
    rollouts
        .iter()
        .filter(|rollout| names.contains(&rollout.name))
        .map(|rollout| (rollout.name.clone(), Coverage::Rollout(rollout.spec.r#match.clone())))
        .collect()
}

fn same_match(one: &RolloutMatch, other: &RolloutMatch) -> bool {
    let normal = |globs: &[String]| {
        let mut globs: Vec<String> = if globs.is_empty() { vec!["*".to_owned()] } else { globs.to_vec() };
        globs.sort();
        globs
    };
    normal(&one.kinds) == normal(&other.kinds)
        && normal(&one.names) == normal(&other.names)
        && one.labels == other.labels
}
