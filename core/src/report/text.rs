//! The report on a few lines of a terminal.

use super::{
    NoticeLevel, Report,
    words::{count, delta, many, tenths, time},
};

/// Standing, notices and figures in a few lines of plain text, without colour, each at most as wide as its words.
pub fn render_summary_text(report: &Report) -> String {
    let summary = &report.summary;
    let mut lines = vec![format!(
        "{}   {}   {}",
        plain(&report.provenance.cluster.name),
        summary.headline(),
        time(report.provenance.generated)
    )];
    for notice in report.notices.iter().filter(|notice| notice.level != NoticeLevel::Note) {
        lines.push(format!("  ! {}: {}", plain(&notice.title), plain(&notice.text)));
    }
    lines.push(format!(
        "policies    {}: {} deny, {} warn, {} dryrun",
        summary.policies, summary.deny, summary.warn, summary.dryrun
    ));
    lines.push(format!(
        "findings    {} open ({} at deny), {} new, {} fixed, {} exempt",
        count(summary.open),
        count(summary.open_at_deny),
        count(summary.new),
        count(summary.fixed),
        count(summary.exempt)
    ));
    let change = summary.score_delta.map_or(String::new(), |change| format!(" ({})", delta(change)));
    let coverage =
        summary.coverage.map_or("nothing".to_owned(), |coverage| format!("{} %", tenths(coverage)));
    lines.push(match summary.score {
        Some(score) => format!("score       {}{change} over {coverage} coverage", tenths(score)),
        None => "score       none: nothing was judged".to_owned(),
    });
    if summary.would_block > 0 {
        lines.push(format!(
            "ahead       {} would be blocked if every policy went to its target",
            many(summary.would_block, "more subject", "more subjects")
        ));
    }
    lines.join("\n") + "\n"
}

/// A text on one line, without control characters that a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::render_summary_text;
    use crate::report::{Report, samples, samples_extreme};

    #[test]
    fn a_report_in_a_few_lines() {
        insta::assert_snapshot!(render_summary_text(&Report::build(samples::realistic())));
        insta::assert_snapshot!(render_summary_text(&Report::build(samples_extreme::incomplete())));
    }
}
