//! The page: what stands on it, put into words.

use askama::Template;

use super::{
    super::{
        NoticeLevel, Report, Severity, Standing, Summary,
        words::{count, delta, many, sentence, tenths, time, took},
    },
    chart::Trend,
    findings::{self, PolicyFindings},
    policies::PolicyView,
    sections::{self, ChangeView, ExemptionView, GapView, NamespaceView, RolloutView, StandardView},
};

/// Rows of the policy table that are shown before quiet ones fold.
const ROOM: usize = 20;

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
    pub policies: Vec<PolicyView<'a>>,
    pub quiet: Vec<PolicyView<'a>>,
    pub severities: [Severity; 4],
    pub namespaces: Vec<NamespaceView<'a>>,
    pub standards: Vec<StandardView<'a>>,
    pub rollouts: Vec<RolloutView<'a>>,
    pub exemptions: Vec<ExemptionView<'a>>,
    pub unknown: Vec<GapView<'a>>,
    pub not_enforced: Vec<GapView<'a>>,
    pub findings: Vec<PolicyFindings<'a>>,
    pub fixed: Vec<PolicyFindings<'a>>,
    pub excerpt: Totals,
}

/// One line of the provenance.
pub(super) struct Fact {
    pub term: &'static str,
    pub value: String,
    pub note: String,
}

/// A notice as it is drawn.
pub(super) struct NoticeView<'a> {
    pub tone: &'static str,
    pub label: &'static str,
    pub title: &'a str,
    pub text: &'a str,
}

/// One figure at a glance.
pub(super) struct Tile {
    pub label: &'static str,
    pub value: String,
    pub unit: &'static str,
    pub note: String,
    pub tone: &'static str,
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
        let mut policies: Vec<PolicyView<'_>> =
            report.constraints.iter().map(|row| PolicyView::new(row, report)).collect();
        let mut quiet = Vec::new();
        if policies.len() > ROOM {
            quiet = policies.extract_if(.., |policy| policy.row.is_quiet()).collect();
        }
        Self {
            report,
            generated: time(report.provenance.generated),
            tone,
            mark,
            facts: facts(report),
            notices: notices(report),
            tiles: tiles(summary),
            trend: Trend::new(&report.trend),
            changes: report.changes.iter().map(ChangeView::new).collect(),
            policies,
            quiet,
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

fn facts(report: &Report) -> Vec<Fact> {
    let provenance = &report.provenance;
    let fact = |term, value: String, note: String| Fact { term, value, note };
    let labels: Vec<String> =
        provenance.cluster.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut facts = vec![fact("Cluster", provenance.cluster.name.clone(), labels.join(" · "))];
    match &provenance.source {
        Some(source) => {
            facts.push(fact("Policies from", source.url.clone(), format!("branch {}", source.branch)));
            facts.push(fact(
                "Commit",
                format!("{} {}", source.revision.short(), source.subject),
                format!("{}, {}", source.author, time(source.committed)),
            ));
            facts.push(match &source.signer {
                Some(signer) => fact("Signed by", signer.clone(), String::new()),
                None => fact("Signed by", "nobody".to_owned(), "signature not verified".to_owned()),
            });
        }
        None => facts.push(fact("Policies from", "no revision yet".to_owned(), String::new())),
    }
    match &provenance.run {
        Some(run) => facts.push(fact(
            "Audit",
            format!(
                "#{}, {}, {}",
                run.id,
                if run.complete { "complete" } else { "INCOMPLETE" },
                many(run.objects, "object", "objects")
            ),
            match run.finished {
                Some(finished) => format!("{}, took {}", time(run.started), took(run.started, finished)),
                None => format!("{}, not finished", time(run.started)),
            },
        )),
        None => facts.push(fact("Audit", "none yet".to_owned(), String::new())),
    }
    facts.push(fact(
        "Judged by",
        format!("{} {}", provenance.engine.name, provenance.engine.version),
        format!(
            "enforced by {}",
            if provenance.enforced == "simulated" { "nobody (simulated)" } else { &provenance.enforced }
        ),
    ));
    facts
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

fn tiles(summary: &Summary) -> Vec<Tile> {
    let tile = |label, value: String, unit, note: String, tone| Tile { label, value, unit, note, tone };
    let whole = |value: f64| (value - 100.0).abs() < f64::EPSILON;
    let checked = match summary.coverage {
        Some(coverage) => format!("over {} % coverage", tenths(coverage)),
        None => "nothing to check".to_owned(),
    };
    let score = match (summary.score, summary.score_delta) {
        (Some(score), Some(change)) => tile(
            "Score",
            tenths(score),
            "of 100",
            format!("{} since last report; {checked}", delta(change)),
            if change < 0.0 { "warn" } else { "none" },
        ),
        (Some(score), None) => tile("Score", tenths(score), "of 100", checked, "none"),
        (None, _) => tile("Score", "no score".to_owned(), "", "nothing was judged".to_owned(), "none"),
    };
    let coverage = match summary.coverage {
        Some(coverage) => tile(
            "Coverage",
            tenths(coverage),
            "%",
            if whole(coverage) { "everything was checked" } else { "of what should be checked was" }
                .to_owned(),
            if whole(coverage) { "good" } else { "warn" },
        ),
        None => tile("Coverage", "–".to_owned(), "", "nothing to check".to_owned(), "none"),
    };
    let mut news = vec![format!("{} new", count(summary.new))];
    if summary.regressed > 0 {
        news.push(format!("{} back", count(summary.regressed)));
    }
    news.push(format!("{} fixed", count(summary.fixed)));
    let evidence = !matches!(summary.standing, Standing::NoEvidence | Standing::NoPolicies);
    let good = if evidence { "good" } else { "none" };
    vec![
        score,
        coverage,
        tile(
            "Open violations",
            count(summary.open),
            "",
            news.join(" · "),
            if summary.open > 0 { "warn" } else { good },
        ),
        tile(
            "Open at deny",
            count(summary.open_at_deny),
            "",
            "against an enforced policy".to_owned(),
            if summary.open_at_deny > 0 { "bad" } else { good },
        ),
        tile(
            "Exempt",
            count(summary.exempt),
            "",
            match summary.exemptions {
                0 => "no exemption in force".to_owned(),
                exemptions => format!("excused by {}", many(exemptions, "exemption", "exemptions")),
            },
            "none",
        ),
        tile(
            "Expiring",
            count(summary.exemptions_expiring),
            "",
            match summary.exemptions_expired {
                0 => "exemptions ending within 30 days".to_owned(),
                expired => format!("ending within 30 days; {} expired", count(expired)),
            },
            if summary.exemptions_expiring + summary.exemptions_expired > 0 { "warn" } else { "none" },
        ),
    ]
}

fn totals(report: &Report) -> Totals {
    let summary = &report.summary;
    let gaps = &report.not_evaluated;
    let mut missing = Vec::new();
    let mut missed = |number: usize, one: &str, more: &str| {
        if number > 0 {
            missing.push(many(u64::try_from(number).unwrap_or(u64::MAX), one, more));
        }
    };
    missed(gaps.not_auditable.len(), "policy no audit can judge", "policies no audit can judge");
    missed(gaps.not_audited.len(), "policy not judged yet", "policies not judged yet");
    missed(gaps.unknown.len(), "gap in the evidence", "gaps in the evidence");
    missed(gaps.not_enforced.len(), "part out of enforcement", "parts out of enforcement");
    let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let worst = report.namespaces.first().map(|row| {
        let name = if row.namespace.is_empty() { "the cluster itself" } else { &row.namespace };
        format!(
            "{}, the most severe in {name}",
            many(number(report.namespaces.len()), "namespace", "namespaces")
        )
    });
    let enforced =
        report.standards.iter().filter(|row| row.status == super::super::StandardStatus::Enforced).count();
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
            many(number(report.standards.len()), "control", "controls")
        ),
        problems: many(number(report.sync.problems.len()), "problem", "problems"),
    }
}
