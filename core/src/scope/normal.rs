//! The normal form of a match: equal for matches that decide alike, different where a verdict can differ.

use serde_json::{Map, Value, json};

use super::{
    Glob, Match, Selector,
    matching::{KindsEntry, ScopeRule, SourceRule},
};

impl Match {
    /// The match as JSON with sets sorted and deduplicated, defaults left out and spellings of the same
    /// requirement made one. It goes into the semantic hash.
    pub fn normal_form(&self) -> Value {
        let mut form = Map::new();
        if !self.kinds.is_empty() {
            form.insert("kinds".to_owned(), kinds(&self.kinds));
        }
        match self.scope {
            ScopeRule::Any => {}
            ScopeRule::Cluster => drop(form.insert("scope".to_owned(), json!("Cluster"))),
            ScopeRule::Namespaced => drop(form.insert("scope".to_owned(), json!("Namespaced"))),
        }
        if !self.namespaces.is_empty() {
            form.insert("namespaces".to_owned(), globs(&self.namespaces));
        }
        if !self.excluded_namespaces.is_empty() {
            form.insert("excludedNamespaces".to_owned(), globs(&self.excluded_namespaces));
        }
        if let Some(selector) = self.label_selector.as_ref().filter(|s| !s.requirements.is_empty()) {
            form.insert("labelSelector".to_owned(), requirements(selector));
        }
        // An empty one is kept: it asks for the namespace to be known.
        if let Some(selector) = &self.namespace_selector {
            form.insert("namespaceSelector".to_owned(), requirements(selector));
        }
        if let Some(name) = &self.name {
            form.insert("name".to_owned(), json!(name.as_str()));
        }
        match self.source {
            SourceRule::All => {}
            SourceRule::Original => drop(form.insert("source".to_owned(), json!("Original"))),
            SourceRule::Generated => drop(form.insert("source".to_owned(), json!("Generated"))),
        }
        Value::Object(form)
    }
}

fn kinds(entries: &[KindsEntry]) -> Value {
    let mut entries: Vec<(Vec<&str>, Vec<&str>)> =
        entries.iter().map(|entry| (set(&entry.groups), set(&entry.kinds))).collect();
    entries.sort_unstable();
    entries.dedup();
    entries.into_iter().map(|(groups, kinds)| json!({"apiGroups": groups, "kinds": kinds})).collect()
}

/// Sorted and deduplicated; the empty list is the wildcard. Kinds named beside a wildcard are kept, since
/// an audit looks at some kinds only where they are named.
fn set(list: &[String]) -> Vec<&str> {
    let mut items: Vec<&str> = list.iter().map(String::as_str).collect();
    if items.is_empty() {
        items.push("*");
    }
    items.sort_unstable();
    items.dedup();
    items
}

fn globs(list: &[Glob]) -> Value {
    let mut items: Vec<&str> = list.iter().map(Glob::as_str).collect();
    items.sort_unstable();
    items.dedup();
    json!(items)
}

fn requirements(selector: &Selector) -> Value {
    selector
        .requirements
        .iter()
        .map(|r| json!({"key": r.key, "operator": r.operator.as_str(), "values": r.values}))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scope::Match;

    fn form(spec: &Value) -> Value {
        Match::parse(spec).0.normal_form()
    }

    #[test]
    fn spellings_of_one_match_have_one_form() {
        for (one, other) in [
            (json!(null), json!({})),
            (json!({"kinds": [], "scope": "*", "source": "All", "name": "", "namespaces": []}), json!({})),
            (json!({"labelSelector": {}}), json!({})),
            (json!({"namespaces": ["b", "a", "b"]}), json!({"namespaces": ["a", "b"]})),
            (
                json!({"kinds": [{"kinds": ["Pod"]}, {"apiGroups": ["apps"], "kinds": ["B", "A"]}]}),
                json!({"kinds": [{"apiGroups": ["apps"], "kinds": ["A", "B"]}, {"apiGroups": ["*"], "kinds": ["Pod"]}]}),
            ),
            (
                json!({"labelSelector": {"matchLabels": {"a": "b"}}}),
                json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}),
            ),
        ] {
            assert_eq!(form(&one), form(&other), "{one} and {other}");
        }
    }

    #[test]
    fn what_can_change_a_verdict_changes_the_form() {
        let distinct = [
            json!({}),
            json!({"namespaceSelector": {}}),
            json!({"scope": "Cluster"}),
            json!({"scope": "Namespaced"}),
            json!({"namespaces": ["a"]}),
            json!({"excludedNamespaces": ["a"]}),
            json!({"name": "a"}),
            json!({"source": "Original"}),
            json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}),
            json!({"kinds": [{"apiGroups": ["*"], "kinds": ["Pod"]}]}),
            json!({"kinds": [{"apiGroups": ["*"], "kinds": ["*"]}]}),
            json!({"kinds": [{"apiGroups": ["*"], "kinds": ["*", "Secret"]}]}),
            json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
            json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
        ];
        for (i, one) in distinct.iter().enumerate() {
            for other in distinct.iter().skip(i + 1) {
                assert_ne!(form(one), form(other), "{one} and {other}");
            }
        }
    }
}
