//! `spec.match` read, with everything that is wrong with it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Glob, Match, Operator, Requirement, Selector,
    matching::{KindsEntry, ScopeRule, SourceRule},
    selector::{key_fault, value_fault},
};
use crate::problem::Severity;

/// Something wrong with a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchProblem {
    /// JSON pointer below `spec.match`, for example `/kinds/0/apiGroups`; empty for the match itself.
    pub pointer: String,
    /// How bad: what Gatekeeper refuses is an error.
    pub severity: Severity,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A field that the match does not know.
const UNKNOWN_FIELD: &str = "PC0230";
/// A value of the wrong type.
const WRONG_TYPE: &str = "PC0231";
/// A label selector that Kubernetes refuses.
const BROKEN_SELECTOR: &str = "PC0232";
/// A glob that Kubernetes refuses.
const BROKEN_GLOB: &str = "PC0233";
/// A `scope` that matches everything.
const SCOPE_TYPO: &str = "PC0234";
/// An entry of `kinds` that matches more or less than it seems to.
const LOOSE_KINDS: &str = "PC0235";
/// An unknown `source`.
const BROKEN_SOURCE: &str = "PC0236";

const FIELDS: [&str; 8] = [
    "excludedNamespaces",
    "kinds",
    "labelSelector",
    "name",
    "namespaceSelector",
    "namespaces",
    "scope",
    "source",
];

impl Match {
    /// Reads a `spec.match` in its JSON form; `Null` stands for an absent one, which matches everything.
    /// The match is only good where no problem is an error.
    pub fn parse(spec: &Value) -> (Self, Vec<MatchProblem>) {
        let mut reader = Reader { problems: Vec::new() };
        let read = match spec {
            Value::Null => Self::default(),
            Value::Object(fields) => reader.read(fields),
            other => {
                reader.wrong_type("", "a mapping", other);
                Self::default()
            }
        };
        (read, reader.problems)
    }
}

struct Reader {
    problems: Vec<MatchProblem>,
}

impl Reader {
    fn read(&mut self, fields: &Map<String, Value>) -> Match {
        self.known("", fields, &FIELDS);
        let mut read = Match::default();
        if let Some(items) = fields.get("kinds").and_then(|v| self.list("/kinds", v)) {
            for (index, item) in items.iter().enumerate() {
                if let Some(entry) = self.kinds_entry(&format!("/kinds/{index}"), item) {
                    read.kinds.push(entry);
                }
            }
        }
        if let Some(text) = fields.get("scope").and_then(|v| self.text("/scope", v)) {
            read.scope = self.scope(&text);
        }
        if let Some(value) = fields.get("namespaces") {
            read.namespaces = self.globs("/namespaces", value);
        }
        if let Some(value) = fields.get("excludedNamespaces") {
            read.excluded_namespaces = self.globs("/excludedNamespaces", value);
        }
        read.label_selector = fields.get("labelSelector").and_then(|v| self.selector("/labelSelector", v));
        read.namespace_selector =
            fields.get("namespaceSelector").and_then(|v| self.selector("/namespaceSelector", v));
        if let Some(text) = fields.get("name").and_then(|v| self.text("/name", v))
            && !text.is_empty()
        {
            read.name = Some(self.glob("/name", text));
        }
        if let Some(text) = fields.get("source").and_then(|v| self.text("/source", v)) {
            read.source = self.source(&text);
        }
        read
    }

    fn kinds_entry(&mut self, at: &str, value: &Value) -> Option<KindsEntry> {
        let Value::Object(fields) = value else {
            self.wrong_type(at, "a mapping with `apiGroups` and `kinds`", value);
            return None;
        };
        self.known(at, fields, &["apiGroups", "kinds"]);
        let groups = fields.get("apiGroups").map(|v| self.texts(&format!("{at}/apiGroups"), v));
        let kinds = fields.get("kinds").map(|v| self.texts(&format!("{at}/kinds"), v));
        let absent = |field: &str| fields.get(field).is_none_or(|v| v.as_array().is_some_and(Vec::is_empty));
        let (no_groups, no_kinds) = (absent("apiGroups"), absent("kinds"));
        let groups = groups.unwrap_or_default();
        let kinds = kinds.unwrap_or_default();
        if no_groups && no_kinds {
            self.loose(
                at,
                Severity::Warning,
                "an entry without apiGroups and kinds matches every kind".to_owned(),
                "name the kinds, or write `*` where all are meant",
            );
        } else if no_groups {
            self.loose(
                at,
                Severity::Note,
                format!("no apiGroups: {} in every API group", listed(&kinds)),
                "write the group, `\"\"` for the core group, or `*` where all are meant",
            );
        } else if no_kinds {
            self.loose(
                at,
                Severity::Warning,
                format!("no kinds: every kind of {}", listed(&groups)),
                "name the kinds, or write `*` where all are meant",
            );
        }
        for (index, group) in groups.iter().enumerate() {
            if group.contains('/') || group == "v1" {
                self.loose(
                    &format!("{at}/apiGroups/{index}"),
                    Severity::Warning,
                    format!("`{group}` is an API version, not a group: it matches nothing"),
                    "write the group without version, `\"\"` for the core group",
                );
            }
        }
        for (index, kind) in kinds.iter().enumerate() {
            if kind.starts_with(|c: char| c.is_ascii_lowercase()) {
                self.loose(
                    &format!("{at}/kinds/{index}"),
                    Severity::Warning,
                    format!("`{kind}` does not look like a kind: kinds are compared with their case"),
                    "write it as in `kind:` of the objects, for example Pod",
                );
            }
        }
        Some(KindsEntry { groups, kinds })
    }

    fn scope(&mut self, text: &str) -> ScopeRule {
        match text {
            "Cluster" => ScopeRule::Cluster,
            "Namespaced" => ScopeRule::Namespaced,
            "*" => ScopeRule::Any,
            other => {
                self.push(
                    "/scope",
                    Severity::Warning,
                    SCOPE_TYPO,
                    format!("scope `{other}` is unknown and matches everything"),
                    Some("write Cluster, Namespaced or `*`"),
                );
                ScopeRule::Any
            }
        }
    }

    fn source(&mut self, text: &str) -> SourceRule {
        match text {
            "All" => SourceRule::All,
            "Original" => SourceRule::Original,
            "Generated" => SourceRule::Generated,
            other => {
                self.push(
                    "/source",
                    Severity::Error,
                    BROKEN_SOURCE,
                    format!("expected a source, found `{other}`"),
                    Some("write All, Original or Generated"),
                );
                SourceRule::All
            }
        }
    }

    fn selector(&mut self, at: &str, value: &Value) -> Option<Selector> {
        let Value::Object(fields) = value else {
            self.wrong_type(at, "a label selector", value);
            return None;
        };
        self.known(at, fields, &["matchLabels", "matchExpressions"]);
        let mut requirements = BTreeSet::new();
        match fields.get("matchLabels") {
            Some(Value::Object(labels)) => {
                for (key, value) in labels {
                    let place = format!("{at}/matchLabels/{}", escaped(key));
                    self.label_key(&place, key);
                    if let Some(value) = self.text(&place, value) {
                        self.label_value(&place, &value);
                        requirements.insert(Requirement {
                            key: key.clone(),
                            operator: Operator::In,
                            values: BTreeSet::from([value]),
                        });
                    }
                }
            }
            Some(other) => self.wrong_type(&format!("{at}/matchLabels"), "a mapping of labels", other),
            None => {}
        }
        if let Some(items) =
            fields.get("matchExpressions").and_then(|v| self.list(&format!("{at}/matchExpressions"), v))
        {
            for (index, item) in items.iter().enumerate() {
                requirements.extend(self.requirement(&format!("{at}/matchExpressions/{index}"), item));
            }
        }
        Some(Selector { requirements })
    }

    fn requirement(&mut self, at: &str, value: &Value) -> Option<Requirement> {
        let Value::Object(fields) = value else {
            self.wrong_type(at, "a mapping with `key`, `operator` and `values`", value);
            return None;
        };
        self.known(at, fields, &["key", "operator", "values"]);
        let key = if let Some(key) = fields.get("key") {
            self.text(&format!("{at}/key"), key)
        } else {
            self.push(at, Severity::Error, BROKEN_SELECTOR, "the requirement has no `key`".to_owned(), None);
            None
        };
        if let Some(key) = &key {
            self.label_key(&format!("{at}/key"), key);
        }
        let operator = if let Some(operator) = fields.get("operator") {
            self.text(&format!("{at}/operator"), operator).and_then(|text| {
                let operator = Operator::parse(&text);
                if operator.is_none() {
                    self.push(
                        &format!("{at}/operator"),
                        Severity::Error,
                        BROKEN_SELECTOR,
                        format!("expected an operator, found `{text}`"),
                        Some("write In, NotIn, Exists or DoesNotExist, with this case"),
                    );
                }
                operator
            })
        } else {
            self.push(
                at,
                Severity::Error,
                BROKEN_SELECTOR,
                "the requirement has no `operator`".to_owned(),
                Some("write In, NotIn, Exists or DoesNotExist"),
            );
            None
        };
        let place = format!("{at}/values");
        let values = fields.get("values").map(|v| self.texts(&place, v)).unwrap_or_default();
        for (index, value) in values.iter().enumerate() {
            self.label_value(&format!("{place}/{index}"), value);
        }
        let (key, operator) = (key?, operator?);
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                self.push(
                    at,
                    Severity::Error,
                    BROKEN_SELECTOR,
                    format!("`{}` needs at least one value", operator.as_str()),
                    Some("list them under `values`"),
                );
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                self.push(
                    &place,
                    Severity::Error,
                    BROKEN_SELECTOR,
                    format!("`{}` takes no values", operator.as_str()),
                    Some("remove them, or use In or NotIn"),
                );
            }
            _ => {}
        }
        Some(Requirement { key, operator, values: values.into_iter().collect() })
    }

    fn globs(&mut self, at: &str, value: &Value) -> Vec<Glob> {
        let texts = self.texts(at, value);
        texts.into_iter().enumerate().map(|(index, text)| self.glob(&format!("{at}/{index}"), text)).collect()
    }

    fn glob(&mut self, at: &str, text: String) -> Glob {
        let glob = Glob::new(text);
        if !glob.is_valid() {
            self.push(at, Severity::Error, BROKEN_GLOB,
                format!("`{glob}` is not a name or glob: lower-case letters, digits, `-` and `:`, and `*` only at the front or the end"),
                None);
        }
        glob
    }

    fn label_key(&mut self, at: &str, key: &str) {
        if let Some(fault) = key_fault(key) {
            self.push(at, Severity::Error, BROKEN_SELECTOR, format!("not a label key: {fault}"), None);
        }
    }

    fn label_value(&mut self, at: &str, value: &str) {
        if let Some(fault) = value_fault(value) {
            self.push(at, Severity::Error, BROKEN_SELECTOR, format!("not a label value: {fault}"), None);
        }
    }

    fn texts(&mut self, at: &str, value: &Value) -> Vec<String> {
        let items = self.list(at, value).unwrap_or_default();
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.text(&format!("{at}/{index}"), item))
            .collect()
    }

    fn list<'v>(&mut self, at: &str, value: &'v Value) -> Option<&'v [Value]> {
        if let Value::Array(items) = value {
            return Some(items);
        }
        self.wrong_type(at, "a list", value);
        None
    }

    fn text(&mut self, at: &str, value: &Value) -> Option<String> {
        if let Value::String(text) = value {
            return Some(text.clone());
        }
        self.wrong_type(at, "a text", value);
        None
    }

    fn known(&mut self, at: &str, fields: &Map<String, Value>, known: &[&str]) {
        for field in fields.keys().filter(|field| !known.contains(&field.as_str())) {
            let near = known
                .iter()
                .map(|name| (strsim::damerau_levenshtein(field, name), *name))
                .filter(|(distance, _)| *distance <= 3)
                .min();
            let hint = match near {
                Some((_, name)) => format!("did you mean `{name}`?"),
                None => format!("the fields here are {}", known.join(", ")),
            };
            self.push(
                &format!("{at}/{}", escaped(field)),
                Severity::Error,
                UNKNOWN_FIELD,
                format!("unknown field `{field}`: Gatekeeper refuses it"),
                Some(&hint),
            );
        }
    }

    fn wrong_type(&mut self, at: &str, expected: &str, found: &Value) {
        let (found, hint) = match found {
            Value::Null => ("nothing", Some("leave the key out where everything is meant")),
            Value::Bool(_) => ("a boolean", None),
            Value::Number(_) => ("a number", Some("put it in quotes where a text is meant")),
            Value::String(_) => ("a text", None),
            Value::Array(_) => ("a list", None),
            Value::Object(_) => ("a mapping", None),
        };
        self.push(at, Severity::Error, WRONG_TYPE, format!("expected {expected}, found {found}"), hint);
    }

    fn loose(&mut self, at: &str, severity: Severity, message: String, hint: &str) {
        self.push(at, severity, LOOSE_KINDS, message, Some(hint));
    }

    fn push(
        &mut self,
        at: &str,
        severity: Severity,
        code: &'static str,
        message: String,
        hint: Option<&str>,
    ) {
        let hint = hint.map(str::to_owned);
        self.problems.push(MatchProblem { pointer: at.to_owned(), severity, code, message, hint });
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn listed(items: &[String]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Match;
    use crate::problem::Severity;

    fn problems(spec: &Value) -> Vec<(String, Severity, &'static str)> {
        Match::parse(spec).1.into_iter().map(|p| (p.pointer, p.severity, p.code)).collect()
    }

    #[test]
    fn what_gatekeeper_refuses_is_an_error_at_its_place() {
        for (spec, pointer, code) in [
            (json!([]), "", "PC0231"),
            (json!({"foo": 1}), "/foo", "PC0230"),
            (json!({"kinds": null}), "/kinds", "PC0231"),
            (json!({"kinds": [null]}), "/kinds/0", "PC0231"),
            (json!({"kinds": [{"apiGroups": [""], "kinds": "Pod"}]}), "/kinds/0/kinds", "PC0231"),
            (
                json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"], "apiGroup": [""]}]}),
                "/kinds/0/apiGroup",
                "PC0230",
            ),
            (json!({"scope": 5}), "/scope", "PC0231"),
            (json!({"namespaces": ["a*b"]}), "/namespaces/0", "PC0233"),
            (json!({"namespaces": [null]}), "/namespaces/0", "PC0231"),
            (json!({"excludedNamespaces": ["Kube"]}), "/excludedNamespaces/0", "PC0233"),
            (json!({"name": "A"}), "/name", "PC0233"),
            (json!({"source": "Nope"}), "/source", "PC0236"),
            (json!({"source": ""}), "/source", "PC0236"),
            (json!({"labelSelector": null}), "/labelSelector", "PC0231"),
            (json!({"namespaceSelector": {"foo": 1}}), "/namespaceSelector/foo", "PC0230"),
            (json!({"labelSelector": {"matchLabels": {"a": 5}}}), "/labelSelector/matchLabels/a", "PC0231"),
            (
                json!({"labelSelector": {"matchLabels": {"a ": "b"}}}),
                "/labelSelector/matchLabels/a ",
                "PC0232",
            ),
            (json!({"labelSelector": {"matchLabels": {"a": "-"}}}), "/labelSelector/matchLabels/a", "PC0232"),
            (
                json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "exists"}]}}),
                "/labelSelector/matchExpressions/0/operator",
                "PC0232",
            ),
            (
                json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
                "/labelSelector/matchExpressions/0",
                "PC0232",
            ),
            (
                json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}),
                "/labelSelector/matchExpressions/0/values",
                "PC0232",
            ),
            (
                json!({"labelSelector": {"matchExpressions": [{"operator": "Exists"}]}}),
                "/labelSelector/matchExpressions/0",
                "PC0232",
            ),
        ] {
            assert_eq!(problems(&spec), [(pointer.to_owned(), Severity::Error, code)], "{spec}");
        }
    }

    #[test]
    fn what_gatekeeper_lets_pass_but_hardly_anybody_means_is_a_warning() {
        for (spec, pointer, severity, code) in [
            (json!({"scope": "namespaced"}), "/scope", Severity::Warning, "PC0234"),
            (json!({"kinds": [{}]}), "/kinds/0", Severity::Warning, "PC0235"),
            (json!({"kinds": [{"apiGroups": ["apps"]}]}), "/kinds/0", Severity::Warning, "PC0235"),
            (json!({"kinds": [{"kinds": ["Pod"]}]}), "/kinds/0", Severity::Note, "PC0235"),
            (
                json!({"kinds": [{"apiGroups": ["apps/v1"], "kinds": ["Deployment"]}]}),
                "/kinds/0/apiGroups/0",
                Severity::Warning,
                "PC0235",
            ),
            (
                json!({"kinds": [{"apiGroups": [""], "kinds": ["pods"]}]}),
                "/kinds/0/kinds/0",
                Severity::Warning,
                "PC0235",
            ),
        ] {
            assert_eq!(problems(&spec), [(pointer.to_owned(), severity, code)], "{spec}");
        }
    }

    #[test]
    fn a_good_match_has_no_problems() {
        let spec = json!({
            "kinds": [{"apiGroups": ["", "apps"], "kinds": ["Pod", "Deployment"]}],
            "scope": "Namespaced", "namespaces": ["kube-*", "**"], "excludedNamespaces": ["*-system"],
            "labelSelector": {"matchLabels": {"a": ""}, "matchExpressions": [{"key": "x/y", "operator": "NotIn", "values": ["b"]}]},
            "namespaceSelector": {}, "name": "web-*", "source": "All",
        });
        assert_eq!(problems(&spec), []);
        assert_eq!(problems(&Value::Null), []);
    }

    #[test]
    fn a_mistyped_field_is_told_its_name() {
        let (_, problems) = Match::parse(&json!({"excludeNamespaces": []}));
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `excludedNamespaces`?"));
    }
}
