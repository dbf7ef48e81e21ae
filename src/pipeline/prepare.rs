//! A revision made ready: read from git, loaded, and turned into what the plan wants.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use portcullis_core::{
    bundle::{self, Bundle, Coverage, DocKind, ExemptionSpec, LoadOptions, SourceFile},
    identity::{PolicyHash, Revision},
    plan::{Desired, DesiredConstraint, DesiredTemplate, DesiredUnit, ObjectKey, Observed},
    policy::{Auditability, ConstraintSpec, TemplateSpec, semantic_hash, template_hash},
    rollout::RolloutSpec,
    scope::Exemptions,
    suite::{self, Settings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::edge::git::{CommitInfo, FileIssue, GitError, GitSource};

/// A revision, loaded.
#[derive(Debug)]
pub struct Prepared {
    /// The commit.
    pub revision: Revision,
    /// Who made it, when and what for.
    pub commit: CommitInfo,
    /// Its documents and everything that is wrong with them.
    pub bundle: Bundle,
    hashes: BTreeMap<portcullis_core::identity::ConstraintId, PolicyHash>,
    /// Why audits cannot judge a template, by its kind.
    not_auditable: BTreeMap<String, String>,
}

/// The last good version of documents that bear on enforcement and are no unit: by name, as documents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LastGood {
    /// Rollouts.
    pub rollouts: BTreeMap<String, Value>,
    /// Exemptions.
    pub exemptions: BTreeMap<String, Value>,
}

/// What a pass wants, and by what rules.
pub struct Wanted {
    /// The desired state.
    pub desired: Desired,
    /// The exemptions in force.
    pub exemptions: Exemptions,
    /// The last good documents after this revision.
    pub last_good: LastGood,
}

impl Prepared {
    /// Reads and loads a revision. Blocking.
    pub fn load(
        source: &GitSource,
        revision: &Revision,
        paths: &[String],
        options: &LoadOptions,
        now: Timestamp,
    ) -> Result<Self, GitError> {
        let tree = source.read(revision, paths)?;
        let files: Vec<SourceFile> = tree
            .files
            .into_iter()
            .map(|file| match file.content {
                Ok(bytes) => SourceFile::new(file.path, bytes),
                Err(issue) => SourceFile::with_issue(file.path, convert(issue)),
            })
            .collect();
        let mut bundle = bundle::load(&files, options);
        run_suites(&mut bundle, &files, now);
        let hashes = hashes(&bundle);
        let not_auditable = release_compiled(&mut bundle);
        Ok(Self {
            revision: revision.clone(),
            commit: source.commit(revision)?,
            bundle,
            hashes,
            not_auditable,
        })
    }

    /// A revision of which nothing can be used: it wants nothing, and removes nothing.
    pub fn nothing(revision: &Revision) -> Self {
        let commit = CommitInfo {
            author: String::new(),
            email: String::new(),
            committed: Timestamp::UNIX_EPOCH,
            subject: String::new(),
        };
        let bundle = Bundle { refused_whole: true, ..Bundle::default() };
        Self {
            revision: revision.clone(),
            commit,
            bundle,
            hashes: BTreeMap::new(),
            not_auditable: BTreeMap::new(),
        }
    }

    /// Whether nothing of it can be used.
    pub fn is_nothing(&self) -> bool {
        self.bundle.refused_whole
    }

    /// The exemptions in force at `now`.
    pub fn exemptions(&self, good: &LastGood, now: Timestamp) -> Exemptions {
        Exemptions::at(exemption_rules(&self.bundle, good).0, now)
    }

    /// What this revision wants at `now`, given what is there.
    pub fn wanted(
        &self,
        observed: &Observed,
        good: &LastGood,
        default_rollout: &RolloutSpec,
        now: Timestamp,
    ) -> Wanted {
        let (rules, last_good, lost) = exemption_rules(&self.bundle, good);
        let exemptions = Exemptions::at(rules, now);
        let mut desired = Desired {
            revision: Some(self.revision.clone()),
            anything_refused: self.bundle.has_errors() || self.is_nothing(),
            keep_exempted: lost,
            ..Desired::default()
        };
        for (kind, unit) in self.bundle.units() {
            let live_template = observed
                .live
                .get(&ObjectKey::Template(kind.clone()))
                .and_then(|live| TemplateSpec::from_json(&live.manifest).ok());
            let template = unit.template.filter(|_| unit.refused.is_none()).map(|template| DesiredTemplate {
                name: template.spec.name.clone(),
                manifest: template.manifest.clone(),
                spec: template.spec.clone(),
                hash: template_hash(&template.spec),
            });
            let in_force = live_template
                .as_ref()
                .filter(|live| template.as_ref().is_some_and(|wanted| wanted.hash != template_hash(live)));
            let not_auditable = self.not_auditable.get(&kind).cloned();
            let constraints = unit
                .constraints
                .iter()
                .map(|constraint| {
                    let id = constraint.spec.id.clone();
                    let mut capped = self.bundle.capped.get(&id).cloned().unwrap_or_default();
                    capped.extend(self.bundle.held.get(&id).cloned().unwrap_or_default());
                    capped.extend(held_by_last_good(&self.bundle, good, &constraint.spec));
                    let normal = constraint.matching.normal_form();
                    let hash = self
                        .hashes
                        .get(&id)
                        .cloned()
                        .or_else(|| {
                            live_template.as_ref().map(|live| semantic_hash(live, &constraint.spec, &normal))
                        })
                        .unwrap_or_else(|| PolicyHash::new(""));
                    let rollout = self
                        .bundle
                        .rollout_for(&constraint.spec)
                        .map_or_else(|| default_rollout.clone(), |rollout| rollout.spec.clone());
                    let desired = DesiredConstraint {
                        hash_in_force: in_force.map(|live| semantic_hash(live, &constraint.spec, &normal)),
                        exempt: exemptions.excluded_namespaces_for(&id),
                        manifest: constraint.manifest.clone(),
                        spec: constraint.spec.clone(),
                        not_auditable: not_auditable.clone(),
                        id,
                        hash,
                        rollout,
                        capped,
                    };
                    (desired.id.name.clone(), desired)
                })
                .collect();
            let unit =
                DesiredUnit { kind: kind.clone(), template, constraints, refused: unit.refused.clone() };
            desired.units.insert(kind, unit);
        }
        name_refused(&mut desired, observed);
        Wanted { desired, exemptions, last_good }
    }
}

/// Lets go of the compiled rules, which are large and which the audit compiles from what is in force; what they
/// say about auditability is kept, by kind.
fn release_compiled(bundle: &mut Bundle) -> BTreeMap<String, String> {
    let mut reasons = BTreeMap::new();
    for template in &mut bundle.templates {
        let compiled = template.compiled.take();
        if let Some(Auditability::NotYet { reasons: why }) =
            compiled.map(|compiled| compiled.auditability.clone())
        {
            reasons.insert(template.spec.kind.clone(), why.join(", "));
        }
    }
    reasons
}

/// Runs the suites of the revision; a failing one refuses what it tests.
fn run_suites(bundle: &mut Bundle, files: &[SourceFile], now: Timestamp) {
    let contents: BTreeMap<&str, &Arc<[u8]>> = files
        .iter()
        .filter(|file| file.issue.is_none())
        .map(|file| (file.path.as_str(), &file.bytes))
        .collect();
    let read = |path: &str| contents.get(path).map(|bytes| Arc::clone(bytes));
    let settings = Settings::at(now);
    let results: Vec<_> =
        bundle.suites_to_run().iter().map(|file| suite::verify(&read, file, &settings)).collect();
    bundle.judge_by_suites(&results);
}

/// The semantic hash of every constraint whose template git has.
fn hashes(bundle: &Bundle) -> BTreeMap<portcullis_core::identity::ConstraintId, PolicyHash> {
    bundle
        .constraints
        .iter()
        .filter_map(|constraint| {
            let template = bundle.template(&constraint.spec.id.kind)?;
            let hash = semantic_hash(&template.spec, &constraint.spec, &constraint.matching.normal_form());
            Some((constraint.spec.id.clone(), hash))
        })
        .collect()
}

/// The exemptions in force: the good ones, and the last good version of the broken ones. Says also whether
/// one is broken of which no good version is known.
fn exemption_rules(
    bundle: &Bundle,
    good: &LastGood,
) -> (Vec<portcullis_core::scope::Exemption>, LastGood, bool) {
    let mut last_good = LastGood::default();
    let mut rules = Vec::new();
    for exemption in &bundle.exemptions {
        last_good.exemptions.insert(exemption.name.clone(), exemption.manifest.clone());
        rules.push(exemption.rule.clone());
    }
    for rollout in &bundle.rollouts {
        last_good.rollouts.insert(rollout.name.clone(), rollout.manifest.clone());
    }
    let mut lost = false;
    for broken in &bundle.broken {
        let name = &broken.id.name;
        match broken.id.kind {
            DocKind::Exemption => {
                let old = good.exemptions.get(name);
                match old.and_then(|manifest| rule_of(name, manifest)) {
                    Some(rule) => {
                        rules.push(rule);
                        last_good.exemptions.extend(old.map(|manifest| (name.clone(), manifest.clone())));
                    }
                    None => lost = true,
                }
            }
            DocKind::Rollout => {
                last_good
                    .rollouts
                    .extend(good.rollouts.get(name).map(|manifest| (name.clone(), manifest.clone())));
            }
            // Nobody can tell which of the Exemptions it would allow: those in force stay.
            DocKind::ExemptionPolicy => {}
        }
    }
    (rules, last_good, lost)
}

/// A broken Rollout holds what its last good version matches, too.
fn held_by_last_good(bundle: &Bundle, good: &LastGood, constraint: &ConstraintSpec) -> Option<String> {
    bundle.broken.iter().filter(|broken| broken.id.kind == DocKind::Rollout).find_map(|broken| {
        let spec = good.rollouts.get(&broken.id.name)?.get("spec")?.clone();
        let spec: RolloutSpec = serde_json::from_value(spec).ok()?;
        Coverage::Rollout(spec.r#match)
            .concerns(constraint)
            .then(|| format!("the Rollout `{}` is broken; its last good version holds this", broken.id.name))
    })
}

fn rule_of(name: &str, manifest: &Value) -> Option<portcullis_core::scope::Exemption> {
    let spec: ExemptionSpec = serde_json::from_value(manifest.get("spec")?.clone()).ok()?;
    spec.rule(name)
}

/// A refused unit of which nothing could be read is known by the lower-case name of its template; the objects
/// that are there tell its real kind.
fn name_refused(desired: &mut Desired, observed: &Observed) {
    let kinds: BTreeSet<String> =
        observed.live.keys().chain(observed.mirror.keys()).map(|key| key.unit().to_owned()).collect();
    for kind in kinds {
        let lower = kind.to_lowercase();
        if lower == kind || desired.units.contains_key(&kind) {
            continue;
        }
        if let Some(mut unit) = desired.units.remove(&lower) {
            unit.kind.clone_from(&kind);
            desired.units.insert(kind, unit);
        }
    }
}

fn convert(issue: FileIssue) -> bundle::FileIssue {
    match issue {
        FileIssue::Symlink => bundle::FileIssue::Symlink,
        FileIssue::Submodule => bundle::FileIssue::Submodule,
        FileIssue::TooLarge { size, limit } => bundle::FileIssue::TooLarge { bytes: size, limit },
        FileIssue::InvalidPath => bundle::FileIssue::Unreadable("its path is not a usable name".to_owned()),
        FileIssue::TooDeep { limit } => {
            bundle::FileIssue::Unreadable(format!("it lies deeper than {limit} folders"))
        }
    }
}
