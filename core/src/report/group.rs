//! Findings put together as people read them: by policy, then by who has to act, then by what is wrong.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ConstraintRow, Report, ReportFinding, constraints::size};
use crate::{
    audit::{Class, ObjectRef, Status, Subject},
    identity::{ConstraintId, Fingerprint},
};

/// All findings of one policy.
pub(super) struct PolicyGroup<'a> {
    pub id: &'a ConstraintId,
    /// The policy's place in the report.
    pub place: Option<usize>,
    /// The policy's row; `None` where the constraint is gone since the audit.
    pub row: Option<&'a ConstraintRow>,
    /// In the order of the report.
    pub subjects: Vec<SubjectGroup<'a>>,
}

/// What one subject does against one policy.
pub(super) struct SubjectGroup<'a> {
    pub subject: &'a Subject,
    pub lines: Vec<FindingLine<'a>>,
}

/// One fingerprint: the same thing wrong on one or more objects of the subject.
pub(super) struct FindingLine<'a> {
    pub message: &'a str,
    pub class: Class,
    pub status: Status,
    pub exempt_by: &'a str,
    /// Only on finished Pods and the like.
    pub uncounted: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// The objects, in the order of the report, each once.
    pub objects: Vec<&'a ObjectRef>,
    /// Where the objects stand in files.
    pub sources: Vec<&'a str>,
}

impl PolicyGroup<'_> {
    /// Violations that stand.
    pub fn open(&self) -> u64 {
        size(self.subjects.iter().flat_map(|subject| &subject.lines).filter(|line| line.is_open()).count())
    }

    /// Findings, each fingerprint once, that `keep` says yes to.
    pub fn count(&self, keep: impl Fn(&FindingLine<'_>) -> bool) -> u64 {
        size(self.subjects.iter().flat_map(|subject| &subject.lines).filter(|line| keep(line)).count())
    }
}

impl FindingLine<'_> {
    /// Whether it is a violation that stands.
    pub fn is_open(&self) -> bool {
        self.class == Class::Violation && self.exempt_by.is_empty() && self.status != Status::Fixed
    }

    /// The objects that are not the subject itself, `Pod cart-6d4cf56db6-x2x7p`.
    pub fn others(&self, subject: &Subject) -> Vec<String> {
        self.objects
            .iter()
            .filter(|object| object.kind != subject.kind || object.name != subject.name)
            .map(|object| format!("{} {}", object.kind, object.name))
            .collect()
    }

    /// How it compares with the last report, in a word.
    pub fn word(&self) -> &'static str {
        match (self.class, self.status) {
            _ if !self.exempt_by.is_empty() => "exempt",
            (Class::Error, _) => "error",
            (_, Status::New) => "new",
            (_, Status::Open) => "open",
            (_, Status::Regressed) => "back again",
            (_, Status::Fixed) => "fixed",
        }
    }
}

/// The findings by policy, in the order of the policy table, gone constraints last.
pub(super) fn by_policy<'a>(report: &'a Report, findings: &'a [ReportFinding]) -> Vec<PolicyGroup<'a>> {
    let places: BTreeMap<&ConstraintId, (usize, &ConstraintRow)> =
        report.constraints.iter().enumerate().map(|(at, row)| (&row.state.id, (at, row))).collect();
    let mut groups: BTreeMap<(usize, &ConstraintId), BTreeMap<&Subject, Vec<&ReportFinding>>> =
        BTreeMap::new();
    for finding in findings {
        let id = &finding.finding.constraint;
        let place = places.get(id).map_or(usize::MAX, |(at, _)| *at);
        groups.entry((place, id)).or_default().entry(&finding.finding.subject).or_default().push(finding);
    }
    groups
        .into_iter()
        .map(|((_, id), subjects)| PolicyGroup {
            id,
            place: places.get(id).map(|(place, _)| *place),
            row: places.get(id).map(|(_, row)| *row),
            subjects: subjects
                .into_iter()
                .map(|(subject, findings)| SubjectGroup { subject, lines: lines(findings) })
                .collect(),
        })
        .collect()
}

fn lines<'a>(findings: Vec<&'a ReportFinding>) -> Vec<FindingLine<'a>> {
    let mut lines: BTreeMap<(&Fingerprint, Class, &str), FindingLine<'a>> = BTreeMap::new();
    for ReportFinding { finding, status, first_seen, last_seen } in findings {
        let key = (&finding.fingerprint, finding.class, finding.exempt_by.as_str());
        let line = lines.entry(key).or_insert_with(|| FindingLine {
            message: &finding.message,
            class: finding.class,
            status: *status,
            exempt_by: &finding.exempt_by,
            uncounted: true,
            first_seen: *first_seen,
            last_seen: *last_seen,
            objects: Vec::new(),
            sources: Vec::new(),
        });
        line.uncounted &= finding.uncounted;
        line.first_seen = line.first_seen.min(*first_seen);
        line.last_seen = line.last_seen.max(*last_seen);
        // The report has the findings of one fingerprint in the order of their objects.
        if line.objects.last().is_none_or(|last| **last != finding.object) {
            line.objects.push(&finding.object);
        }
        if !finding.source.is_empty() && line.sources.last() != Some(&finding.source.as_str()) {
            line.sources.push(&finding.source);
        }
    }
    lines.into_values().collect()
}
