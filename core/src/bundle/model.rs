//! What a policy repository holds once it is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    LayoutEntry,
    exemption::{ExemptionPolicySpec, ExemptionSpec},
    specificity,
};
use crate::{
    identity::ConstraintId,
    policy::{CompiledTemplate, ConstraintSpec, ParameterSchema, TemplateSpec},
    problem::{Problem, Severity, Span},
    rollout::{RolloutMatch, RolloutSpec},
    scope::{self, Match},
};

/// One file of the tree, as the source gives it.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// The content; empty where there is an issue.
    pub bytes: Arc<[u8]>,
    /// Why the content is not there.
    pub issue: Option<FileIssue>,
}

impl SourceFile {
    /// A file that could be read.
    pub fn new(path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { path: path.into(), bytes: bytes.into(), issue: None }
    }

    /// A file that could not.
    pub fn with_issue(path: impl Into<String>, issue: FileIssue) -> Self {
        Self { path: path.into(), bytes: Arc::from([]), issue: Some(issue) }
    }
}

/// Why a file's content is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileIssue {
    /// It is a symbolic link.
    Symlink,
    /// It is another repository.
    Submodule,
    /// It has more bytes than are read.
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// How many are read.
        limit: u64,
    },
    /// It could not be read, in words.
    Unreadable(String),
}

/// Where a document begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Path from the root of the repository.
    pub file: String,
    /// Where in the file.
    pub span: Span,
}

/// A ConstraintTemplate.
#[derive(Clone, Debug)]
pub struct Template {
    /// Where it stands.
    pub location: Location,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: TemplateSpec,
    /// Its Rego, compiled; `None` where it does not compile.
    pub compiled: Option<Arc<CompiledTemplate>>,
    /// The schema of its parameters; `None` where it is unusable.
    pub parameters: Option<Arc<ParameterSchema>>,
}

/// A constraint.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// Where it stands.
    pub location: Location,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: ConstraintSpec,
    /// What it is about; only good where its unit is not refused.
    pub matching: Match,
}

/// A Rollout document.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Where it stands.
    pub location: Location,
    /// `metadata.name`.
    pub name: String,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: RolloutSpec,
}

/// An Exemption document.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// Where it stands.
    pub location: Location,
    /// `metadata.name`.
    pub name: String,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: ExemptionSpec,
    /// The same, ready to judge by.
    pub rule: scope::Exemption,
}

/// An ExemptionPolicy document.
#[derive(Clone, Debug)]
pub struct ExemptionPolicy {
    /// Where it stands.
    pub location: Location,
    /// `metadata.name`.
    pub name: String,
    /// The document.
    pub manifest: Value,
    /// What it says.
    pub spec: ExemptionPolicySpec,
}

/// A Suite, in gator's format.
#[derive(Clone, Debug)]
pub struct SuiteFile {
    /// Where it stands; its paths are relative to the file's folder.
    pub location: Location,
    /// `metadata.name`, empty where it has none.
    pub name: String,
    /// The document.
    pub manifest: Value,
}

/// The kinds of documents that are neither template nor constraint and bear on enforcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocKind {
    /// Rollout.
    Rollout,
    /// Exemption.
    Exemption,
    /// ExemptionPolicy.
    ExemptionPolicy,
}

impl DocKind {
    /// The kind as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rollout => "Rollout",
            Self::Exemption => "Exemption",
            Self::ExemptionPolicy => "ExemptionPolicy",
        }
    }
}

/// The identity of such a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId {
    /// Its kind.
    pub kind: DocKind,
    /// `metadata.name`, empty where it has none.
    pub name: String,
}

/// Which constraints a document is about, as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Coverage {
    /// It cannot be told: any.
    Unknown,
    /// Those a Rollout matches.
    Rollout(RolloutMatch),
    /// Those an Exemption names: globs on kind and name.
    Patterns(Vec<(scope::Glob, scope::Glob)>),
    /// None: an ExemptionPolicy bears on Exemptions, which are listed on their own.
    Nothing,
}

impl Coverage {
    /// Whether it may be about this constraint.
    pub fn concerns(&self, constraint: &ConstraintSpec) -> bool {
        match self {
            Self::Unknown => true,
            Self::Rollout(rule) => specificity::rank(rule, constraint).is_some(),
            Self::Patterns(patterns) => patterns
                .iter()
                .any(|(kind, name)| kind.matches(&constraint.id.kind) && name.matches(&constraint.id.name)),
            Self::Nothing => false,
        }
    }
}

/// A Rollout, Exemption or ExemptionPolicy with an error: its last good version stays, and what that one
/// or this one covers is not promoted.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// Which document.
    pub id: DocId,
    /// Where it stands.
    pub location: Location,
    /// What it covers.
    pub covers: Coverage,
}

/// A policy repository, read.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// Templates, by file and place; those that cannot be understood are missing (see `refused`).
    pub templates: Vec<Template>,
    /// Constraints, by file and place; those that cannot be understood are missing.
    pub constraints: Vec<Constraint>,
    /// Rollouts without errors.
    pub rollouts: Vec<Rollout>,
    /// Exemptions without errors; the dates decide which of them act.
    pub exemptions: Vec<Exemption>,
    /// ExemptionPolicies without errors.
    pub exemption_policies: Vec<ExemptionPolicy>,
    /// Suites.
    pub suites: Vec<SuiteFile>,
    /// Rollouts, Exemptions and ExemptionPolicies with errors.
    pub broken: Vec<Broken>,
    /// Everything that is wrong, by file and place.
    pub problems: Vec<Problem>,
    /// What every file is taken for.
    pub layout: Vec<LayoutEntry>,
    /// Whether the revision is refused as a whole: nobody can tell what a file held.
    pub refused_whole: bool,
    /// Refused policy units by the lower-case kind of their constraints, with the first reason.
    pub refused: BTreeMap<String, String>,
    /// Constraints that go no further than dryrun, with the reasons: something that asks for what is not
    /// supported yet is about them.
    pub capped: BTreeMap<ConstraintId, Vec<String>>,
    /// Constraints that are not promoted, with the reasons: a broken Rollout or Exemption is about them.
    pub held: BTreeMap<ConstraintId, Vec<String>>,
    /// Kinds whose templates others own.
    pub external_templates: BTreeSet<String>,
}

impl Bundle {
    /// The Rollout that moves a constraint: the one that matches most closely.
    pub fn rollout_for(&self, constraint: &ConstraintSpec) -> Option<&Rollout> {
        specificity::closest(&self.rollouts, constraint)
    }

    /// The template of a kind.
    pub fn template(&self, kind: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.spec.kind == kind)
    }

    /// Whether anything is an error: the sync of this revision is partial, or refused.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// How many problems have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Documents that were read: templates, constraints, suites and the documents of our own.
    pub fn documents(&self) -> usize {
        self.layout.iter().map(|entry| entry.documents).sum()
    }
}
