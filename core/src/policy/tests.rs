//! Policies as a whole: verdicts pinned from OPA and Gatekeeper, what is refused, what is bounded.

mod bounds;
mod hashes;
mod numbers;
mod problems;
mod reading;
mod verdicts;
mod walked;

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    CompiledTemplate, EvaluationError, EvaluationLimits, RegoProblem, TemplateSpec, Violation, compile,
};

/// A template with these modules, the first of which is the entry.
fn template(modules: &[&str], version: &str) -> TemplateSpec {
    TemplateSpec::from_json(&json!({
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": "tee"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "Tee"}}},
            "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "code": [{
                    "engine": "Rego",
                    "source": {"version": version, "rego": modules[0], "libs": modules[1..]},
                }],
            }],
        },
    }))
    .unwrap()
}

fn compiled(rego: &str) -> Result<CompiledTemplate, Vec<RegoProblem>> {
    compile(&template(&[rego], "v0"))
}

fn evaluate(
    compiled: &CompiledTemplate,
    review: &Value,
    parameters: &Value,
    timeout: Duration,
) -> Result<Vec<Violation>, EvaluationError> {
    let engine_value = |value: &Value| regorus::Value::from_json_str(&value.to_string()).unwrap();
    compiled.evaluator(&EvaluationLimits { timeout }).evaluate(
        &engine_value(review),
        &engine_value(parameters),
        jiff::Timestamp::UNIX_EPOCH,
    )
}

/// Codes, places and messages, for comparisons.
fn shown(problems: &[RegoProblem]) -> Vec<String> {
    problems
        .iter()
        .map(|p| format!("{}:{}+{} {} {}", p.line, p.column, p.length, p.code, p.message))
        .collect()
}
