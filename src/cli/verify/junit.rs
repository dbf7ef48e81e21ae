//! Results as JUnit XML: a testsuite a test, since that is what build servers group by.

use std::fmt::Write as _;

use portcullis_core::suite::{SuiteResult, TestResult, Verdict, Verification};

use super::named;

/// The document.
pub(super) fn render(verification: &Verification) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in &verification.suites {
        if let Some(error) = &suite.error {
            open(&mut out, &suite.file, 1, 0, 1, 0);
            broken_case(&mut out, &suite.file, &suite.file, error);
            out.push_str("  </testsuite>\n");
        }
        for test in &suite.tests {
            render_test(&mut out, suite, test);
        }
    }
    out.push_str("</testsuites>\n");
    out
}

fn render_test(out: &mut String, suite: &SuiteResult, test: &TestResult) {
    let name = format!("{}: {}", suite.file, named(&test.name));
    let count = |verdict| test.cases.iter().filter(|case| case.result == verdict).count();
    if test.cases.is_empty() {
        let (error, skip) = (usize::from(test.error.is_some()), usize::from(test.skipped));
        open(out, &name, 1, 0, error, skip);
        match (&test.error, test.skipped) {
            (Some(error), _) => broken_case(out, &name, named(&test.name), error),
            (None, skipped) => case(out, &name, named(&test.name), if skipped { "<skipped/>" } else { "" }),
        }
    } else {
        open(out, &name, test.cases.len(), count(Verdict::Fail), 0, count(Verdict::Skip));
        for result in &test.cases {
            let body = match result.result {
                Verdict::Pass => String::new(),
                Verdict::Skip => "<skipped/>".to_owned(),
                Verdict::Fail => format!("<failure message=\"{}\"/>", escaped(&result.message)),
            };
            case(out, &name, named(&result.name), &body);
        }
    }
    out.push_str("  </testsuite>\n");
}

fn open(out: &mut String, name: &str, tests: usize, failures: usize, errors: usize, skipped: usize) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">",
        escaped(name)
    );
}

fn broken_case(out: &mut String, class: &str, name: &str, error: &str) {
    case(out, class, name, &format!("<error message=\"{}\"/>", escaped(error)));
}

fn case(out: &mut String, class: &str, name: &str, body: &str) {
    let _ = writeln!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\">{body}</testcase>",
        escaped(class),
        escaped(name)
    );
}

/// Text for an attribute; characters that XML 1.0 has no place for are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            character if character < ' ' || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_is_safe_in_an_attribute() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}");
    }
}
