//! The full list of findings.

use super::{
    super::{
        Report, ReportFinding,
        group::{self, FindingLine},
        words::{age, count, day, many},
    },
    policies::stage_word,
};
use crate::audit::{Class, Subject};

/// The findings of one policy.
pub(in super::super) struct PolicyFindings<'a> {
    pub name: String,
    /// The policy's place in the report; `None` where it is gone since the audit.
    pub place: Option<usize>,
    pub description: &'a str,
    pub stage: &'static str,
    pub stage_word: &'static str,
    pub severity: &'static str,
    pub totals: String,
    pub lines: Vec<LineView<'a>>,
}

/// One thing wrong with one subject.
pub(in super::super) struct LineView<'a> {
    /// `Deployment`.
    pub kind: &'a str,
    /// `shop/cart`.
    pub name: String,
    /// Whether the subject is the one of the line above.
    pub same: bool,
    pub objects: String,
    pub message: &'a str,
    pub tone: &'static str,
    pub word: &'static str,
    pub note: String,
    pub first_seen: String,
    pub open_for: String,
}

/// Findings by policy, then by subject.
pub(in super::super) fn by_policy<'a>(
    report: &'a Report,
    findings: &'a [ReportFinding],
) -> Vec<PolicyFindings<'a>> {
    group::by_policy(report, findings)
        .into_iter()
        .map(|group| {
            let mut totals = Vec::new();
            let open = group.open();
            let exempt = group.count(|line| !line.exempt_by.is_empty());
            let errors = group.count(|line| line.exempt_by.is_empty() && line.class == Class::Error);
            let owners =
                group.subjects.iter().filter(|subject| subject.lines.iter().any(FindingLine::is_open));
            if open > 0 {
                let owners = super::super::constraints::size(owners.count());
                totals.push(format!("{} open on {}", count(open), many(owners, "owner", "owners")));
            }
            if exempt > 0 {
                totals.push(format!("{} exempt", count(exempt)));
            }
            if errors > 0 {
                totals.push(many(errors, "error", "errors"));
            }
            let state = group.row.map(|row| &row.state);
            let mut lines = Vec::new();
            for subject in &group.subjects {
                for (at, line) in subject.lines.iter().enumerate() {
                    lines.push(line_view(report, subject.subject, line, at > 0));
                }
            }
            PolicyFindings {
                name: group.id.to_string(),
                place: group.place,
                description: state.map_or("", |state| state.description.as_str()),
                stage: state.and_then(|state| state.stage).map_or("pending", crate::identity::Stage::as_str),
                stage_word: stage_word(state.and_then(|state| state.stage)),
                severity: state.map_or("", |state| state.severity.as_str()),
                totals: totals.join(", "),
                lines,
            }
        })
        .collect()
}

fn line_view<'a>(report: &Report, subject: &'a Subject, line: &FindingLine<'a>, same: bool) -> LineView<'a> {
    let tone = match line.word() {
        "error" => "unknown",
        "new" | "back again" => "warn",
        "fixed" => "good",
        _ => "none",
    };
    let mut note = Vec::new();
    if !line.exempt_by.is_empty() {
        note.push(format!("by {}", line.exempt_by));
    }
    if line.uncounted {
        note.push("finished, blocks nothing".to_owned());
    }
    let mut objects = line.others(subject);
    objects.extend(line.sources.iter().map(|source| (*source).to_owned()));
    LineView {
        kind: &subject.kind,
        name: if subject.namespace.is_empty() {
            subject.name.clone()
        } else {
            format!("{}/{}", subject.namespace, subject.name)
        },
        same,
        objects: objects.join(", "),
        message: line.message,
        tone,
        word: line.word(),
        note: note.join(", "),
        first_seen: day(line.first_seen),
        open_for: age(line.first_seen, report.provenance.generated),
    }
}
