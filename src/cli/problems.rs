//! Problems as people and machines read them: compiler-style text, JSON, SARIF, GitHub annotations.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use portcullis_core::{
    bundle,
    problem::{Problem, Severity, Span},
};
use serde_json::{Value, json};

/// How problems are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// With the line concerned, for people.
    #[default]
    Text,
    /// An array of objects with code, severity, message, hint, file, line and column.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands, which GitHub shows beside the lines.
    Github,
}

/// Gives the text of a file by the name its problems bear.
pub type Texts<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Problems in compiler style, the worst first, with colours that `anstream` strips where they are not
/// wanted. `width`: columns of the terminal, `None` where nothing is to be cut.
pub fn text(problems: &[Problem], texts: Texts<'_>, width: Option<usize>) -> String {
    let renderer = Renderer::styled().term_width(width.unwrap_or(100_000));
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| problem.severity);
    let mut known: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut out = String::new();
    for problem in sorted {
        let text = known.entry(&problem.file).or_insert_with(|| texts(&problem.file));
        let line = text.as_deref().and_then(|text| line(text, problem.span));
        out.push_str(renderer.render(&[group(problem, line)]).trim_end());
        out.push_str("\n\n");
    }
    out
}

fn group<'a>(problem: &'a Problem, line: Option<&'a str>) -> annotate_snippets::Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(problem.message.as_str()).id(problem.code);
    let group = match line {
        Some(line) => title.element(
            Snippet::source(line)
                .line_start(problem.span.line as usize)
                .path(problem.file.as_str())
                .annotation(AnnotationKind::Primary.span(range(line, problem.span))),
        ),
        None if problem.span.line > 0 => title.element(
            Origin::path(problem.file.as_str())
                .line(problem.span.line as usize)
                .char_column(problem.span.column as usize),
        ),
        None => title.element(Origin::path(problem.file.as_str())),
    };
    match &problem.hint {
        Some(hint) => group.element(Level::HELP.message(hint.as_str())),
        None => group,
    }
}

fn line(text: &str, span: Span) -> Option<&str> {
    let index = usize::try_from(span.line.checked_sub(1)?).ok()?;
    // A line of a minified file would fill the screen; its place says enough.
    text.lines().nth(index).filter(|line| line.len() <= 2_000)
}

/// The bytes of a line that a span in characters means.
fn range(line: &str, span: Span) -> Range<usize> {
    let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let start = (span.column as usize).saturating_sub(1);
    let first = offset(start);
    first..offset(start + (span.length as usize).max(1)).max(first)
}

/// Problems as a JSON array.
pub fn json(problems: &[Problem]) -> Value {
    problems
        .iter()
        .map(|problem| {
            json!({
                "code": problem.code,
                "severity": problem.severity,
                "message": problem.message,
                "hint": problem.hint,
                "file": problem.file,
                "line": problem.span.line.max(1),
                "column": problem.span.column.max(1),
                "length": problem.span.length.max(1),
            })
        })
        .collect()
}

/// Problems as a SARIF 2.1.0 log.
pub fn sarif(problems: &[Problem]) -> Value {
    let mut rules: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<Value> = rules
        .iter()
        .map(|code| match bundle::explain(code) {
            Some(known) => json!({
                "id": code,
                "shortDescription": {"text": known.title},
                "fullDescription": {"text": known.explanation},
            }),
            None => json!({"id": code}),
        })
        .collect();
    let results: Vec<Value> = problems
        .iter()
        .map(|problem| {
            let level = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            json!({
                "ruleId": problem.code,
                "level": level,
                "message": {"text": with_hint(problem)},
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri(&problem.file)},
                        "region": {
                            "startLine": problem.span.line.max(1),
                            "startColumn": problem.span.column.max(1),
                            "endColumn": problem.span.column.max(1).saturating_add(problem.span.length.max(1)),
                        },
                    },
                }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn with_hint(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}\n{hint}", problem.message),
        None => problem.message.clone(),
    }
}

/// A relative path as a URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Problems as workflow commands of GitHub Actions, one a line.
pub fn github(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let command = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "::{command} file={},line={},col={},title={}::{}",
            property(&problem.file),
            problem.span.line.max(1),
            problem.span.column.max(1),
            problem.code,
            message(&with_hint(problem)),
        );
    }
    out
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use portcullis_core::problem::{Problem, Severity, Span};

    use super::{github, json, sarif, text};

    fn problem() -> Problem {
        Problem {
            file: "a,b/c.yaml".to_owned(),
            span: Span { line: 2, column: 4, length: 5 },
            severity: Severity::Error,
            code: "PC0201",
            message: "parameter `labls` is unknown".to_owned(),
            hint: Some("did you mean\n`labels`?".to_owned()),
        }
    }

    #[test]
    fn text_underlines_characters_not_bytes() {
        let shown = text(&[problem()], &|_| Some("é: 1\nééélabls: 2\n".to_owned()), None);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        insta::assert_snapshot!(plain);
    }

    #[test]
    fn a_problem_without_text_still_has_its_place() {
        let mut whole = problem();
        whole.span = Span::default();
        let shown = text(&[problem(), whole], &|_| None, None);
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert!(plain.contains("--> a,b/c.yaml:2:4") && plain.contains("--> a,b/c.yaml\n"), "{plain}");
    }

    #[test]
    fn machines_get_their_forms() {
        let problems = [problem()];
        assert_eq!(
            github(&problems),
            "::error file=a%2Cb/c.yaml,line=2,col=4,title=PC0201::parameter `labls` is unknown%0Adid you mean%0A`labels`?\n"
        );
        let sarif = sarif(&problems);
        let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%2Cb/c.yaml");
        assert_eq!(place["region"]["endColumn"], 9);
        let json = json(&problems);
        assert_eq!(json[0]["severity"], "error");
        assert_eq!(json[0]["line"], 2);
    }
}
