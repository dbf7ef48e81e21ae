//! A tree of files into a bundle: the ordered steps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{
    Broken, Bundle, Coverage, DocId, DocKind, LayoutClass, LayoutEntry, SourceFile, codes,
    constraint::{self, Surroundings},
    exemption_lint,
    findings::{Findings, value_span, words},
    fixtures,
    layout::{self, Ignores},
    read::{self, Raw, Sort},
    rollout, suites, template, unsupported,
};
use crate::{
    document::Limits,
    identity::ConstraintId,
    problem::{Severity, Span},
};

/// How a tree is read.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Constraint kinds whose templates others own (`source.externalTemplates`).
    pub external_templates: Vec<String>,
    /// The day to measure Exemptions by; `None` says nothing about dates.
    pub today: Option<Date>,
    /// Bounds of one file and its documents.
    pub limits: Limits,
}

impl Default for LoadOptions {
    /// No external templates, no date, files of 1 MiB with 200,000 values.
    fn default() -> Self {
        Self {
            external_templates: Vec::new(),
            today: None,
            limits: Limits { bytes: 1 << 20, nodes: 200_000, ..Limits::default() },
        }
    }
}

/// Reads the files of a policy repository. Everything that is wrong with them is in `problems`; what a
/// problem refuses, holds back or caps is said beside it.
pub fn load(files: &[SourceFile], options: &LoadOptions) -> Bundle {
    let mut findings = Findings::default();
    let mut bundle = Bundle {
        external_templates: options.external_templates.iter().cloned().collect(),
        ..Bundle::default()
    };
    let sorted = sort(files, options, &mut bundle, &mut findings);
    identities(&sorted, &mut bundle, &mut findings);

    for raw in &sorted.templates {
        bundle.templates.extend(template::read(raw, &mut findings));
    }
    for raw in &sorted.policies {
        match exemption_lint::read_policy(raw, &mut findings) {
            Ok(policy) => bundle.exemption_policies.push(policy),
            Err(broken) => bundle.broken.push(*broken),
        }
    }
    let around = Surroundings {
        templates: &bundle.templates,
        refused: findings.refused.keys().cloned().collect(),
        external: &bundle.external_templates,
        policed: !sorted.policies.is_empty(),
    };
    let mut constraints = Vec::new();
    for raw in &sorted.constraints {
        constraints.extend(constraint::read(raw, &around, &mut findings));
    }
    bundle.constraints = constraints;

    rollouts(&sorted, &mut bundle, &mut findings);
    exemptions(&sorted, options.today, &mut bundle, &mut findings);
    capped(&sorted, &mut bundle);
    held(&mut bundle);
    untested(&bundle, &mut findings);

    findings.problems.sort();
    findings.problems.dedup();
    bundle.problems = findings.problems;
    bundle.refused = findings.refused;
    bundle.refused_whole = findings.refused_whole;
    bundle
}

/// The documents of the tree by what they are.
#[derive(Default)]
struct Sorted {
    templates: Vec<Raw>,
    constraints: Vec<Raw>,
    rollouts: Vec<Raw>,
    exemptions: Vec<Raw>,
    policies: Vec<Raw>,
    /// Documents that a later version acts on.
    later: Vec<Raw>,
}

fn sort(files: &[SourceFile], options: &LoadOptions, bundle: &mut Bundle, findings: &mut Findings) -> Sorted {
    let mut sorted = Sorted::default();
    let ignores = Ignores::read(files, findings);
    let mut ordered: Vec<&SourceFile> = files.iter().collect();
    ordered.sort_by(|a, b| a.path.cmp(&b.path));
    let readable: Vec<&SourceFile> = ordered
        .iter()
        .copied()
        .filter(|file| {
            file.issue.is_none() && read::is_document_file(&file.path) && ignores.by(&file.path).is_none()
        })
        .collect();
    let fixtures = fixtures::find(&readable, &options.limits);
    for file in ordered {
        let mut entry = LayoutEntry {
            path: file.path.clone(),
            class: LayoutClass::Other,
            detail: String::new(),
            documents: 0,
        };
        if let Some(by) = ignores.by(&file.path) {
            entry.class = LayoutClass::Ignored;
            entry.detail = format!("by {by}");
        } else if let Some(issue) = &file.issue {
            read::issue(&file.path, issue, findings);
        } else if let Some(suite) = fixtures.get(&file.path) {
            entry.class = LayoutClass::Fixture;
            entry.detail = format!("of {suite}");
        } else if read::is_document_file(&file.path) {
            entry.class = LayoutClass::Policy;
            let raws = read::documents(file, &options.limits, findings);
            entry.detail =
                if is_kustomization(&file.path) { "a kustomization".to_owned() } else { describe(&raws) };
            for raw in raws {
                entry.documents += usize::from(place(raw, &mut sorted, bundle, findings));
            }
        }
        if !file.path.ends_with(layout::IGNORE_FILE) {
            bundle.layout.push(entry);
        }
    }
    sorted
}

/// Puts a document where it belongs; whether it is one of a policy repository.
fn place(raw: Raw, sorted: &mut Sorted, bundle: &mut Bundle, findings: &mut Findings) -> bool {
    let sort = raw.sort();
    match sort {
        Sort::Template => sorted.templates.push(raw),
        Sort::Constraint => sorted.constraints.push(raw),
        Sort::Ours(DocKind::Rollout) => sorted.rollouts.push(raw),
        Sort::Ours(DocKind::Exemption) => sorted.exemptions.push(raw),
        Sort::Ours(DocKind::ExemptionPolicy) => sorted.policies.push(raw),
        Sort::Suite => bundle.suites.push(suites::suite(&raw)),
        Sort::Later => {
            unsupported::document(&raw, findings);
            sorted.later.push(raw);
        }
        Sort::Nameless | Sort::Unmanaged if is_kustomization(&raw.location.file) => {
            kustomization(&raw, findings);
            return false;
        }
        Sort::Unmanaged | Sort::Unknown | Sort::Nameless => {
            read::foreign(&raw, sort, findings);
            return false;
        }
    }
    true
}

fn is_kustomization(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

fn kustomization(raw: &Raw, findings: &mut Findings) {
    let resources = raw.manifest.get("resources").and_then(serde_json::Value::as_array);
    let outside = resources
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .find(|path| path.starts_with("..") || path.contains("://") || path.starts_with("github.com/"));
    let words =
        words(codes::UNMANAGED, "a kustomization is not managed here: its files are read as they are");
    let words = match outside {
        Some(path) => words.hint(format!("`{path}` lies outside; commit the output of `kustomize build`")),
        None => words.hint("name it in .portcullisignore"),
    };
    findings.add(&raw.location.file, raw.location.span, Severity::Warning, words);
}

fn describe(raws: &[Raw]) -> String {
    let mut names: Vec<String> = raws
        .iter()
        .map(|raw| match (raw.kind.as_str(), raw.name.as_str()) {
            ("", _) => "a document without kind".to_owned(),
            (kind, "") => kind.to_owned(),
            (kind, name) => format!("{kind}/{name}"),
        })
        .collect();
    if names.len() > 3 {
        let more = names.len() - 2;
        names.truncate(2);
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

/// Two documents of one identity.
fn identities(sorted: &Sorted, bundle: &mut Bundle, findings: &mut Findings) {
    let mut seen: BTreeMap<(String, &str), Vec<&Raw>> = BTreeMap::new();
    let all =
        [&sorted.templates, &sorted.constraints, &sorted.rollouts, &sorted.exemptions, &sorted.policies];
    for raw in all.into_iter().flatten().filter(|raw| !raw.name.is_empty()) {
        let group = raw.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        seen.entry((format!("{group}/{}", raw.kind), raw.name.as_str())).or_default().push(raw);
    }
    for raws in seen.values().filter(|raws| raws.len() > 1) {
        for raw in raws {
            let others: Vec<String> = raws
                .iter()
                .filter(|other| other.location != raw.location)
                .map(|other| format!("{}:{}", other.location.file, other.location.span.line))
                .collect();
            let words = words(
                codes::DUPLICATE,
                format!("{} `{}` is also at {}", raw.kind, raw.name, others.join(" and ")),
            )
            .hint("keep one of them");
            let unit = match raw.sort() {
                Sort::Template => Some(raw.name.as_str()),
                Sort::Constraint => Some(raw.kind.as_str()),
                _ => None,
            };
            findings.at(&raw.location.file, unit).error(value_span(&raw.node, "/metadata/name"), words);
            if let Sort::Ours(kind) = raw.sort() {
                let id = DocId { kind, name: raw.name.clone() };
                // Which of them is meant nobody knows, so nobody knows either what they cover.
                let covers =
                    if kind == DocKind::ExemptionPolicy { Coverage::Nothing } else { Coverage::Unknown };
                bundle.broken.push(Broken { id, location: raw.location.clone(), covers });
            }
        }
    }
}

fn is_broken(bundle: &Bundle, kind: DocKind, name: &str) -> bool {
    bundle.broken.iter().any(|broken| broken.id.kind == kind && broken.id.name == name)
}

fn rollouts(sorted: &Sorted, bundle: &mut Bundle, findings: &mut Findings) {
    let mut read = Vec::new();
    for raw in &sorted.rollouts {
        let found = rollout::read(raw, findings);
        for what in &found.unsupported {
            let reason = format!("{what} of the Rollout `{}` is not supported yet", raw.name);
            if let Some(broken) = &found.broken {
                cap(bundle, &broken.covers, &reason);
            }
        }
        bundle.broken.extend(found.broken);
        read.extend(found.rollout);
    }
    let tied = rollout::compare(&read, &bundle.constraints, findings);
    for (name, covers) in tied {
        if let Some(rollout) = read.iter().find(|rollout| rollout.name == name) {
            let id = DocId { kind: DocKind::Rollout, name: name.clone() };
            bundle.broken.push(Broken { id, location: rollout.location.clone(), covers });
        }
    }
    read.retain(|rollout| !is_broken(bundle, DocKind::Rollout, &rollout.name));
    bundle.rollouts = read;
}

fn exemptions(sorted: &Sorted, today: Option<Date>, bundle: &mut Bundle, findings: &mut Findings) {
    let mut read = Vec::new();
    for raw in &sorted.exemptions {
        let found =
            exemption_lint::read(raw, &bundle.exemption_policies, &bundle.constraints, today, findings);
        for what in &found.unsupported {
            let reason = format!("{what} of the Exemption `{}` is not supported yet", raw.name);
            if let Some(broken) = &found.broken {
                cap(bundle, &broken.covers, &reason);
            }
        }
        bundle.broken.extend(found.broken);
        read.extend(found.exemption);
    }
    // Without its policy nobody can tell whether an Exemption may be: the last good versions stay.
    if bundle.broken.iter().any(|broken| broken.id.kind == DocKind::ExemptionPolicy) {
        for exemption in &read {
            bundle.broken.push(Broken {
                id: DocId { kind: DocKind::Exemption, name: exemption.name.clone() },
                location: exemption.location.clone(),
                covers: Coverage::Patterns(exemption.rule.constraints.clone()),
            });
        }
    }
    read.retain(|exemption| !is_broken(bundle, DocKind::Exemption, &exemption.name));
    bundle.exemptions = read;
}

fn cap(bundle: &mut Bundle, covers: &Coverage, reason: &str) {
    let concerned: Vec<ConstraintId> = bundle
        .constraints
        .iter()
        .filter(|constraint| covers.concerns(&constraint.spec))
        .map(|constraint| constraint.spec.id.clone())
        .collect();
    for id in concerned {
        bundle.capped.entry(id).or_default().push(reason.to_owned());
    }
}

/// What annotations and documents that are not supported yet keep at dryrun.
fn capped(sorted: &Sorted, bundle: &mut Bundle) {
    for raw in &sorted.templates {
        let kind = raw.manifest.pointer("/spec/crd/spec/names/kind").and_then(serde_json::Value::as_str);
        if let (Some(reason), Some(kind)) = (unsupported::reason(&raw.node), kind) {
            let covers = Coverage::Patterns(vec![(kind.into_glob(), "*".into_glob())]);
            cap(bundle, &covers, &format!("{reason} (on its template)"));
        }
    }
    for raw in &sorted.constraints {
        if let Some(reason) = unsupported::reason(&raw.node) {
            let covers =
                Coverage::Patterns(vec![(raw.kind.as_str().into_glob(), raw.name.as_str().into_glob())]);
            cap(bundle, &covers, &reason);
        }
    }
    for raw in sorted.later.iter().filter(|raw| raw.kind == "ExpansionTemplate") {
        let text =
            |pointer: &str| raw.manifest.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or("");
        let (group, kind) = (text("/spec/generatedGVK/group"), text("/spec/generatedGVK/kind"));
        let concerned: Vec<ConstraintId> = bundle
            .constraints
            .iter()
            .filter(|constraint| {
                constraint.matching.kinds().iter().any(|pattern| {
                    pattern.group.is_none_or(|known| known == group)
                        && pattern.kind.is_none_or(|known| known == kind)
                })
            })
            .map(|constraint| constraint.spec.id.clone())
            .collect();
        for id in concerned {
            let reason = format!("the ExpansionTemplate `{}` is not supported yet", raw.name);
            bundle.capped.entry(id).or_default().push(reason);
        }
    }
}

trait IntoGlob {
    fn into_glob(self) -> crate::scope::Glob;
}

impl IntoGlob for &str {
    fn into_glob(self) -> crate::scope::Glob {
        crate::scope::Glob::new(self)
    }
}

/// What broken documents keep from being promoted.
fn held(bundle: &mut Bundle) {
    let mut held: BTreeMap<ConstraintId, Vec<String>> = BTreeMap::new();
    for broken in &bundle.broken {
        let reason = format!(
            "the {} `{}` cannot be relied on ({}:{})",
            broken.id.kind.as_str(),
            broken.id.name,
            broken.location.file,
            broken.location.span.line
        );
        for constraint in
            bundle.constraints.iter().filter(|constraint| broken.covers.concerns(&constraint.spec))
        {
            let reasons = held.entry(constraint.spec.id.clone()).or_default();
            if !reasons.contains(&reason) {
                reasons.push(reason.clone());
            }
        }
    }
    bundle.held = held;
}

/// Templates that no suite tests.
fn untested(bundle: &Bundle, findings: &mut Findings) {
    let tested: BTreeSet<String> = bundle
        .suites
        .iter()
        .flat_map(suites::named)
        .filter(|named| named.is_template)
        .map(|named| named.path)
        .collect();
    for template in bundle.templates.iter().filter(|template| !tested.contains(&template.location.file)) {
        findings.add(
            &template.location.file,
            Span { ..template.location.span },
            Severity::Warning,
            words(codes::UNTESTED, format!("no suite tests {}", template.spec.kind))
                .hint("write a suite.yaml beside it; `portcullis verify` runs it"),
        );
    }
}
