//! What folds below the table of policies.

use super::super::{
    Change, ChangeKind, ExemptionState, Gap, NamespaceRow, Report, RolloutState, Severity, StandardRow,
    StandardStatus,
    constraints::size,
    words::{count, list, many, sentence, time},
};

/// Something that happened.
pub(in super::super) struct ChangeView<'a> {
    pub change: &'a Change,
    pub at: String,
    pub word: &'static str,
    pub tone: &'static str,
    /// `dryrun → warn`, `at dryrun`, `was deny`.
    pub way: String,
    pub why: String,
    pub by: String,
}

impl<'a> ChangeView<'a> {
    /// One change.
    pub fn new(change: &'a Change) -> Self {
        let tone = match change.what {
            ChangeKind::Refused | ChangeKind::Held | ChangeKind::Demoted | ChangeKind::Restored => "warn",
            ChangeKind::Promoted => "good",
            _ => "none",
        };
        let by = match (change.who.as_str(), &change.revision) {
            ("", None) => String::new(),
            ("", Some(revision)) => format!("commit {}", revision.short()),
            (who, None) => format!("by {who}"),
            (who, Some(revision)) => format!("by {who}, commit {}", revision.short()),
        };
        let way = match (change.from.as_str(), change.to.as_str()) {
            ("", "") => String::new(),
            ("", to) => format!("at {to}"),
            (from, "") => format!("was {from}"),
            (from, to) if from == to => format!("at {to}"),
            (from, to) => format!("{from} → {to}"),
        };
        Self {
            change,
            at: time(change.at),
            word: word(change.what),
            tone,
            way,
            why: sentence(&change.why),
            by,
        }
    }
}

/// What happened, in a word.
pub(in super::super) fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "Added",
        ChangeKind::Promoted => "Promoted",
        ChangeKind::Demoted => "Demoted",
        ChangeKind::Changed => "Changed",
        ChangeKind::Renamed => "Renamed",
        ChangeKind::Removed => "Removed",
        ChangeKind::Refused => "Refused",
        ChangeKind::Held => "Held",
        ChangeKind::Resumed => "Resumed",
        ChangeKind::Restored => "Put back",
        ChangeKind::Exemption => "Exemption",
        ChangeKind::Other => "Note",
    }
}

/// A namespace's open violations.
pub(in super::super) struct NamespaceView<'a> {
    pub name: &'a str,
    pub cells: Vec<Cell>,
    pub total: String,
    pub at_deny: String,
}

/// A figure and how dark it is drawn, 0 to 3.
pub(in super::super) struct Cell {
    pub text: String,
    pub shade: u8,
}

/// The namespaces, the worst first.
pub(in super::super) fn namespaces(report: &Report) -> Vec<NamespaceView<'_>> {
    let most = report
        .namespaces
        .iter()
        .flat_map(|row| Severity::ALL.map(|severity| row.open.of(severity)))
        .max()
        .unwrap_or(0);
    report.namespaces.iter().map(|row| namespace(row, most)).collect()
}

fn namespace(row: &NamespaceRow, most: u64) -> NamespaceView<'_> {
    let cells = Severity::ALL.map(|severity| {
        let number = row.open.of(severity);
        let shade = match number {
            0 => 0,
            number if number * 3 > most * 2 => 3,
            number if number * 3 > most => 2,
            _ => 1,
        };
        Cell { text: count(number), shade }
    });
    NamespaceView {
        name: &row.namespace,
        cells: cells.into(),
        total: count(row.open.total()),
        at_deny: count(row.open_at_deny),
    }
}

/// A control of a standard.
pub(in super::super) struct StandardView<'a> {
    pub row: &'a StandardRow,
    pub tone: &'static str,
    pub mark: &'static str,
    pub status: &'static str,
    pub failing: String,
}

impl<'a> StandardView<'a> {
    /// One control.
    pub fn new(row: &'a StandardRow) -> Self {
        let (tone, mark, status) = standard(row.status);
        Self { row, tone, mark, status, failing: count(row.failing) }
    }
}

/// How far a standard is served: tone, mark, words.
pub(in super::super) fn standard(status: StandardStatus) -> (&'static str, &'static str, &'static str) {
    match status {
        StandardStatus::Violated => ("bad", "✕", "Violated"),
        StandardStatus::Unknown => ("unknown", "?", "Not all checked"),
        StandardStatus::Observed => ("warn", "!", "Kept, but not enforced"),
        StandardStatus::Enforced => ("good", "✓", "Enforced and kept"),
    }
}

/// A Rollout.
pub(in super::super) struct RolloutView<'a> {
    pub rollout: &'a RolloutState,
    pub number: String,
}

impl<'a> RolloutView<'a> {
    /// One Rollout.
    pub fn new(rollout: &'a RolloutState) -> Self {
        Self { rollout, number: many(size(rollout.constraints.len()), "policy", "policies") }
    }
}

/// An Exemption.
pub(in super::super) struct ExemptionView<'a> {
    pub exemption: &'a ExemptionState,
    pub constraints: String,
    pub namespaces: String,
    pub excused: String,
    pub tone: &'static str,
    pub ends: String,
}

impl<'a> ExemptionView<'a> {
    /// One Exemption.
    pub fn new(exemption: &'a ExemptionState) -> Self {
        let (tone, ends) = match exemption.days_left {
            None => ("none", "no end".to_owned()),
            Some(days) if days < 0 => ("bad", "expired".to_owned()),
            Some(0) => ("warn", "last day".to_owned()),
            Some(days) => {
                let tone = if days <= 30 { "warn" } else { "none" };
                (tone, format!("{} left", many(days.unsigned_abs(), "day", "days")))
            }
        };
        Self {
            constraints: exemption.constraints.join(", "),
            namespaces: exemption.namespaces.join(", "),
            excused: count(exemption.excused),
            tone,
            ends,
            exemption,
        }
    }
}

/// One reason for not looking.
pub(in super::super) struct GapView {
    pub reason: String,
    pub count: String,
    pub kinds: String,
    pub policies: String,
}

/// The reasons in words.
pub(in super::super) fn gaps(gaps: &[Gap], report: &Report) -> Vec<GapView> {
    gaps.iter()
        .map(|gap| {
            let all = gap.everywhere
                || (gap.constraints.len() >= report.constraints.len() && gap.constraints.len() > 1);
            let names: Vec<String> = gap.constraints.iter().map(ToString::to_string).collect();
            GapView {
                reason: sentence(&gap.reason),
                count: count(gap.count),
                kinds: if gap.kinds.iter().any(|kind| kind == "*") {
                    "any kind".to_owned()
                } else {
                    gap.kinds.join(", ")
                },
                policies: if all { "all".to_owned() } else { list(&names) },
            }
        })
        .collect()
}
