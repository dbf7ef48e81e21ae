//! Namespaces excused from constraints, for a time.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::Glob;
use crate::identity::ConstraintId;

/// One Exemption document, as far as it excuses.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemption {
    /// `metadata.name`.
    pub name: String,
    /// Which constraints: globs on kind and name.
    pub constraints: Vec<(Glob, Glob)>,
    /// Which namespaces.
    pub namespaces: Vec<Glob>,
    /// The first valid day; absent means since ever.
    pub from: Option<Date>,
    /// The last valid day; absent means for ever.
    pub expires: Option<Date>,
    /// The time zone of both days.
    pub timezone: TimeZone,
}

impl Exemption {
    /// Whether it is in force: from the beginning of its first day to the end of its last.
    pub fn is_active(&self, now: Timestamp) -> bool {
        let begun = self.from.is_none_or(|day| self.start_of(day).is_none_or(|start| start <= now));
        begun && self.ends().is_none_or(|end| now < end)
    }

    /// The first moment after its last day.
    pub fn ends(&self) -> Option<Timestamp> {
        self.expires.and_then(|day| day.checked_add(1.day()).ok()).and_then(|day| self.start_of(day))
    }

    /// Whether it is about this constraint.
    pub fn concerns(&self, constraint: &ConstraintId) -> bool {
        self.constraints
            .iter()
            .any(|(kind, name)| kind.matches(&constraint.kind) && name.matches(&constraint.name))
    }

    fn start_of(&self, day: Date) -> Option<Timestamp> {
        day.to_zoned(self.timezone.clone()).ok().map(|start| start.timestamp())
    }
}

/// The Exemptions in force at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemptions {
    active: Vec<Exemption>,
}

impl Exemptions {
    /// Those in force at `now`; by name, so that the same one is always named.
    pub fn at(entries: impl IntoIterator<Item = Exemption>, now: Timestamp) -> Self {
        let mut active: Vec<Exemption> = entries.into_iter().filter(|entry| entry.is_active(now)).collect();
        active.sort_by(|a, b| a.name.cmp(&b.name));
        Self { active }
    }

    /// The name of the Exemption that excuses a namespace from a constraint. A Namespace object is excused
    /// by its own name; other cluster-scoped objects are never excused (an empty namespace).
    pub fn exempt_by(&self, constraint: &ConstraintId, namespace: &str) -> Option<&str> {
        if namespace.is_empty() {
            return None;
        }
        self.active
            .iter()
            .find(|entry| {
                entry.concerns(constraint) && entry.namespaces.iter().any(|glob| glob.matches(namespace))
            })
            .map(|entry| entry.name.as_str())
    }

    /// The globs to add to the constraint's own `excludedNamespaces`.
    pub fn excluded_namespaces_for(&self, constraint: &ConstraintId) -> BTreeSet<String> {
        self.active
            .iter()
            .filter(|entry| entry.concerns(constraint))
            .flat_map(|entry| entry.namespaces.iter().map(|glob| glob.as_str().to_owned()))
            .collect()
    }

    /// Those in force, by name.
    pub fn active(&self) -> &[Exemption] {
        &self.active
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::{Timestamp, civil::date, tz::TimeZone};

    use super::{Exemption, Exemptions};
    use crate::{identity::ConstraintId, scope::Glob};

    fn exemption(name: &str, constraint: (&str, &str), namespaces: &[&str]) -> Exemption {
        Exemption {
            name: name.to_owned(),
            constraints: vec![(Glob::new(constraint.0), Glob::new(constraint.1))],
            namespaces: namespaces.iter().map(|text| Glob::new(*text)).collect(),
            from: None,
            expires: None,
            timezone: TimeZone::UTC,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_valid_day_is_valid_to_its_end_in_its_time_zone() {
        let mut entry = exemption("a", ("*", "*"), &["x"]);
        entry.from = Some(date(2026, 11, 1));
        entry.expires = Some(date(2027, 3, 31));
        assert!(!entry.is_active(at("2026-10-31T23:59:59Z")));
        assert!(entry.is_active(at("2026-11-01T00:00:00Z")));
        assert!(entry.is_active(at("2027-03-31T23:59:59Z")));
        assert!(!entry.is_active(at("2027-04-01T00:00:00Z")));
        entry.timezone = TimeZone::fixed(jiff::tz::offset(2));
        assert!(entry.is_active(at("2026-10-31T22:00:00Z")));
        assert!(!entry.is_active(at("2027-03-31T22:00:00Z")));
    }

    #[test]
    fn only_the_constraints_and_namespaces_named_are_excused() {
        let constraint = ConstraintId::new("K8sRequireNonRoot", "all");
        let other = ConstraintId::new("K8sRequireNonRoot", "production");
        let exemptions = Exemptions::at(
            [
                exemption("cni", ("K8sRequireNonRoot", "all"), &["kube-system", "calico-*"]),
                exemption("another", ("K8s*", "*"), &["kube-system"]),
            ],
            at("2026-01-01T00:00:00Z"),
        );
        assert_eq!(exemptions.exempt_by(&constraint, "calico-apiserver"), Some("cni"));
        assert_eq!(exemptions.exempt_by(&constraint, "kube-system"), Some("another"));
        assert_eq!(exemptions.exempt_by(&other, "calico-apiserver"), None);
        assert_eq!(exemptions.exempt_by(&constraint, "shop"), None);
        assert_eq!(exemptions.exempt_by(&constraint, ""), None);
        assert_eq!(
            exemptions.excluded_namespaces_for(&constraint),
            BTreeSet::from(["calico-*".to_owned(), "kube-system".to_owned()])
        );
    }
}
