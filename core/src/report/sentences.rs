//! The report in a few sentences that ask for no knowledge of Kubernetes.

use std::fmt::Write as _;

use super::{
    Report, Summary,
    words::{age, list, many, sentence, tenths},
};

/// What there is to say, the important first.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let summary = &report.summary;
    let mut sentences = vec![policies(summary)];
    if report.provenance.run.is_none() || summary.policies == 0 {
        return sentences;
    }
    sentences.push(violations(report));
    if summary.would_block > 0 {
        let (one, more) = match summary.open_at_deny {
            0 => ("workload or other object", "workloads or other objects"),
            _ => ("more workload or other object", "more workloads or other objects"),
        };
        sentences.push(format!(
            "If every policy that is meant to be enforced were so today, the next change to {} would be refused.",
            many(summary.would_block, one, more),
        ));
    }
    sentences.push(evidence(summary));
    if let Some(text) = exemptions(summary) {
        sentences.push(text);
    }
    sentences
}

/// `2 of 6 policies are enforced (deny), 1 warns, 3 are being observed (dryrun).`
fn policies(summary: &Summary) -> String {
    if summary.policies == 0 {
        return "No policies are in place, so nothing was checked.".to_owned();
    }
    let mut parts = Vec::new();
    let be = |number: u64| if number == 1 { "is" } else { "are" };
    if summary.deny == summary.policies {
        parts.push(match summary.policies {
            1 => "The one policy is enforced (deny)".to_owned(),
            policies => format!("All {policies} policies are enforced (deny)"),
        });
    } else if summary.deny == 0 {
        parts.push(format!(
            "None of the {} is enforced (deny) yet",
            many(summary.policies, "policy", "policies")
        ));
    } else {
        parts.push(format!(
            "{} of {} {} enforced (deny)",
            summary.deny,
            many(summary.policies, "policy", "policies"),
            be(summary.deny)
        ));
    }
    if summary.warn > 0 {
        parts.push(format!(
            "{} only {} (warn)",
            summary.warn,
            if summary.warn == 1 { "warns" } else { "warn" }
        ));
    }
    if summary.dryrun > 0 {
        parts.push(format!("{} {} being observed (dryrun)", summary.dryrun, be(summary.dryrun)));
    }
    if summary.pending > 0 {
        parts.push(format!("{} {} not in place yet", summary.pending, be(summary.pending)));
    }
    format!("{}.", list(&parts))
}

/// `41 violations are open, 3 of them against an enforced policy. Since the last report 2 are new and 5 were fixed.`
fn violations(report: &Report) -> String {
    let summary = &report.summary;
    let mut text = match summary.open {
        0 => "No violation is open.".to_owned(),
        open => format!(
            "{} {} open, {} against an enforced policy.",
            many(open, "violation", "violations"),
            if open == 1 { "is" } else { "are" },
            match summary.open_at_deny {
                0 => "none of them".to_owned(),
                at_deny => format!("{} of them", super::words::count(at_deny)),
            },
        ),
    };
    let mut news = Vec::new();
    if summary.new > 0 {
        news.push(format!("{} {} new", super::words::count(summary.new), be(summary.new)));
    }
    if summary.regressed > 0 {
        news.push(format!("{} came back", super::words::count(summary.regressed)));
    }
    if summary.fixed > 0 {
        let word = if summary.fixed == 1 { "was" } else { "were" };
        news.push(format!("{} {word} fixed", super::words::count(summary.fixed)));
    }
    if !news.is_empty() {
        let _ = write!(text, " {} {}.", sentence(report.provenance.since_words()), list(&news));
    }
    let oldest = report.constraints.iter().filter_map(|row| row.oldest).min();
    let now = report.provenance.generated;
    if let Some(oldest) = oldest.filter(|oldest| now.as_second() - oldest.as_second() >= 60) {
        let _ = write!(text, " The oldest has been open for {}.", age(oldest, now));
    }
    text
}

/// `Of everything judged 96.2 % passes, weighted by severity; 98 % of what should be judged was.`
fn evidence(summary: &Summary) -> String {
    match (summary.score, summary.coverage) {
        (Some(score), Some(coverage)) if (coverage - 100.0).abs() < f64::EPSILON => {
            format!("The score is {} of 100, and everything was checked.", tenths(score))
        }
        (Some(score), Some(coverage)) => format!(
            "The score is {} of 100, but only {} % of what should be checked was.",
            tenths(score),
            tenths(coverage)
        ),
        (Some(score), None) => format!("The score is {} of 100.", tenths(score)),
        (None, _) => "There is no score: nothing could be judged.".to_owned(),
    }
}

fn exemptions(summary: &Summary) -> Option<String> {
    if summary.exemptions == 0 {
        return None;
    }
    let be = if summary.exemptions == 1 { "is" } else { "are" };
    let excused = match summary.exempt {
        0 => "nothing at present".to_owned(),
        exempt => many(exempt, "violation", "violations"),
    };
    let number = many(summary.exemptions, "exemption", "exemptions");
    let mut text = format!("{number} {be} in force, excusing {excused}");
    if summary.exemptions_expiring > 0 {
        let ends = if summary.exemptions_expiring == 1 { "ends" } else { "end" };
        let _ = write!(text, "; {} {ends} within 30 days", summary.exemptions_expiring);
    }
    text.push('.');
    Some(text)
}

fn be(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}
