//! The page: what stands on it, put into words.

use askama::Template;

use super::{
    super::{
        NoticeLevel, Report, Severity, StandardStatus, Standing, Summary, Verdict,
        constraints::size,
        view::{
            findings::{self, PolicyFindings},
            glance::{self, Fact, Tile},
            policies::PolicyView,
            sections::{self, ChangeView, ExemptionView, GapView, NamespaceView, RolloutView, StandardView},
        },
        words::{count, many, sentence, time},
    },
    chart::Trend,
};

/// Rows of the policy table and changes that are shown before the rest folds, and how few are not worth a fold.
const ROOM_POLICIES: usize = 15;
const ROOM_CHANGES: usize = 8;
const SLACK: usize = 5;

/// What `report.html` is filled with.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page<'a> {
    pub report: &'a Report,
    pub generated: String,
    pub tone: &'static str,
    pub mark: &'static str,
    pub facts: Vec<Fact>,
    pub notices: Vec<NoticeView<'a>>,
    pub tiles: Vec<Tile>,
    pub trend: Option<Trend>,
    pub changes: Vec<ChangeView<'a>>,
    pub more_changes: Vec<ChangeView<'a>>,
    pub policies: Vec<PolicyView<'a>>,
    pub more_policies: Vec<PolicyView<'a>>,
    pub more_policies_are: String,
    pub bar: Vec<Segment>,
    pub severities: [Severity; 4],
    pub namespaces: Vec<NamespaceView<'a>>,
    pub standards: Vec<StandardView<'a>>,
    pub rollouts: Vec<RolloutView<'a>>,
    pub exemptions: Vec<ExemptionView<'a>>,
    pub unknown: Vec<GapView>,
    pub not_enforced: Vec<GapView>,
    pub findings: Vec<PolicyFindings<'a>>,
    pub fixed: Vec<PolicyFindings<'a>>,
    pub excerpt: Totals,
}

/// A notice as it is drawn.
pub(super) struct NoticeView<'a> {
    pub tone: &'static str,
    pub label: &'static str,
    pub title: &'a str,
    pub text: &'a str,
}

/// The policies of one stage.
pub(super) struct Segment {
    pub stage: &'static str,
    pub word: &'static str,
    pub number: u64,
}

/// What the headings of the folds say.
pub(super) struct Totals {
    pub findings: String,
    pub fixed: String,
    pub exemptions: String,
    pub not_evaluated: String,
    pub namespaces: String,
    pub standards: String,
    pub problems: String,
}

impl<'a> Page<'a> {
    /// The page of a report.
    pub fn new(report: &'a Report) -> Self {
        let summary = &report.summary;
        let (tone, mark) = match summary.standing {
            Standing::InOrder => ("good", "✓"),
            Standing::Open => ("warn", "!"),
            Standing::Violated => ("bad", "✕"),
            Standing::Incomplete | Standing::NoEvidence => ("bad", "?"),
            Standing::NoPolicies => ("none", "–"),
        };
        let mut policies: Vec<PolicyView<'_>> = report
            .constraints
            .iter()
            .enumerate()
            .map(|(place, row)| PolicyView::new(place, row, report))
            .collect();
        let more_policies = fold(&mut policies, ROOM_POLICIES);
        let mut changes: Vec<ChangeView<'_>> = report.changes.iter().map(ChangeView::new).collect();
        let more_changes = fold(&mut changes, ROOM_CHANGES);
        Self {
            report,
            generated: time(report.provenance.generated),
            tone,
            mark,
            facts: glance::facts(report),
            notices: notices(report),
            tiles: glance::tiles(report),
            trend: Trend::new(&report.trend),
            changes,
            more_changes,
            policies,
            more_policies_are: more_policies_are(&more_policies),
            more_policies,
            bar: bar(summary),
            severities: Severity::ALL,
            namespaces: sections::namespaces(report),
            standards: report.standards.iter().map(StandardView::new).collect(),
            rollouts: report.rollouts.iter().map(RolloutView::new).collect(),
            exemptions: report.exemptions.iter().map(ExemptionView::new).collect(),
            unknown: sections::gaps(&report.not_evaluated.unknown, report),
            not_enforced: sections::gaps(&report.not_evaluated.not_enforced, report),
            findings: findings::by_policy(report, &report.findings),
            fixed: findings::by_policy(report, &report.fixed),
            excerpt: totals(report),
        }
    }
}

/// Takes what does not fit off the list; a few too many stay.
fn fold<T>(list: &mut Vec<T>, room: usize) -> Vec<T> {
    if list.len() <= room + SLACK { Vec::new() } else { list.split_off(room) }
}

/// What folds below the table of policies, in words.
fn more_policies_are(policies: &[PolicyView<'_>]) -> String {
    let number = size(policies.len());
    if policies.iter().all(|policy| policy.row.is_quiet()) {
        let are = if number == 1 { "is at its" } else { "are at their" };
        return format!("{} {are} target with nothing open", many(number, "more policy", "more policies"));
    }
    let violated = policies.iter().filter(|policy| policy.row.verdict == Verdict::Violated).count();
    format!("{}, {} of them violated", many(number, "more policy", "more policies"), count(size(violated)))
}

/// The policies by stage, as a bar.
fn bar(summary: &Summary) -> Vec<Segment> {
    [
        ("deny", "enforced", summary.deny),
        ("warn", "only warning", summary.warn),
        ("dryrun", "observed", summary.dryrun),
        ("pending", "not in place", summary.pending),
    ]
    .into_iter()
    .filter(|(_, _, number)| *number > 0)
    .map(|(stage, word, number)| Segment { stage, word, number })
    .collect()
}

fn notices(report: &Report) -> Vec<NoticeView<'_>> {
    report
        .notices
        .iter()
        .map(|notice| {
            let (tone, label) = match notice.level {
                NoticeLevel::Alarm => ("bad", "Alarm"),
                NoticeLevel::Warning => ("warn", "Warning"),
                NoticeLevel::Note => ("none", "Note"),
            };
            NoticeView { tone, label, title: &notice.title, text: &notice.text }
        })
        .collect()
}

fn totals(report: &Report) -> Totals {
    let summary = &report.summary;
    let gaps = &report.not_evaluated;
    let mut missing = Vec::new();
    let mut missed = |number: usize, one: &str, more: &str| {
        if number > 0 {
            missing.push(many(size(number), one, more));
        }
    };
    missed(gaps.not_auditable.len(), "policy no audit can judge", "policies no audit can judge");
    missed(gaps.not_audited.len(), "policy not judged yet", "policies not judged yet");
    missed(gaps.unknown.len(), "gap in the evidence", "gaps in the evidence");
    missed(gaps.not_enforced.len(), "part out of enforcement", "parts out of enforcement");
    let worst = report.namespaces.first().map(|row| {
        let name = if row.namespace.is_empty() { "the cluster itself" } else { &row.namespace };
        format!(
            "{}, the most severe in {name}",
            many(size(report.namespaces.len()), "namespace", "namespaces")
        )
    });
    let enforced = report.standards.iter().filter(|row| row.status == StandardStatus::Enforced).count();
    Totals {
        findings: format!(
            "{} open, {} exempt, {}",
            count(summary.open),
            count(summary.exempt),
            many(summary.errors, "error", "errors")
        ),
        fixed: many(summary.fixed, "violation", "violations"),
        exemptions: match summary.exemptions_expiring {
            0 => format!("{} in force", count(summary.exemptions)),
            soon => format!("{} in force, {} ending within 30 days", count(summary.exemptions), count(soon)),
        },
        not_evaluated: if missing.is_empty() { "nothing".to_owned() } else { sentence(&missing.join(", ")) },
        namespaces: worst.unwrap_or_else(|| "no open violation".to_owned()),
        standards: format!(
            "{} of {} enforced and kept",
            enforced,
            many(size(report.standards.len()), "control", "controls")
        ),
        problems: many(size(report.sync.problems.len()), "problem", "problems"),
    }
}
