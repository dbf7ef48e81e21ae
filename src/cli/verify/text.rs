//! Results for people, in the manner of gator.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use portcullis_core::suite::{CaseResult, SuiteResult, TestResult, Verdict, Verification};

use super::{counted, named};

/// A line a suite, what failed below it, and the sum. `verbose`: every test and case.
pub(super) fn render(verification: &Verification, verbose: bool) -> String {
    let mut out = String::new();
    let width = verification.suites.iter().map(|suite| suite.file.chars().count()).max().unwrap_or(0);
    for suite in &verification.suites {
        // Writing to a String cannot fail.
        let _ = render_suite(&mut out, suite, width, verbose);
    }
    let counts = verification.counts();
    let failed = verification.suites.iter().filter(|suite| suite.verdict() == Verdict::Fail).count();
    let suites = verification.suites.len();
    let verdict = if failed == 0 { Verdict::Pass } else { Verdict::Fail };
    let _ = write!(
        out,
        "\n{} {} in {}",
        word(verdict, "PASS", "FAIL"),
        amount(counts.passed + counts.failed, "case"),
        amount(suites, "suite"),
    );
    if counts.failed > 0 {
        let _ = write!(out, ", {} failed", counts.failed);
    }
    if counts.skipped > 0 {
        let _ = write!(out, ", {} skipped", counts.skipped);
    }
    let broken = verification.suites.iter().filter(|suite| suite.error.is_some()).count();
    if broken > 0 {
        let _ = write!(out, ", {} could not be read", amount(broken, "suite"));
    }
    out.push('\n');
    out
}

fn render_suite(out: &mut String, suite: &SuiteResult, width: usize, verbose: bool) -> std::fmt::Result {
    let summary = match (&suite.error, suite.skipped) {
        (Some(_), _) => String::new(),
        (None, true) => "skipped".to_owned(),
        (None, false) => counted(suite),
    };
    writeln!(out, "{} {:<width$}  {summary}", word(suite.verdict(), "ok  ", "FAIL"), suite.file)?;
    if let Some(error) = &suite.error {
        writeln!(out, "     {error}")?;
    }
    suite.tests.iter().try_for_each(|test| render_test(out, test, verbose))
}

fn render_test(out: &mut String, test: &TestResult, verbose: bool) -> std::fmt::Result {
    let verdict = test.verdict();
    if verdict != Verdict::Fail && !verbose {
        return Ok(());
    }
    writeln!(out, "     {} {}", word(verdict, "pass", "fail"), named(&test.name))?;
    if let Some(error) = &test.error {
        writeln!(out, "            {error}")?;
    }
    test.cases.iter().try_for_each(|case| render_case(out, case, verbose))
}

fn render_case(out: &mut String, case: &CaseResult, verbose: bool) -> std::fmt::Result {
    if case.result == Verdict::Fail || verbose {
        writeln!(out, "       {} {}", word(case.result, "pass", "fail"), named(&case.name))?;
    }
    if case.message.is_empty() {
        return Ok(());
    }
    writeln!(out, "            {}", case.message)
}

fn amount(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

fn word(verdict: Verdict, pass: &str, fail: &str) -> String {
    let (color, text) = match verdict {
        Verdict::Pass => (AnsiColor::Green, pass),
        Verdict::Fail => (AnsiColor::Red, fail),
        Verdict::Skip => (AnsiColor::Yellow, "skip"),
    };
    let style = Style::new().fg_color(Some(color.into()));
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use portcullis_core::suite::{CaseResult, SuiteResult, TestResult, Verdict, Verification};

    use super::render;

    fn sample() -> Verification {
        let case = |name: &str, result, message: &str| CaseResult {
            name: name.to_owned(),
            result,
            message: message.to_owned(),
            span: portcullis_core::problem::Span::default(),
        };
        let test = |name: &str, error: Option<&str>, cases| TestResult {
            name: name.to_owned(),
            error: error.map(str::to_owned),
            unsupported: false,
            skipped: false,
            cases,
            span: portcullis_core::problem::Span::default(),
        };
        let mut good = SuiteResult::new("labels/suite.yaml");
        good.tests.push(test(
            "owner",
            None,
            vec![case("there", Verdict::Pass, ""), case("later", Verdict::Skip, "")],
        ));
        let mut bad = SuiteResult::new("limits/long-name/suite.yaml");
        bad.tests.push(test(
            "limits",
            None,
            vec![
                case("there", Verdict::Pass, ""),
                case("missing", Verdict::Fail, "expected at least 1 violation, found none"),
            ],
        ));
        bad.tests.push(test("bounds", Some("limits/absent.yaml: no such file"), Vec::new()));
        let mut broken = SuiteResult::new("x.yaml");
        broken.error = Some("line 3: expected a list, found `a`".to_owned());
        Verification { suites: vec![good, bad, broken] }
    }

    #[test]
    fn failures_stand_below_their_suite() {
        assert_eq!(
            anstream::adapter::strip_str(&render(&sample(), false)).to_string(),
            "\
ok   labels/suite.yaml            2 cases, 1 skipped
FAIL limits/long-name/suite.yaml  2 of 3 cases failed
     fail limits
       fail missing
            expected at least 1 violation, found none
     fail bounds
            limits/absent.yaml: no such file
FAIL x.yaml                       \n     line 3: expected a list, found `a`

FAIL 4 cases in 3 suites, 2 failed, 1 skipped, 1 suite could not be read
"
        );
    }

    #[test]
    fn verbose_lists_every_case() {
        let text = anstream::adapter::strip_str(&render(&sample(), true)).to_string();
        for line in ["     pass owner", "       pass there", "       skip later", "     fail limits"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
