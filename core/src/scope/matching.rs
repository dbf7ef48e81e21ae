//! `spec.match`: whether a constraint is about an object.

use super::{Candidate, Glob, Labels, Mismatch, Origin, Outcome, Selector, Semantics};

/// A `spec.match`; an unset field matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// `kinds`: any entry suffices; none means all.
    pub(super) kinds: Vec<KindsEntry>,
    /// `scope`.
    pub(super) scope: ScopeRule,
    /// `namespaces`.
    pub(super) namespaces: Vec<Glob>,
    /// `excludedNamespaces`.
    pub(super) excluded_namespaces: Vec<Glob>,
    /// `labelSelector`.
    pub(super) label_selector: Option<Selector>,
    /// `namespaceSelector`.
    pub(super) namespace_selector: Option<Selector>,
    /// `name`; never the empty text, which means any name.
    pub(super) name: Option<Glob>,
    /// `source`.
    pub(super) source: SourceRule,
}

/// One entry of `kinds`; an empty list means all, as does `*` in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KindsEntry {
    /// `apiGroups`.
    pub groups: Vec<String>,
    /// `kinds`.
    pub kinds: Vec<String>,
}

/// `scope`; anything but the two words means any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ScopeRule {
    #[default]
    Any,
    Cluster,
    Namespaced,
}

/// `source`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SourceRule {
    #[default]
    All,
    Original,
    Generated,
}

/// A group and kind that a match may be about; `None` stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindPattern<'a> {
    /// API group, empty for the core group.
    pub group: Option<&'a str>,
    /// Kind.
    pub kind: Option<&'a str>,
}

/// A match that cannot be decided; Gatekeeper refuses with it as message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// A `namespaceSelector` asks for labels of a namespace nobody knows.
    #[error("the namespace `{0}` is unknown, and the constraint selects by its labels")]
    UnknownNamespace(String),
}

/// Where an object lies, as far as its namespace is known.
enum Place<'a> {
    /// In no namespace.
    Nowhere,
    /// In a namespace with these labels.
    Known(&'a Labels),
    /// In a namespace nobody knows.
    Unknown,
}

static NO_LABELS: Labels = Labels::new();

impl Match {
    /// Whether the constraint is about the object; fields are asked in Gatekeeper's order.
    pub fn applies(&self, candidate: &Candidate<'_>, semantics: Semantics) -> Result<Outcome, MatchError> {
        let place = match (candidate.namespace_labels, semantics) {
            (Some(labels), _) => Place::Known(labels),
            (None, Semantics::Gator) if matches!(candidate.namespace, "" | "default") => {
                Place::Known(&NO_LABELS)
            }
            (None, _) if candidate.namespace.is_empty() => Place::Nowhere,
            (None, _) => Place::Unknown,
        };
        let is_namespace = candidate.is_namespace();

        if !self.kinds.is_empty() && !self.kinds.iter().any(|e| e.holds(candidate.group, candidate.kind)) {
            return Ok(Outcome::Differs(Mismatch::Kinds));
        }
        let in_namespace = !is_namespace && !matches!(place, Place::Nowhere);
        match self.scope {
            ScopeRule::Cluster if in_namespace => return Ok(Outcome::Differs(Mismatch::Scope)),
            ScopeRule::Namespaced if !in_namespace => return Ok(Outcome::Differs(Mismatch::Scope)),
            _ => {}
        }
        let namespace = match place {
            _ if is_namespace => Some(candidate.name),
            Place::Nowhere => None,
            Place::Known(_) | Place::Unknown => Some(candidate.namespace),
        };
        if let Some(namespace) = namespace {
            if !self.namespaces.is_empty() && !self.namespaces.iter().any(|glob| glob.matches(namespace)) {
                return Ok(Outcome::Differs(Mismatch::Namespaces));
            }
            if self.excluded_namespaces.iter().any(|glob| glob.matches(namespace)) {
                return Ok(Outcome::Differs(Mismatch::ExcludedNamespaces));
            }
        }
        if self.label_selector.as_ref().is_some_and(|selector| !selector.matches(candidate.labels)) {
            return Ok(Outcome::Differs(Mismatch::LabelSelector));
        }
        if let Some(selector) = &self.namespace_selector {
            let holds = match place {
                _ if is_namespace => selector.matches(candidate.labels),
                Place::Nowhere => true,
                Place::Known(labels) => selector.matches(labels),
                Place::Unknown => return Err(MatchError::UnknownNamespace(candidate.namespace.to_owned())),
            };
            if !holds {
                return Ok(Outcome::Differs(Mismatch::NamespaceSelector));
            }
        }
        if let Some(name) = &self.name
            && !name.matches(candidate.name)
            && !name.matches_generated(candidate.generate_name)
        {
            return Ok(Outcome::Differs(Mismatch::Name));
        }
        match (self.source, candidate.origin) {
            (SourceRule::Original, Origin::Generated) | (SourceRule::Generated, Origin::Original) => {
                Ok(Outcome::Differs(Mismatch::Source))
            }
            _ => Ok(Outcome::Applies),
        }
    }

    /// The groups and kinds the match may be about, to index constraints by; one pattern of two `None`
    /// where it may be about any.
    pub fn kinds(&self) -> Vec<KindPattern<'_>> {
        if self.kinds.is_empty() {
            return vec![KindPattern { group: None, kind: None }];
        }
        let mut patterns = Vec::new();
        for entry in &self.kinds {
            for kind in literals(&entry.kinds) {
                for group in literals(&entry.groups) {
                    patterns.push(KindPattern { group, kind });
                }
            }
        }
        patterns.sort_unstable();
        patterns.dedup();
        patterns
    }

    /// Whether the match names this kind in so many words, and its group in words or by wildcard.
    pub fn names_kind(&self, group: &str, kind: &str) -> bool {
        self.kinds.iter().any(|e| e.kinds.iter().any(|k| k == kind) && e.holds(group, kind))
    }

    /// The globs of `namespaces`, as written.
    pub fn namespaces(&self) -> &[Glob] {
        &self.namespaces
    }

    /// The globs of `excludedNamespaces`, as written.
    pub fn excluded_namespaces(&self) -> &[Glob] {
        &self.excluded_namespaces
    }

    /// Whether labels of namespaces decide.
    pub fn selects_namespaces(&self) -> bool {
        self.namespace_selector.is_some()
    }
}

impl KindsEntry {
    fn holds(&self, group: &str, kind: &str) -> bool {
        let holds = |list: &[String], wanted: &str| {
            list.is_empty() || list.iter().any(|item| item == "*" || item == wanted)
        };
        holds(&self.kinds, kind) && holds(&self.groups, group)
    }
}

/// The items of a list, or `None` alone where the list means all.
fn literals(list: &[String]) -> Vec<Option<&str>> {
    if list.is_empty() || list.iter().any(|item| item == "*") {
        vec![None]
    } else {
        list.iter().map(|item| Some(item.as_str())).collect()
    }
}
