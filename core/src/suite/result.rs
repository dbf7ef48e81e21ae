//! What came of running suites; the JSON form is the one of `portcullis verify -o json`.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::read::SuiteProblem;
use crate::problem::{Problem, Severity, Span};

/// How a test or a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Not as expected, or it could not be run.
    Fail,
    /// Not run.
    Skip,
}

/// The results of several suites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// One for each file with suites.
    pub suites: Vec<SuiteResult>,
}

/// The result of the suites of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuiteResult {
    /// Path of the file, as given.
    pub file: String,
    /// Why the suite could not be run; there are no tests then.
    pub error: Option<String>,
    /// Whether the suite says to skip it.
    pub skipped: bool,
    /// In the order written.
    pub tests: Vec<TestResult>,
    /// Where `error` is, for [`SuiteResult::problems`].
    #[serde(skip)]
    pub span: Span,
    /// What is wrong with the suite and does not stop it, for [`SuiteResult::problems`].
    #[serde(skip)]
    pub warnings: Vec<SuiteProblem>,
}

/// The result of a template, a constraint and their cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// As written.
    pub name: String,
    /// Why its cases could not be run; there are none then.
    pub error: Option<String>,
    /// Whether `error` is that this version cannot judge what the test asks.
    pub unsupported: bool,
    /// Whether it was not to be run.
    pub skipped: bool,
    /// In the order written.
    pub cases: Vec<CaseResult>,
    /// Where the test stands.
    pub span: Span,
}

/// The result of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// As written.
    pub name: String,
    /// How it ended.
    pub result: Verdict,
    /// Why it failed; empty otherwise.
    pub message: String,
    /// Where the case stands.
    #[serde(skip)]
    pub span: Span,
}

impl SuiteResult {
    /// A suite without tests.
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            error: None,
            skipped: false,
            tests: Vec::new(),
            span: Span { line: 1, column: 1, length: 1 },
            warnings: Vec::new(),
        }
    }

    /// How it ended: it fails where any of its tests does.
    pub fn verdict(&self) -> Verdict {
        if self.error.is_some() || self.tests.iter().any(|test| test.verdict() == Verdict::Fail) {
            Verdict::Fail
        } else if self.skipped {
            Verdict::Skip
        } else {
            Verdict::Pass
        }
    }

    /// How many cases passed, failed and were skipped. A test that could not be run counts as a failed
    /// case, and one without cases (`invalid: true`) as a case of its own.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for test in &self.tests {
            if test.cases.is_empty() {
                counts.add(test.verdict());
            }
            for case in &test.cases {
                counts.add(case.result);
            }
        }
        counts
    }

    /// What failed, as errors at the suite, test or case concerned (`PC0401`); what cannot be judged here
    /// yet, which says nothing against the policy, as warnings; and what looks like a mistake in the
    /// suite, as warnings of their own (`PC0403`).
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |span: Span, message: String| Problem {
            file: self.file.clone(),
            span,
            severity: Severity::Error,
            code: "PC0401",
            message,
            hint: None,
        };
        let mut problems: Vec<Problem> = self
            .warnings
            .iter()
            .map(|warning| Problem {
                severity: Severity::Warning,
                code: "PC0403",
                hint: warning.hint.clone(),
                ..problem(warning.span, warning.message.clone())
            })
            .collect();
        if let Some(error) = &self.error {
            problems.push(problem(self.span, format!("the suite cannot be run: {error}")));
        }
        for test in &self.tests {
            match &test.error {
                Some(error) if test.unsupported => problems.push(Problem {
                    severity: Severity::Warning,
                    ..problem(test.span, format!("test `{}` was not run: {error}", test.name))
                }),
                Some(error) => {
                    problems.push(problem(test.span, format!("test `{}` fails: {error}", test.name)));
                }
                None => {}
            }
            for case in test.cases.iter().filter(|case| case.result == Verdict::Fail) {
                let what = format!("case `{}` of test `{}` fails: {}", case.name, test.name, case.message);
                problems.push(problem(case.span, what));
            }
        }
        problems
    }
}

impl TestResult {
    /// How it ended: it fails where it could not be run or any of its cases fails.
    pub fn verdict(&self) -> Verdict {
        if self.error.is_some() || self.cases.iter().any(|case| case.result == Verdict::Fail) {
            Verdict::Fail
        } else if self.skipped {
            Verdict::Skip
        } else {
            Verdict::Pass
        }
    }
}

impl Serialize for TestResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("TestResult", 5)?;
        map.serialize_field("name", &self.name)?;
        map.serialize_field("result", &self.verdict())?;
        map.serialize_field("error", &self.error)?;
        map.serialize_field("skipped", &self.skipped)?;
        map.serialize_field("cases", &self.cases)?;
        map.end()
    }
}

/// Numbers of cases by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail => self.failed += 1,
            Verdict::Skip => self.skipped += 1,
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, next| Self {
            passed: sum.passed + next.passed,
            failed: sum.failed + next.failed,
            skipped: sum.skipped + next.skipped,
        })
    }
}

impl Verification {
    /// The cases of all suites.
    pub fn counts(&self) -> Counts {
        self.suites.iter().map(SuiteResult::counts).sum()
    }
}
