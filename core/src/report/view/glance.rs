//! Provenance and figures, as the top of a report shows them.

use super::super::{
    Report, Standing,
    words::{count, delta, many, tenths, time, took},
};

/// One line of the provenance.
pub(in super::super) struct Fact {
    pub term: &'static str,
    pub value: String,
    pub note: String,
}

/// One figure at a glance.
pub(in super::super) struct Tile {
    pub label: &'static str,
    pub value: String,
    pub unit: &'static str,
    pub note: String,
    pub tone: &'static str,
}

/// Where the figures come from.
pub(in super::super) fn facts(report: &Report) -> Vec<Fact> {
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

/// The six figures.
pub(in super::super) fn tiles(report: &Report) -> Vec<Tile> {
    let summary = &report.summary;
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
            format!("{} {}; {checked}", delta(change), report.provenance.since_words()),
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
    let (least, good) = match summary.standing {
        Standing::Incomplete => ("at least; ", "none"),
        Standing::NoEvidence | Standing::NoPolicies => ("", "none"),
        Standing::Violated | Standing::Open | Standing::InOrder => ("", "good"),
    };
    vec![
        score,
        coverage,
        tile(
            "Open violations",
            count(summary.open),
            "",
            format!("{least}{}", news.join(" · ")),
            if summary.open > 0 { "warn" } else { good },
        ),
        tile(
            "Open at deny",
            count(summary.open_at_deny),
            "",
            format!("{least}against an enforced policy"),
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
