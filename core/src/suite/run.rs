//! Running the tests of a suite.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Files, Settings,
    paths::beside,
    read::{Case, Suite, Test},
    result::{CaseResult, TestResult, Verdict},
    review::{Review, labels_of},
    setup::{Bench, Fault, bench, documents},
};
use crate::{
    audit::engine_value,
    policy::{Auditability, EvaluationError, Evaluator, TemplateSpec, Violation},
    scope::{Labels, MatchError},
};

/// The tests of a suite, in the order written.
pub(super) fn tests(
    files: Files<'_>,
    suite_path: &str,
    suite: &Suite,
    settings: &Settings,
) -> Vec<TestResult> {
    suite.tests.iter().map(|test| run_test(files, suite_path, test, settings)).collect()
}

fn run_test(files: Files<'_>, suite_path: &str, test: &Test, settings: &Settings) -> TestResult {
    let mut result = TestResult {
        name: test.name.clone(),
        error: None,
        unsupported: false,
        skipped: false,
        cases: Vec::new(),
        span: test.span,
    };
    if test.skip || !settings.filter.takes_test(test) {
        result.skipped = true;
        return result;
    }
    match (bench(files, suite_path, test), test.invalid) {
        (Err(Fault::Schema(_)), true) => {}
        (Err(Fault::Other(found)), true) => {
            result.error =
                Some(format!("expected the constraint to break the schema of its template, found: {found}"));
        }
        (Ok(_), true) => {
            result.error = Some(
                "expected the constraint to break the schema of its template, but it is valid".to_owned(),
            );
        }
        (Err(fault), false) => result.error = Some(fault.message()),
        (Ok(bench), false) => match unsupported(&bench.template.spec, &bench.template.auditability, test) {
            Some(why) => {
                result.error = Some(format!("not supported yet: {why}"));
                result.unsupported = true;
            }
            None => result.cases = run_cases(files, suite_path, test, &bench, settings),
        },
    }
    result
}

/// What this test asks that cannot be judged here yet; passing it would say more than is known.
fn unsupported(spec: &TemplateSpec, auditability: &Auditability, test: &Test) -> Option<String> {
    if !test.expansion.is_empty() {
        return Some("the test expands its objects by an ExpansionTemplate".to_owned());
    }
    if spec.cel.is_some() {
        return Some(format!("the template {} is written in CEL", spec.name));
    }
    match auditability {
        Auditability::NotYet { reasons } if reasons.iter().any(|reason| reason.contains("inventory")) => {
            Some(format!("the template {} asks for other objects (data.inventory)", spec.name))
        }
        _ => None,
    }
}

fn run_cases(
    files: Files<'_>,
    suite_path: &str,
    test: &Test,
    bench: &Bench,
    settings: &Settings,
) -> Vec<CaseResult> {
    let mut evaluator = bench.template.evaluator(&settings.limits);
    test.cases
        .iter()
        .map(|case| {
            let (result, message) = if case.skip || !settings.filter.takes_case(&test.name, &case.name) {
                (Verdict::Skip, String::new())
            } else {
                match run_case(files, suite_path, case, bench, &mut evaluator, settings) {
                    Ok(()) => (Verdict::Pass, String::new()),
                    Err(message) => (Verdict::Fail, message),
                }
            };
            CaseResult { name: case.name.clone(), result, message, span: case.span }
        })
        .collect()
}

fn run_case(
    files: Files<'_>,
    suite_path: &str,
    case: &Case,
    bench: &Bench,
    evaluator: &mut Evaluator,
    settings: &Settings,
) -> Result<(), String> {
    if case.object.is_empty() {
        return Err("the case names no object".to_owned());
    }
    if case.assertions.is_empty() {
        return Err("the case has no assertions: expected at least one".to_owned());
    }
    let path = beside(suite_path, &case.object);
    let objects = documents(files, &path)?;
    let [object] = objects.as_slice() else {
        return Err(format!("{path}: expected exactly one object, found {}", objects.len()));
    };
    let namespaces = namespaces(files, suite_path, &case.inventory)?;
    let review = Review::new(&object.to_json()).map_err(|message| format!("{path}: {message}"))?;
    let violations = judge(&review, &namespaces, bench, evaluator, settings)?;
    case.assertions.iter().try_for_each(|assertion| assertion.check(&violations))
}

/// The violations gator would count: what the policy reports, and errors of match and policy, which
/// refuse the object with the error as message.
fn judge(
    review: &Review,
    namespaces: &BTreeMap<String, Labels>,
    bench: &Bench,
    evaluator: &mut Evaluator,
    settings: &Settings,
) -> Result<Vec<Violation>, String> {
    if !bench.enforced {
        return Ok(Vec::new());
    }
    let refusal = |message: String| vec![Violation { message, details: json!({}) }];
    match review.matches(&bench.rule, |name| namespaces.get(name)) {
        Ok(false) => return Ok(Vec::new()),
        Ok(true) => {}
        Err((name, MatchError::UnknownNamespace(_))) => {
            // In gator's words, since suites match on them.
            return Ok(refusal(format!(
                "unable to match constraints: error matching the requested object: {name} :failed to run \
                 Match criteria: namespace selector for namespace-scoped object but missing Namespace"
            )));
        }
    }
    let (input, parameters) = (engine_value(&review.input), engine_value(&bench.parameters));
    match evaluator.evaluate(&input, &parameters, settings.now) {
        Ok(violations) => Ok(violations),
        Err(EvaluationError { message, timed_out: true }) => Err(message),
        Err(error) => Ok(refusal(error.message)),
    }
}

/// The labels of the Namespaces in the inventory, by name.
fn namespaces(
    files: Files<'_>,
    suite_path: &str,
    inventory: &[String],
) -> Result<BTreeMap<String, Labels>, String> {
    let mut namespaces = BTreeMap::new();
    for path in inventory {
        let path = beside(suite_path, path);
        let objects = documents(files, &path)?;
        if objects.is_empty() {
            return Err(format!("{path}: the file holds no object"));
        }
        for object in objects {
            let object = object.to_json();
            let text = |pointer: &str| object.pointer(pointer).and_then(serde_json::Value::as_str);
            match (text("/apiVersion"), text("/kind"), text("/metadata/name")) {
                (None | Some(""), ..) | (_, None | Some(""), _) => {
                    return Err(format!("{path}: expected an object with apiVersion and kind"));
                }
                (Some("v1"), Some("Namespace"), Some(name)) => {
                    namespaces.insert(name.to_owned(), labels_of(&object));
                }
                _ => {}
            }
        }
    }
    Ok(namespaces)
}
