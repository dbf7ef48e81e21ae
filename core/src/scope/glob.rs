//! Gatekeeper's globs: `*` at the front, at the end, or both; everything between is literal.

use std::fmt;

/// A glob as `namespaces`, `excludedNamespaces` and `name` take it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(String);

impl Glob {
    /// Wraps the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is a `*` where it acts, at the front or at the end.
    pub fn is_wild(&self) -> bool {
        self.0.starts_with('*') || self.0.ends_with('*')
    }

    /// Whether the pattern Kubernetes holds namespaces and names to accepts it: `^\*?[-:a-z0-9]*\*?$`.
    pub fn is_valid(&self) -> bool {
        let text = self.0.strip_prefix('*').unwrap_or(&self.0);
        let text = text.strip_suffix('*').unwrap_or(text);
        text.chars().all(|c| matches!(c, '-' | ':' | 'a'..='z' | '0'..='9'))
    }

    /// Whether the name fits.
    pub fn matches(&self, name: &str) -> bool {
        match (self.0.strip_prefix('*'), self.0.strip_suffix('*')) {
            // The lone `*` is front and end at once, as in Gatekeeper.
            (Some(rest), Some(_)) => name.contains(rest.strip_suffix('*').unwrap_or(rest)),
            (Some(end), None) => name.ends_with(end),
            (None, Some(start)) => name.starts_with(start),
            (None, None) => self.0 == name,
        }
    }

    /// Whether a name generated from this prefix may fit: only globs open at the end are compared.
    pub fn matches_generated(&self, prefix: &str) -> bool {
        match (self.0.strip_prefix('*'), self.0.strip_suffix('*')) {
            (Some(rest), Some(_)) => prefix.contains(rest.strip_suffix('*').unwrap_or(rest)),
            (None, Some(start)) => prefix.starts_with(start),
            _ => false,
        }
    }

    /// Whether every name that fits `other` fits this one too.
    pub fn contains(&self, other: &Self) -> bool {
        let shape = |glob: &Self| {
            let front = glob.0.starts_with('*');
            let text = glob.0.strip_prefix('*').unwrap_or(&glob.0);
            let end = text.ends_with('*') || glob.0 == "*";
            (front, text.strip_suffix('*').unwrap_or(text).to_owned(), end)
        };
        let (front, text, end) = shape(self);
        let (other_front, other_text, other_end) = shape(other);
        match (front, end) {
            (true, true) => other_text.contains(&text),
            (true, false) => !other_end && other_text.ends_with(&text),
            (false, true) => !other_front && other_text.starts_with(&text),
            (false, false) => !other_front && !other_end && other_text == text,
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::*;

    #[test]
    fn globs_match_as_gatekeeper_matches() {
        for (glob, name, expected) in [
            ("kube-system", "kube-system", true),
            ("kube-system", "kube-systems", false),
            ("kube-*", "kube-system", true),
            ("kube-*", "kube-", true),
            ("kube-*", "my-kube-system", false),
            ("*-system", "kube-system", true),
            ("*-system", "kube-system-2", false),
            ("*sys*", "kube-system", true),
            ("*sys*", "default", false),
            ("*", "anything", true),
            ("*", "", true),
            ("**", "anything", true),
            ("a*b", "a*b", true),
            ("a*b", "axb", false),
            ("*a*b", "xa*b", true),
            ("*a*b", "xaxb", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(glob).matches(name), expected, "{glob} ~ {name}");
        }
    }

    #[test]
    fn a_generated_name_fits_only_what_is_open_at_the_end() {
        for (glob, prefix, expected) in [
            ("web-*", "web-", true),
            ("web-*", "web-7d9-", true),
            ("*web*", "my-web-", true),
            ("web-", "web-", false),
            ("*-web-", "my-web-", false),
            ("*", "", true),
        ] {
            assert_eq!(Glob::new(glob).matches_generated(prefix), expected, "{glob} ~ {prefix}");
        }
    }

    #[test]
    fn the_pattern_of_kubernetes_is_kept() {
        for good in ["", "*", "**", "kube-*", "*-system", "*a*", "system:node"] {
            assert!(Glob::new(good).is_valid(), "{good}");
        }
        for bad in ["a*b", "Kube-*", "***", "a.b", "kube_system", "a b"] {
            assert!(!Glob::new(bad).is_valid(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn containment_agrees_with_matching(
            wide in r"\*?[ab]{0,3}\*?", narrow in r"\*?[ab]{0,3}\*?", name in "[ab]{0,6}"
        ) {
            let (wide, narrow) = (Glob::new(wide), Glob::new(narrow));
            if wide.contains(&narrow) && narrow.matches(&name) {
                prop_assert!(wide.matches(&name), "{wide} should hold {name}, which {narrow} holds");
            }
        }

        #[test]
        fn a_glob_matches_what_it_was_cut_from(name in "[a-z0-9-]{1,12}", from in 0_usize..12, to in 0_usize..12) {
            let (from, to) = (from.min(name.len()), to.min(name.len()));
            let (start, end) = (format!("{}*", &name[..to]), format!("*{}", &name[from..]));
            prop_assert!(Glob::new(start).matches(&name));
            prop_assert!(Glob::new(end).matches(&name));
            if from <= to {
                let middle = format!("*{}*", &name[from..to]);
                prop_assert!(Glob::new(middle).matches(&name));
            }
        }
    }
}
