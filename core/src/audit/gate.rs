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
