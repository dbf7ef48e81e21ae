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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{KindPattern, Match, MatchError};
    use crate::scope::{Candidate, Labels, Mismatch, Origin, Outcome, Semantics};

    /// An object: group, kind, namespace, name; the namespaces `shop` and `kube-system` are known.
    struct Case(&'static str, &'static str, &'static str, &'static str);

    const POD: Case = Case("", "Pod", "shop", "web-1");
    const LOST: Case = Case("", "Pod", "nowhere", "web-1");
    const DEFAULT: Case = Case("", "Pod", "default", "web-1");
    const NAMESPACE: Case = Case("", "Namespace", "", "kube-system");
    const ROLE: Case = Case("rbac.authorization.k8s.io", "ClusterRole", "", "admin");

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn ask(spec: &Value, case: &Case, semantics: Semantics) -> Result<Outcome, MatchError> {
        let namespaces: BTreeMap<&str, Labels> =
            [("shop", labels(&[("team", "a")])), ("kube-system", labels(&[]))].into();
        let own = labels(&[("app", "web")]);
        let (matching, problems) = Match::parse(spec);
        assert!(!problems.iter().any(|p| p.severity == crate::problem::Severity::Error), "{problems:?}");
        let candidate = Candidate {
            group: case.0,
            kind: case.1,
            namespace: case.2,
            name: case.3,
            generate_name: "generated-",
            labels: &own,
            namespace_labels: namespaces.get(case.2),
            origin: Origin::Original,
        };
        matching.applies(&candidate, semantics)
    }

    fn check(spec: &Value, case: &Case, semantics: Semantics, expected: Option<Mismatch>) {
        let expected = expected.map_or(Outcome::Applies, Outcome::Differs);
        assert_eq!(ask(spec, case, semantics), Ok(expected), "{spec} {} {} {semantics:?}", case.1, case.2);
    }

    #[test]
    fn fields_decide_alike_under_both_semantics_where_a_namespace_is_known() {
        let selector = |key: &str, value: &str| json!({"matchLabels": {key: value}});
        for (spec, case, expected) in [
            (json!(null), POD, None),
            (json!({}), ROLE, None),
            (json!({"kinds": []}), POD, None),
            (json!({"kinds": [{}]}), POD, None),
            (json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}), POD, None),
            (json!({"kinds": [{"apiGroups": ["*"], "kinds": ["*"]}]}), ROLE, None),
            (json!({"kinds": [{"apiGroups": [], "kinds": ["Pod", "Job"]}]}), POD, None),
            (json!({"kinds": [{"apiGroups": ["apps"], "kinds": ["Pod"]}]}), POD, Some(Mismatch::Kinds)),
            (json!({"kinds": [{"apiGroups": [""], "kinds": ["pod"]}]}), POD, Some(Mismatch::Kinds)),
            (json!({"kinds": [{"apiGroups": ["v1"], "kinds": ["Pod"]}]}), POD, Some(Mismatch::Kinds)),
            (json!({"kinds": [{"kinds": ["Job"]}, {"kinds": ["Pod"]}]}), POD, None),
            (json!({"scope": "Namespaced"}), POD, None),
            (json!({"scope": "Cluster"}), POD, Some(Mismatch::Scope)),
            (json!({"scope": "Cluster"}), NAMESPACE, None),
            (json!({"scope": "Namespaced"}), NAMESPACE, Some(Mismatch::Scope)),
            (json!({"scope": "cluster"}), POD, None),
            (json!({"namespaces": ["sh*"]}), POD, None),
            (json!({"namespaces": ["other"]}), POD, Some(Mismatch::Namespaces)),
            (json!({"namespaces": ["nowhere"]}), LOST, None),
            (json!({"namespaces": ["kube-*"]}), NAMESPACE, None),
            (json!({"namespaces": ["shop"]}), NAMESPACE, Some(Mismatch::Namespaces)),
            (json!({"excludedNamespaces": ["*op"]}), POD, Some(Mismatch::ExcludedNamespaces)),
            (json!({"excludedNamespaces": ["other"]}), POD, None),
            (json!({"excludedNamespaces": ["kube-*"]}), NAMESPACE, Some(Mismatch::ExcludedNamespaces)),
            (
                json!({"namespaces": ["shop"], "excludedNamespaces": ["shop"]}),
                POD,
                Some(Mismatch::ExcludedNamespaces),
            ),
            (json!({"labelSelector": selector("app", "web")}), POD, None),
            (json!({"labelSelector": selector("app", "db")}), POD, Some(Mismatch::LabelSelector)),
            (json!({"namespaceSelector": selector("team", "a")}), POD, None),
            (json!({"namespaceSelector": selector("team", "b")}), POD, Some(Mismatch::NamespaceSelector)),
            (json!({"namespaceSelector": selector("app", "web")}), NAMESPACE, None),
            (
                json!({"namespaceSelector": selector("team", "a")}),
                NAMESPACE,
                Some(Mismatch::NamespaceSelector),
            ),
            (json!({"name": "web-*"}), POD, None),
            (json!({"name": "generated-*"}), POD, None),
            (json!({"name": "*generated-"}), POD, Some(Mismatch::Name)),
            (json!({"name": "db"}), POD, Some(Mismatch::Name)),
            (json!({"name": ""}), POD, None),
            (json!({"source": "Original"}), POD, None),
            (json!({"source": "Generated"}), POD, Some(Mismatch::Source)),
        ] {
            check(&spec, &case, Semantics::Cluster, expected);
            check(&spec, &case, Semantics::Gator, expected);
        }
    }

    #[test]
    fn cluster_scoped_objects_lie_nowhere_in_a_cluster_and_in_a_nameless_namespace_for_gator() {
        let team = json!({"namespaceSelector": {"matchLabels": {"team": "a"}}});
        for (spec, cluster, gator) in [
            (json!({"scope": "Cluster"}), None, Some(Mismatch::Scope)),
            (json!({"scope": "Namespaced"}), Some(Mismatch::Scope), None),
            (json!({"namespaces": ["shop"]}), None, Some(Mismatch::Namespaces)),
            (json!({"namespaces": ["*"]}), None, None),
            (json!({"excludedNamespaces": ["shop"]}), None, None),
            (json!({"excludedNamespaces": ["*"]}), None, Some(Mismatch::ExcludedNamespaces)),
            (team, None, Some(Mismatch::NamespaceSelector)),
            (json!({"namespaceSelector": {}}), None, None),
        ] {
            check(&spec, &ROLE, Semantics::Cluster, cluster);
            check(&spec, &ROLE, Semantics::Gator, gator);
        }
    }

    #[test]
    fn an_unknown_namespace_is_an_error_as_soon_as_its_labels_are_asked_for() {
        let unknown = Err(MatchError::UnknownNamespace("nowhere".to_owned()));
        for spec in [
            json!({"namespaceSelector": {}}),
            json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}),
            // The name is compared later, so the error comes first.
            json!({"namespaceSelector": {}, "name": "db"}),
        ] {
            assert_eq!(ask(&spec, &LOST, Semantics::Cluster), unknown, "{spec}");
            assert_eq!(ask(&spec, &LOST, Semantics::Gator), unknown, "{spec}");
        }
        // What is compared before leaves the object out.
        let spec = json!({"namespaceSelector": {}, "labelSelector": {"matchLabels": {"app": "db"}}});
        check(&spec, &LOST, Semantics::Cluster, Some(Mismatch::LabelSelector));
        let spec =
            json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}});
        assert_eq!(
            ask(&spec, &DEFAULT, Semantics::Cluster),
            Err(MatchError::UnknownNamespace("default".to_owned()))
        );
        check(&spec, &DEFAULT, Semantics::Gator, None);
    }

    #[test]
    fn a_namespace_of_another_group_is_no_namespace() {
        let custom = Case("x.io", "Namespace", "", "kube-system");
        check(&json!({"excludedNamespaces": ["kube-system"]}), &custom, Semantics::Cluster, None);
        check(&json!({"namespaces": ["shop"]}), &custom, Semantics::Cluster, None);
    }

    #[test]
    fn kinds_are_listed_for_an_index() {
        let kinds = |spec: Value| {
            let matching = Match::parse(&spec).0;
            let owned = |text: Option<&str>| text.unwrap_or("<any>").to_owned();
            matching.kinds().iter().map(|k| (owned(k.group), owned(k.kind))).collect::<Vec<_>>()
        };
        let pair = |group: &str, kind: &str| (group.to_owned(), kind.to_owned());
        assert_eq!(kinds(json!({})), [pair("<any>", "<any>")]);
        assert_eq!(
            kinds(
                json!({"kinds": [{"apiGroups": ["apps", ""], "kinds": ["A"]}, {"kinds": ["B", "*"], "apiGroups": ["x"]}]})
            ),
            [pair("", "A"), pair("apps", "A"), pair("x", "<any>")]
        );
        assert_eq!(Match::default().kinds(), [KindPattern { group: None, kind: None }]);
    }

    #[test]
    fn a_kind_is_named_only_in_words() {
        let names = |spec: Value| Match::parse(&spec).0.names_kind("", "Secret");
        assert!(names(json!({"kinds": [{"apiGroups": [""], "kinds": ["Secret"]}]})));
        assert!(names(json!({"kinds": [{"apiGroups": ["*"], "kinds": ["*", "Secret"]}]})));
        assert!(!names(json!({"kinds": [{"apiGroups": [""], "kinds": ["*"]}]})));
        assert!(!names(json!({"kinds": [{"apiGroups": ["x.io"], "kinds": ["Secret"]}]})));
        assert!(!names(json!({})));
    }
}
