//! Suites: tests of policies in gator's format, run with the results `gator verify` would give.
//!
//! Followed: `pkg/gator/verify` of Gatekeeper 3.23. What the engine cannot judge yet is an error of
//! the test, never a pass.

mod assertion;
mod filter;
mod paths;
mod read;
mod result;
mod review;
mod run;
mod setup;

use std::sync::Arc;

use jiff::Timestamp;

pub use assertion::{Assertion, Expected};
pub use filter::{Filter, FilterError};
pub use read::{Case, Suite, SuiteProblem, Test, is_suite};
pub use result::{CaseResult, Counts, SuiteResult, TestResult, Verdict, Verification};

use crate::{
    document::{Limits, yaml},
    policy::EvaluationLimits,
    problem::Severity,
};

/// Gives the content of a file by its path from the root; `None` where there is none.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<Arc<[u8]>>;

/// How suites are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What `time.now_ns` says.
    pub now: Timestamp,
    /// Which tests and cases; the others are skipped.
    pub filter: Filter,
    /// Bounds of one evaluation.
    pub limits: EvaluationLimits,
}

impl Settings {
    /// Everything, at this time.
    pub fn at(now: Timestamp) -> Self {
        Self { now, filter: Filter::default(), limits: EvaluationLimits::default() }
    }
}

/// Runs the Suite documents of a file. The files it names are taken relative to its folder. Errors are
/// part of the result: of the suite where it cannot be read, of a test where it cannot be run.
pub fn verify(files: Files<'_>, suite_path: &str, settings: &Settings) -> SuiteResult {
    let mut result = SuiteResult::new(suite_path);
    let Some(bytes) = files(suite_path) else {
        result.error = Some(format!("{suite_path}: no such file"));
        return result;
    };
    let documents = match yaml::read(&bytes, &Limits::default()) {
        Ok(documents) => documents,
        Err(error) => {
            result.span = error.span;
            result.error = Some(format!("line {}: {}", error.span.line, error.message));
            return result;
        }
    };
    let mut suites = documents.iter().filter(|document| is_suite(document)).peekable();
    if suites.peek().is_none() {
        result.error = Some("expected a Suite of test.gatekeeper.sh, found none".to_owned());
        return result;
    }
    result.skipped = true;
    for document in suites {
        let (suite, problems) = Suite::read(document);
        if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
            result.span = problem.span;
            result.error = Some(format!("line {}: {}", problem.span.line, problem.message));
            result.tests.clear();
            result.skipped = false;
            return result;
        }
        result.warnings.extend(problems);
        if !suite.skip {
            result.skipped = false;
            result.tests.extend(run::tests(files, suite_path, &suite, settings));
        }
    }
    result
}

#[cfg(test)]
mod tests;
