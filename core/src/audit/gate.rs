//! What a rollout's gate counts: distinct violating subjects.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Finding, Subject};
use crate::{identity::ConstraintId, scope::Exemptions};

/// The violations of one constraint as its gate counts them. A subject that counts is in no other set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateCount {
    /// Subjects with a violation that is neither excused nor uncounted; the gate's number is their count.
    pub subjects: BTreeSet<Subject>,
    /// Subjects all of whose violations are excused.
    pub exempt: BTreeSet<Subject>,
    /// Subjects whose violations are all on finished Pods or ReplicaSets scaled to zero.
    pub uncounted: BTreeSet<Subject>,
    /// Findings that are errors: no violations, but holes, which keep the gate shut elsewhere.
    pub errors: u64,
}

/// The counts of each constraint that has findings. Who is excused is judged by the exemptions given here,
/// not by those of the run, so that stored findings can be counted anew.
pub fn gate_counts<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    exemptions: &Exemptions,
) -> BTreeMap<ConstraintId, GateCount> {
    let mut counts: BTreeMap<ConstraintId, GateCount> = BTreeMap::new();
    for finding in findings {
        let count = counts.entry(finding.constraint.clone()).or_default();
        let object = &finding.object;
        let is_namespace = object.group.is_empty() && object.kind == "Namespace";
        let namespace = if is_namespace { &object.name } else { &object.namespace };
        let excused = exemptions.exempt_by(&finding.constraint, namespace).is_some();
        if finding.class == Class::Error {
            count.errors += u64::from(!excused);
        } else if excused {
            count.exempt.insert(finding.subject.clone());
        } else if finding.uncounted {
            count.uncounted.insert(finding.subject.clone());
        } else {
            count.subjects.insert(finding.subject.clone());
        }
    }
    for count in counts.values_mut() {
        let GateCount { subjects, exempt, uncounted, .. } = count;
        uncounted.retain(|subject| !subjects.contains(subject));
        exempt.retain(|subject| !subjects.contains(subject) && !uncounted.contains(subject));
    }
    counts
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::{Timestamp, tz::TimeZone};
    use serde_json::Value;

    use super::gate_counts;
    use crate::{
        audit::{Class, Finding, ObjectRef, Subject},
        identity::{ConstraintId, Fingerprint},
        scope::{Exemption, Exemptions, Glob},
    };

    /// A violation on a Pod of a Deployment.
    pub fn finding(constraint: &str, namespace: &str, deployment: &str, pod: &str) -> Finding {
        Finding {
            constraint: ConstraintId::new("K", constraint),
            enforcement_action: "deny".to_owned(),
            class: Class::Violation,
            operation: String::new(),
            via: String::new(),
            object: ObjectRef {
                group: String::new(),
                version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                namespace: namespace.to_owned(),
                name: pod.to_owned(),
                uid: String::new(),
            },
            subject: Subject {
                group: "apps".to_owned(),
                kind: "Deployment".to_owned(),
                namespace: namespace.to_owned(),
                name: deployment.to_owned(),
            },
            message: "no".to_owned(),
            details: Value::Null,
            severity: "medium".to_owned(),
            fingerprint: Fingerprint::new(format!("{constraint}/{namespace}/{deployment}")),
            exempt_by: String::new(),
            uncounted: false,
            source: String::new(),
        }
    }

    #[test]
    fn subjects_count_once_and_the_excused_the_finished_and_errors_apart() {
        let mut finished = finding("c", "shop", "old", "old-1");
        finished.uncounted = true;
        let mut also_running = finding("c", "shop", "cart", "cart-9");
        also_running.uncounted = true;
        let mut error = finding("c", "shop", "odd", "odd-1");
        error.class = Class::Error;
        let findings = [
            finding("c", "shop", "cart", "cart-1"),
            finding("c", "shop", "cart", "cart-2"),
            also_running,
            finding("c", "billing", "invoice", "invoice-1"),
            finding("c", "kube-system", "cni", "cni-1"),
            finding("other", "kube-system", "cni", "cni-1"),
            finished,
            error,
        ];
        let exemption = Exemption {
            name: "cni".to_owned(),
            constraints: vec![(Glob::new("K"), Glob::new("c"))],
            namespaces: vec![Glob::new("kube-*")],
            from: None,
            expires: None,
            timezone: TimeZone::UTC,
        };
        let exemptions = Exemptions::at([exemption], Timestamp::UNIX_EPOCH);
        let counts = gate_counts(&findings, &exemptions);
        let count = &counts[&ConstraintId::new("K", "c")];
        let names = |set: &std::collections::BTreeSet<Subject>| {
            set.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&count.subjects), ["Deployment billing/invoice", "Deployment shop/cart"]);
        assert_eq!(names(&count.exempt), ["Deployment kube-system/cni"]);
        assert_eq!(names(&count.uncounted), ["Deployment shop/old"]);
        assert_eq!(count.errors, 1);
        assert_eq!(counts[&ConstraintId::new("K", "other")].subjects.len(), 1);
    }
}
