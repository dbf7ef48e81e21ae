//! The table of policies.

use super::super::{
    ConstraintRow, Report, Verdict,
    words::{age, count, many, sentence, tenths},
};
use crate::identity::Stage;

/// One row of the table.
pub(in super::super) struct PolicyView<'a> {
    pub row: &'a ConstraintRow,
    /// Its place in the report, which names its findings.
    pub place: usize,
    /// Class of the stage's badge.
    pub stage: &'static str,
    pub stage_word: &'static str,
    /// `→ deny` where it is to go further.
    pub target: String,
    /// `for 9 days`.
    pub since: String,
    pub tone: &'static str,
    pub mark: &'static str,
    pub verdict: &'static str,
    /// `2 of 118 objects fail`.
    pub counts: String,
    /// What else there is to know about the counts.
    pub aside: String,
    pub oldest: String,
    /// `2`, `≥ 2` where not all was judged, `?` where nobody knows, `–` where it is at deny.
    pub would_block: String,
    pub next: String,
}

/// The stage in a word that asks for no knowledge of Gatekeeper.
pub(in super::super) fn stage_word(stage: Option<Stage>) -> &'static str {
    match stage {
        Some(Stage::Deny) => "enforced",
        Some(Stage::Warn) => "warns",
        Some(Stage::Dryrun) => "observed",
        None => "not in place",
    }
}

impl<'a> PolicyView<'a> {
    /// The row of the policy at this place of the report.
    pub fn new(place: usize, row: &'a ConstraintRow, report: &Report) -> Self {
        let now = report.provenance.generated;
        let (tone, mark, verdict) = match row.verdict {
            Verdict::Violated if row.enforced() => ("bad", "✕", "Violated"),
            Verdict::Violated => ("warn", "!", "Violated"),
            Verdict::Incomplete => ("unknown", "?", "Not all checked"),
            Verdict::NotAuditable => ("unknown", "?", "Cannot be checked"),
            Verdict::NotAudited => ("unknown", "?", "Not checked yet"),
            Verdict::Exempt => ("none", "–", "All exempt"),
            Verdict::NothingToCheck => ("none", "–", "Nothing to check"),
            Verdict::Met => ("good", "✓", "Kept"),
        };
        let counts = match (row.evaluated, row.violated) {
            (0, 0) => String::new(),
            (evaluated, 0) => format!("{} checked", many(evaluated, "object", "objects")),
            (evaluated, violated) => {
                format!("{} of {} fail", count(violated), many(evaluated, "object", "objects"))
            }
        };
        let mut aside = Vec::new();
        if report.filter.as_ref().is_some_and(|filter| !filter.all_namespaces()) {
            aside.push(format!("{} here", many(row.failing, "owner", "owners")));
        }
        if row.new > 0 {
            aside.push(format!("{} new", count(row.new)));
        }
        if row.exempt > 0 {
            aside.push(format!("{} exempt", count(row.exempt)));
        }
        if row.errors > 0 {
            aside.push(many(row.errors, "error", "errors"));
        }
        if let Some(coverage) = row.coverage.filter(|coverage| *coverage > 0.0 && *coverage < 100.0) {
            aside.push(format!("{} % covered", tenths(coverage)));
        }
        let next = match (&row.state.held, row.state.next.is_empty()) {
            (Some(held), _) => sentence(held),
            (None, false) => sentence(&row.state.next),
            (None, true) if row.at_target() => "At its target".to_owned(),
            (None, true) => "–".to_owned(),
        };
        Self {
            place,
            stage: row.state.stage.map_or("pending", Stage::as_str),
            stage_word: stage_word(row.state.stage),
            target: if row.at_target() { String::new() } else { format!("→ {}", row.state.target) },
            since: row.state.since.map_or(String::new(), |since| format!("for {}", age(since, now))),
            tone,
            mark,
            verdict,
            counts,
            aside: aside.join(" · "),
            oldest: match row.oldest {
                None => "–".to_owned(),
                Some(oldest) if now.as_second() - oldest.as_second() < 60 => "just now".to_owned(),
                Some(oldest) => age(oldest, now),
            },
            would_block: match (row.would_block, row.coverage) {
                (None, _) if row.enforced() => "–".to_owned(),
                (None, _) => "?".to_owned(),
                (Some(number), Some(coverage)) if coverage < 100.0 => format!("≥ {}", count(number)),
                (Some(number), _) => count(number),
            },
            next,
            row,
        }
    }
}
