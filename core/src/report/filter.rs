//! Reports about a part: some namespaces, or what matters enough.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ReportFinding, Severity};
use crate::audit::Subject;

/// What a report is limited to; the default limits nothing. The JSON form is `filter` of the configuration's `reports`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportFilter {
    /// Globs on the namespace, `*` standing for any text; empty means all.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Findings and policies below are left out.
    #[serde(default)]
    pub min_severity: Option<Severity>,
}

impl ReportFilter {
    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        self.all_namespaces() && self.min_severity.unwrap_or(Severity::Low) == Severity::Low
    }

    /// Whether every namespace passes.
    pub fn all_namespaces(&self) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|glob| glob == "*")
    }

    /// Whether a severity passes.
    pub fn severity(&self, severity: Severity) -> bool {
        self.min_severity.is_none_or(|least| severity >= least)
    }

    /// Whether a finding passes. Cluster-scoped objects belong to no namespace, a Namespace to itself.
    pub fn finding(&self, finding: &ReportFinding) -> bool {
        let namespace = namespace_of(&finding.finding.subject);
        self.severity(Severity::parse(&finding.finding.severity))
            && (self.all_namespaces()
                || (!namespace.is_empty() && self.namespaces.iter().any(|glob| matches(glob, namespace))))
    }

    /// What it leaves in, in words.
    pub fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if !self.all_namespaces() {
            let word = if self.namespaces.len() == 1 { "namespace" } else { "namespaces" };
            parts.push(format!("{word} {}", self.namespaces.join(", ")));
        }
        if let Some(least) = self.min_severity.filter(|least| *least > Severity::Low) {
            parts.push(match least {
                Severity::Critical => "severity critical".to_owned(),
                least => format!("severity {least} and above"),
            });
        }
        parts.join("; ")
    }
}

/// The namespace a subject belongs to; a Namespace belongs to itself, other cluster-scoped objects to none.
pub(super) fn namespace_of(subject: &Subject) -> &str {
    if subject.namespace.is_empty() && subject.group.is_empty() && subject.kind == "Namespace" {
        &subject.name
    } else {
        &subject.namespace
    }
}

/// Whether a glob, in which `*` stands for any text, covers a whole text.
fn matches(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').map_or((None, rest), |(middle, tail)| (Some(middle), tail));
    // The shortest reach of each part in turn is enough: what follows can only gain by it.
    for part in middle.into_iter().flat_map(|middle| middle.split('*')) {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    text.len() >= tail.len() && text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::{ReportFilter, matches};
    use crate::report::Severity;

    #[test]
    fn globs_cover_the_whole_text() {
        for (glob, text, expected) in [
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("shop-*", "shop-eu", true),
            ("*-prod", "shop-prod", true),
            ("*-prod", "shop-prod-2", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn the_sentence_names_what_is_left_in() {
        let filter = ReportFilter {
            namespaces: vec!["shop".to_owned(), "pay-*".to_owned()],
            min_severity: Some(Severity::High),
        };
        assert_eq!(filter.sentence(), "namespaces shop, pay-*; severity high and above");
        assert!(!filter.is_everything());
        let all = ReportFilter { namespaces: vec!["*".to_owned()], min_severity: Some(Severity::Low) };
        assert!(all.is_everything());
    }
}
