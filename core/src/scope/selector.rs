//! Label selectors.

use std::collections::{BTreeMap, BTreeSet};

use super::Labels;

/// A Kubernetes LabelSelector; `matchLabels` are requirements with one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// All must hold.
    pub requirements: BTreeSet<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// With what; empty for `Exists` and `DoesNotExist`.
    pub values: BTreeSet<String>,
}

/// The comparisons a selector knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The label is there with one of the values.
    In,
    /// The label is missing, or has another value.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl Operator {
    /// The operator of this name, case-sensitive.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "In" => Some(Self::In),
            "NotIn" => Some(Self::NotIn),
            "Exists" => Some(Self::Exists),
            "DoesNotExist" => Some(Self::DoesNotExist),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

impl Selector {
    /// Whether labels fit; an empty selector fits all.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// A selector that asks for exactly these labels.
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Self {
        let requirements = labels
            .iter()
            .map(|(key, value)| Requirement {
                key: key.clone(),
                operator: Operator::In,
                values: BTreeSet::from([value.clone()]),
            })
            .collect();
        Self { requirements }
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// Why a text is no label key, `None` where it is one.
pub(super) fn key_fault(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        let good = !prefix.is_empty() && prefix.len() <= 253 && prefix.split('.').all(is_dns_label);
        if !good {
            return Some(format!("the prefix `{prefix}` is not a DNS subdomain"));
        }
    }
    if name.is_empty() {
        return Some("the name of a label must not be empty".to_owned());
    }
    is_qualified(name).err()
}

/// Why a text is no label value, `None` where it is one; the empty value is one.
pub(super) fn value_fault(value: &str) -> Option<String> {
    if value.is_empty() { None } else { is_qualified(value).err() }
}

fn is_qualified(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err(format!("`{text}` is longer than 63 characters"));
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if edge(text.chars().next()) && edge(text.chars().next_back()) && text.chars().all(inner) {
        Ok(())
    } else {
        Err(format!(
            "`{text}` must begin and end with a letter or digit, with letters, digits, `-`, `_` and `.` between"
        ))
    }
}

fn is_dns_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::{Labels, Operator, Requirement, Selector, key_fault, value_fault};
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = Labels> {
        proptest::collection::btree_map("[abc]", "[xy]", 0..3)
    }

    fn requirement(operator: Operator) -> impl Strategy<Value = Requirement> {
        ("[abc]", proptest::collection::btree_set("[xy]", 1..3)).prop_map(move |(key, values)| Requirement {
            key,
            operator,
            values,
        })
    }

    proptest! {
        #[test]
        fn not_in_is_the_opposite_of_in(labels in labels(), mut requirement in requirement(Operator::In)) {
            let inside = requirement.matches(&labels);
            requirement.operator = Operator::NotIn;
            prop_assert_eq!(requirement.matches(&labels), !inside);
        }

        #[test]
        fn does_not_exist_is_the_opposite_of_exists(labels in labels(), mut requirement in requirement(Operator::Exists)) {
            let there = requirement.matches(&labels);
            prop_assert_eq!(there, labels.contains_key(&requirement.key));
            requirement.operator = Operator::DoesNotExist;
            prop_assert_eq!(requirement.matches(&labels), !there);
        }

        #[test]
        fn a_selector_of_an_objects_own_labels_matches_it(labels in labels(), more in labels()) {
            prop_assert!(Selector::of_labels(&labels).matches(&labels));
            let asked = Selector::of_labels(&more);
            prop_assert_eq!(asked.matches(&labels), more.iter().all(|(k, v)| labels.get(k) == Some(v)));
        }
    }

    #[test]
    fn keys_and_values_are_held_to_the_rules_of_kubernetes() {
        for good in ["app", "app.kubernetes.io/name", "A_b.c-1", "x/y"] {
            assert_eq!(key_fault(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "a-", "Example.com/a", "a b", &"a".repeat(64)] {
            assert!(key_fault(bad).is_some(), "{bad}");
        }
        for good in ["", "a", "A-1_b.c"] {
            assert_eq!(value_fault(good), None, "{good}");
        }
        for bad in ["-", "a b", "a/b", &"v".repeat(64)] {
            assert!(value_fault(bad).is_some(), "{bad}");
        }
    }
}
