//! The specs of Exemption and ExemptionPolicy documents.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    document::Duration,
    schedule::time_zone,
    scope::{self, Glob},
};

/// Namespaces excused from constraints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExemptionSpec {
    /// Which constraints.
    pub constraints: Vec<ConstraintPattern>,
    /// Which namespaces: names, or globs with `*` at the front or the end.
    pub namespaces: Vec<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The ticket it was granted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The first valid day; required where a policy bounds the duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// The last valid day; required where a policy bounds the duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// The time zone of both days; default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

impl ExemptionSpec {
    /// The exemption of this name, ready to judge by; `None` where its time zone is not known.
    pub fn rule(&self, name: impl Into<String>) -> Option<scope::Exemption> {
        let timezone = time_zone(self.timezone.as_deref().unwrap_or("UTC")).ok()?;
        Some(scope::Exemption {
            name: name.into(),
            constraints: self.constraints.iter().map(ConstraintPattern::globs).collect(),
            namespaces: self.namespaces.iter().map(|glob| Glob::new(glob.as_str())).collect(),
            from: self.from,
            expires: self.expires,
            timezone,
        })
    }
}

/// Constraints by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConstraintPattern {
    /// A kind, or a glob with `*` at the front or the end.
    pub kind: String,
    /// A name, or a glob; default `*`.
    #[serde(default = "any")]
    pub name: String,
}

fn any() -> String {
    "*".to_owned()
}

/// What an Exemption may ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExemptionPolicySpec {
    /// Namespaces that may be excused, names or globs; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<Vec<String>>,
    /// How long an Exemption may last, first and last day included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Duration>,
    /// A regular expression that the ticket must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_ticket: Option<String>,
    /// Constraints nobody is excused from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbid_constraints: Vec<ConstraintPattern>,
}

impl ConstraintPattern {
    /// Kind and name as globs.
    pub fn globs(&self) -> (Glob, Glob) {
        (Glob::new(self.kind.as_str()), Glob::new(self.name.as_str()))
    }

    /// Whether some constraint may fit both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.kind, &other.kind) && overlap(&self.name, &other.name)
    }
}

/// Whether some text fits both globs.
fn overlap(a: &str, b: &str) -> bool {
    let shape = |text: &str| {
        let front = text.starts_with('*');
        let end = text.ends_with('*');
        (front, text.trim_matches('*').to_owned(), end)
    };
    let ((a_front, a_text, a_end), (b_front, b_text, b_end)) = (shape(a), shape(b));
    match ((a_front, a_end), (b_front, b_end)) {
        ((false, false), _) => Glob::new(b).matches(a),
        (_, (false, false)) => Glob::new(a).matches(b),
        ((false, true), (false, true)) => a_text.starts_with(&b_text) || b_text.starts_with(&a_text),
        ((true, false), (true, false)) => a_text.ends_with(&b_text) || b_text.ends_with(&a_text),
        // One is open where the other is not: begin with one, end with the other.
        _ => true,
    }
}

/// What is wrong with a glob on kinds or names of constraints, where `*` acts at both ends only.
pub(super) fn glob_fault(glob: &str) -> Option<String> {
    let inner = glob.strip_prefix('*').unwrap_or(glob);
    let inner = inner.strip_suffix('*').unwrap_or(inner);
    if glob.is_empty() {
        Some("an empty text matches nothing".to_owned())
    } else if inner.contains('*') {
        Some(format!("`{glob}` matches nothing: `*` acts at the front and at the end only"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{glob_fault, overlap};

    #[test]
    fn overlapping_globs_are_found() {
        for (a, b, expected) in [
            ("K8sA", "K8sA", true),
            ("K8sA", "K8sB", false),
            ("*", "K8sB", true),
            ("K8s*", "K8sB", true),
            ("K8s*", "K9*", false),
            ("K8s*", "K8sPriv*", true),
            ("*Root", "K8s*", true),
            ("*Root", "*NonRoot", true),
            ("*Root", "*Limits", false),
            ("*Root*", "K8sLimits", false),
        ] {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
            assert_eq!(overlap(b, a), expected, "{b} {a}");
        }
        assert!(glob_fault("a*b").is_some() && glob_fault("").is_some() && glob_fault("*a*").is_none());
    }
}
