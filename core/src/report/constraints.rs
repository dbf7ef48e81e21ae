//! The rows of the report: by constraint, by namespace, by standard.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;

use super::{
    ConstraintRow, ConstraintState, NamespaceRow, ReportFinding, Severity, SeverityCounts, StandardRow,
    StandardStatus, Verdict,
    filter::namespace_of,
    score::{Tallies, Tally},
};
use crate::{
    audit::{Class, Status, Subject},
    identity::{ConstraintId, Fingerprint, Stage},
};

/// Whether a finding is a violation that stands: no error, not excused, not gone.
pub(super) fn is_open(finding: &ReportFinding) -> bool {
    finding.finding.class == Class::Violation
        && finding.finding.exempt_by.is_empty()
        && finding.status != Status::Fixed
}

/// What the findings say about one constraint.
#[derive(Default)]
struct Open<'a> {
    failing: BTreeSet<&'a Subject>,
    counted: BTreeSet<&'a Subject>,
    new: BTreeSet<&'a Subject>,
    oldest: Option<Timestamp>,
}

/// One row per constraint, what needs attention first.
pub(super) fn rows(
    states: Vec<ConstraintState>,
    findings: &[ReportFinding],
    tallies: &Tallies,
    started: Option<Timestamp>,
) -> Vec<ConstraintRow> {
    let mut open: BTreeMap<&ConstraintId, Open<'_>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| is_open(finding)) {
        let entry = open.entry(&finding.finding.constraint).or_default();
        entry.failing.insert(&finding.finding.subject);
        if !finding.finding.uncounted {
            entry.counted.insert(&finding.finding.subject);
        }
        if finding.status == Status::New {
            entry.new.insert(&finding.finding.subject);
        }
        entry.oldest = Some(entry.oldest.map_or(finding.first_seen, |oldest| oldest.min(finding.first_seen)));
    }
    let mut rows: Vec<ConstraintRow> = states
        .into_iter()
        .map(|state| {
            let tally = tallies.get(&state.id);
            let open = open.remove(&state.id).unwrap_or_default();
            let verdict = verdict(&state, &tally, open.failing.len(), started);
            // No finding says nothing about what the audit cannot see.
            let unknown = state.not_auditable.is_some() || verdict == Verdict::NotAudited;
            let would_block =
                (state.stage != Some(Stage::Deny) && !unknown).then(|| size(open.counted.len()));
            ConstraintRow {
                verdict,
                evaluated: tally.evaluated,
                violated: tally.violated,
                exempt: tally.exempt,
                errors: tally.errors,
                coverage: tally.coverage(&state, started),
                failing: size(open.failing.len()),
                new: size(open.new.len()),
                oldest: open.oldest,
                would_block,
                state,
            }
        })
        .collect();
    rows.sort_by_cached_key(|row| {
        (urgency(row), Reverse(row.state.severity), Reverse(row.failing), row.state.id.clone())
    });
    rows
}

fn verdict(state: &ConstraintState, tally: &Tally, failing: usize, started: Option<Timestamp>) -> Verdict {
    if tally.violated > 0 || failing > 0 {
        Verdict::Violated
    } else if state.not_auditable.is_some() {
        Verdict::NotAuditable
    } else if tally.not_audited(state, started) {
        Verdict::NotAudited
    } else if tally.incomplete {
        Verdict::Incomplete
    } else if tally.passed() > 0 {
        Verdict::Met
    } else if tally.exempt > 0 {
        Verdict::Exempt
    } else {
        Verdict::NothingToCheck
    }
}

/// Where a row stands in the table; less is further up.
fn urgency(row: &ConstraintRow) -> u8 {
    match row.verdict {
        Verdict::Violated if row.enforced() => 0,
        Verdict::Violated => 1,
        Verdict::Incomplete | Verdict::NotAuditable | Verdict::NotAudited => 2,
        _ if row.state.held.is_some() => 2,
        _ if !row.at_target() => 3,
        _ => 4,
    }
}

/// Open violations by namespace, the worst first.
pub(super) fn namespaces(
    findings: &[ReportFinding],
    stages: &BTreeMap<ConstraintId, Stage>,
) -> Vec<NamespaceRow> {
    let mut seen: BTreeSet<&Fingerprint> = BTreeSet::new();
    let mut rows: BTreeMap<&str, NamespaceRow> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| is_open(finding)) {
        if !seen.insert(&finding.finding.fingerprint) {
            continue;
        }
        let namespace = namespace_of(&finding.finding.subject);
        let row = rows.entry(namespace).or_insert_with(|| NamespaceRow {
            namespace: namespace.to_owned(),
            open: SeverityCounts::default(),
            open_at_deny: 0,
        });
        row.open.add(Severity::parse(&finding.finding.severity));
        if stages.get(&finding.finding.constraint) == Some(&Stage::Deny) {
            row.open_at_deny += 1;
        }
    }
    let mut rows: Vec<NamespaceRow> = rows.into_values().collect();
    rows.sort_by_cached_key(|row| {
        (Reverse(Severity::ALL.map(|severity| row.open.of(severity))), row.namespace.clone())
    });
    rows
}

/// The standards that constraints name, by name.
pub(super) fn standards(rows: &[ConstraintRow], findings: &[ReportFinding]) -> Vec<StandardRow> {
    let mut failing: BTreeMap<&ConstraintId, BTreeSet<&Subject>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| is_open(finding)) {
        failing.entry(&finding.finding.constraint).or_default().insert(&finding.finding.subject);
    }
    let mut controls: BTreeMap<&str, Vec<&ConstraintRow>> = BTreeMap::new();
    for row in rows {
        let named: BTreeSet<&str> = row.state.controls.iter().map(|control| control.trim()).collect();
        for control in named.into_iter().filter(|control| !control.is_empty()) {
            controls.entry(control).or_default().push(row);
        }
    }
    controls
        .into_iter()
        .map(|(control, mut rows)| {
            rows.sort_by(|a, b| a.state.id.cmp(&b.state.id));
            let subjects: BTreeSet<&Subject> =
                rows.iter().filter_map(|row| failing.get(&row.state.id)).flatten().copied().collect();
            let status = if rows.iter().any(|row| row.verdict == Verdict::Violated) {
                StandardStatus::Violated
            } else if rows.iter().any(|row| {
                matches!(row.verdict, Verdict::Incomplete | Verdict::NotAuditable | Verdict::NotAudited)
            }) {
                StandardStatus::Unknown
            } else if rows.iter().all(|row| row.enforced()) {
                StandardStatus::Enforced
            } else {
                StandardStatus::Observed
            };
            StandardRow {
                control: control.to_owned(),
                status,
                enforced: size(rows.iter().filter(|row| row.enforced()).count()),
                failing: size(subjects.len()),
                constraints: rows.into_iter().map(|row| row.state.id.clone()).collect(),
            }
        })
        .collect()
}

/// A length as the model counts.
pub(super) fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
