//! The report as Markdown (GitHub's flavour), for mail, tickets and pull requests.

use std::fmt::Write as _;

use super::{
    NoticeLevel, Report, Severity,
    constraints::size,
    view::{
        findings::{self, PolicyFindings},
        glance,
        policies::PolicyView,
        sections::{self, ChangeView, ExemptionView, GapView, StandardView},
    },
    words::many,
};

/// The report as Markdown. Everything that comes from outside is escaped.
pub fn render_markdown(report: &Report) -> String {
    let mut out = String::new();
    top(&mut out, report);
    changes(&mut out, report);
    policies(&mut out, report);
    namespaces(&mut out, report);
    standards(&mut out, report);
    rollouts(&mut out, report);
    exemptions(&mut out, report);
    not_evaluated(&mut out, report);
    problems(&mut out, report);
    if !report.fixed.is_empty() {
        let _ = writeln!(out, "\n## Fixed {}", report.provenance.since_words());
        list(&mut out, findings::by_policy(report, &report.fixed));
    }
    line(&mut out, "\n## All findings");
    if report.findings.is_empty() {
        line(&mut out, "\nThere are none.");
    }
    list(&mut out, findings::by_policy(report, &report.findings));
    let _ =
        write!(out, "\n---\n\nMade by Portcullis, instance {}. ", text(&report.provenance.cluster.instance));
    let _ = writeln!(out, "All times are UTC. `{}`", report.schema);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A table row; the cells are escaped already.
fn row(out: &mut String, cells: &[String]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// The head of a table; a name that ends in `:` heads a column of figures.
fn head(out: &mut String, names: &[&str]) {
    let heads: Vec<&str> = names.iter().map(|name| name.trim_end_matches(':')).collect();
    let rules: Vec<&str> =
        names.iter().map(|name| if name.ends_with(':') { "---:" } else { "---" }).collect();
    let _ = writeln!(out, "\n| {} |\n| {} |", heads.join(" | "), rules.join(" | "));
}

/// Text with all that Markdown and HTML would read as markup taken literally, on one line.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for letter in raw.trim().chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => {
                out.push('\\');
                out.push(letter);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' => out.push_str("<br>"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// A name as code; what would end the code or the cell is replaced.
fn code(raw: &str) -> String {
    if raw.contains(['<', '&']) {
        return format!("<code>{}</code>", text(raw));
    }
    let plain = |letter: char| match letter {
        '`' => '\'',
        '|' => '¦',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    format!("`{}`", raw.chars().map(plain).collect::<String>())
}

fn top(out: &mut String, report: &Report) {
    let _ = writeln!(out, "# Policy compliance of {}", text(&report.provenance.cluster.name));
    for notice in &report.notices {
        let mark = match notice.level {
            NoticeLevel::Alarm => "❗ ",
            NoticeLevel::Warning => "⚠️ ",
            NoticeLevel::Note => "",
        };
        let _ = writeln!(out, "\n> {mark}**{}.** {}", text(&notice.title), text(&notice.text));
    }
    let _ = writeln!(out, "\n**{}.**\n", report.summary.headline());
    for sentence in &report.summary.sentences {
        let _ = writeln!(out, "- {}", text(sentence));
    }
    let tiles = glance::tiles(report);
    let labels: Vec<&str> = tiles.iter().map(|tile| tile.label).collect();
    head(out, &labels);
    let values: Vec<String> = tiles
        .iter()
        .map(|tile| {
            format!("**{} {}**", tile.value, tile.unit).replace(" **", "**") + "<br>" + &text(&tile.note)
        })
        .collect();
    row(out, &values);
    line(out, "");
    for fact in glance::facts(report) {
        let note = if fact.note.is_empty() { String::new() } else { format!(" ({})", text(&fact.note)) };
        let _ = writeln!(out, "- {}: {}{note}", fact.term, text(&fact.value));
    }
}

fn changes(out: &mut String, report: &Report) {
    line(out, "\n## What changed");
    if report.changes.is_empty() {
        line(out, "\nNothing changed about the policies.");
        return;
    }
    head(out, &["When", "What", "Policy", "How", "Why", "Who"]);
    for view in report.changes.iter().map(ChangeView::new) {
        let change = view.change;
        row(
            out,
            &[
                view.at,
                view.word.to_owned(),
                code(&change.object),
                text(&view.way),
                text(&view.why),
                text(&view.by),
            ],
        );
    }
}

fn policies(out: &mut String, report: &Report) {
    line(out, "\n## Policies");
    if report.constraints.is_empty() {
        line(out, "\nThere are no policies.");
        return;
    }
    head(out, &["Policy", "Stage", "Severity", "Result", "Oldest:", "Would block:", "Next", "Owner"]);
    for (place, constraint) in report.constraints.iter().enumerate() {
        let view = PolicyView::new(place, constraint, report);
        let mut what = code(&constraint.state.id.to_string());
        if !constraint.state.description.is_empty() {
            what = format!("{}<br>{what}", text(&constraint.state.description));
        }
        let mut stage = format!("**{}** ({})", view.stage, view.stage_word);
        if !view.target.is_empty() {
            let _ = write!(stage, " {}", view.target);
        }
        let mut result = format!("{} {}", view.mark, view.verdict);
        for part in [&view.counts, &view.aside] {
            if !part.is_empty() {
                let _ = write!(result, "<br>{part}");
            }
        }
        row(
            out,
            &[
                what,
                stage,
                constraint.state.severity.to_string(),
                result,
                view.oldest,
                view.would_block,
                text(&view.next),
                text(&constraint.state.owner),
            ],
        );
    }
}

fn namespaces(out: &mut String, report: &Report) {
    if report.namespaces.is_empty() {
        return;
    }
    line(out, "\n## Where the violations are");
    let mut names = vec!["Namespace".to_owned()];
    names.extend(Severity::ALL.map(|severity| format!("{severity}:")));
    names.extend(["All:".to_owned(), "At deny:".to_owned()]);
    head(out, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for view in sections::namespaces(report) {
        let name = if view.name.is_empty() { "*no namespace*".to_owned() } else { text(view.name) };
        let mut cells = vec![name];
        cells.extend(view.cells.into_iter().map(|cell| cell.text));
        cells.extend([view.total, view.at_deny]);
        row(out, &cells);
    }
}

fn standards(out: &mut String, report: &Report) {
    if report.standards.is_empty() {
        return;
    }
    line(out, "\n## Standards");
    head(out, &["Control", "State", "Enforced:", "Failing:", "Policies"]);
    for view in report.standards.iter().map(StandardView::new) {
        let policies: Vec<String> = view.row.constraints.iter().map(|id| code(&id.to_string())).collect();
        row(
            out,
            &[
                text(&view.row.control),
                format!("{} {}", view.mark, view.status),
                format!("{} of {}", view.row.enforced, view.row.constraints.len()),
                view.failing,
                policies.join(", "),
            ],
        );
    }
}

fn rollouts(out: &mut String, report: &Report) {
    if report.rollouts.is_empty() {
        return;
    }
    line(out, "\n## Rollouts");
    head(out, &["Rollout", "Stages and least time at each", "A changed policy", "Governs"]);
    for rollout in &report.rollouts {
        let policies: Vec<String> = rollout.constraints.iter().map(|id| code(&id.to_string())).collect();
        row(out, &[text(&rollout.name), text(&rollout.path), text(&rollout.strategy), policies.join(", ")]);
    }
}

fn exemptions(out: &mut String, report: &Report) {
    if report.exemptions.is_empty() {
        return;
    }
    line(out, "\n## Exemptions");
    head(out, &["Exemption", "Of what", "Where", "Owner", "Reason", "Ends", "Excuses:"]);
    for view in report.exemptions.iter().map(ExemptionView::new) {
        let exemption = view.exemption;
        let ends =
            exemption.expires.as_deref().map_or(String::new(), |expires| format!("{} ", text(expires)));
        let owner = [&exemption.owner, &exemption.ticket].map(|part| text(part)).join(" ");
        row(
            out,
            &[
                text(&exemption.name),
                text(&view.constraints),
                text(&view.namespaces),
                owner.trim().to_owned(),
                text(&exemption.reason),
                format!("{ends}({})", view.ends),
                view.excused,
            ],
        );
    }
}

fn not_evaluated(out: &mut String, report: &Report) {
    let gaps = &report.not_evaluated;
    line(out, "\n## Not evaluated");
    if gaps.is_empty() {
        line(out, "\nEverything the policies are about was evaluated, and is enforced where it was.");
        return;
    }
    if !gaps.unknown.is_empty() {
        line(out, "\nNobody knows whether these keep to the policies. They do not count as passing.");
        gap_table(out, sections::gaps(&gaps.unknown, report));
    }
    if !gaps.not_auditable.is_empty() {
        line(out, "\nNo audit can judge these; a person must approve before they are enforced further.\n");
        for policy in &gaps.not_auditable {
            let _ = writeln!(out, "- {}: {}", code(&policy.constraint.to_string()), text(&policy.reason));
        }
    }
    if !gaps.not_audited.is_empty() {
        line(out, "\nNo audit has judged these yet.\n");
        for id in &gaps.not_audited {
            let _ = writeln!(out, "- {}", code(&id.to_string()));
        }
    }
    if !gaps.not_enforced.is_empty() {
        line(out, "\nThese were evaluated, but nothing is refused there, whatever the stage.");
        gap_table(out, sections::gaps(&gaps.not_enforced, report));
    }
}

fn gap_table(out: &mut String, gaps: Vec<GapView>) {
    head(out, &["Why", "How many:", "Kinds", "Policies"]);
    for gap in gaps {
        row(out, &[text(&gap.reason), gap.count, text(&gap.kinds), text(&gap.policies)]);
    }
}

fn problems(out: &mut String, report: &Report) {
    if report.sync.problems.is_empty() {
        return;
    }
    line(out, "\n## Problems in the repository\n");
    for problem in &report.sync.problems {
        let place = match problem.line {
            0 => problem.file.clone(),
            line => format!("{}:{line}:{}", problem.file, problem.column),
        };
        let hint = problem.hint.as_deref().map_or(String::new(), |hint| format!(" — {}", text(hint)));
        let _ = writeln!(
            out,
            "- {} {} {}: {}{hint}",
            problem.severity,
            problem.code,
            code(&place),
            text(&problem.message)
        );
    }
}

fn list(out: &mut String, groups: Vec<PolicyFindings<'_>>) {
    for group in groups {
        let mut about: Vec<String> = vec![group.stage.to_owned()];
        about.extend([group.severity.to_owned(), group.totals].into_iter().filter(|part| !part.is_empty()));
        let _ = writeln!(out, "\n### {} ({})", code(&group.name), about.join(", "));
        if !group.description.is_empty() {
            let _ = writeln!(out, "\n{}", text(group.description));
        }
        let _ = writeln!(out, "\n{}:", many(size(group.lines.len()), "finding", "findings"));
        head(out, &["Who has to act", "What is wrong", "State", "Since"]);
        for entry in group.lines {
            let objects = if entry.objects.is_empty() {
                String::new()
            } else {
                format!("<br>on {}", text(&entry.objects))
            };
            let note =
                if entry.note.is_empty() { String::new() } else { format!(" ({})", text(&entry.note)) };
            row(
                out,
                &[
                    format!("{} {}", text(entry.kind), text(&entry.name)),
                    format!("{}{objects}", text(entry.message)),
                    format!("{}{note}", entry.word),
                    entry.first_seen,
                ],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{render_markdown, text};
    use crate::report::{Report, samples, samples_extreme};

    #[test]
    fn a_small_report_as_markdown() {
        insta::assert_snapshot!(render_markdown(&Report::build(samples::realistic())));
    }

    #[test]
    fn markup_is_taken_literally() {
        assert_eq!(
            text("a|b <script> `x`\n*y* [z](u)"),
            "a\\|b &lt;script&gt; \\`x\\`<br>\\*y\\* \\[z\\](u)"
        );
        let markdown = render_markdown(&Report::build(samples_extreme::hostile()));
        assert!(!markdown.contains("<script"));
        for row in markdown.lines().filter(|line| line.contains("alert(1)") && line.starts_with("| ")) {
            assert!(row.ends_with(" |"), "{row}");
        }
    }
}
