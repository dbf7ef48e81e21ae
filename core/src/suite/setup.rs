//! The template and the constraint of a test, made ready to judge, and what must not fit together.

use serde_json::Value;

use super::{Files, paths::beside, read::Test};
use crate::{
    document::{Limits, Node, yaml},
    policy::{CompiledTemplate, ConstraintSpec, ParameterSchema, TemplateSpec, compile},
    problem::Severity,
    scope::Match,
};

/// A test ready to run.
pub(super) struct Bench {
    /// The template.
    pub template: CompiledTemplate,
    /// What the constraint is about.
    pub rule: Match,
    /// `input.parameters`.
    pub parameters: Value,
    /// Whether gator enforces the constraint at all: a scoped one may leave it out.
    pub enforced: bool,
}

/// Why a test is not ready.
pub(super) enum Fault {
    /// The constraint does not fit the schema: what `invalid: true` expects.
    Schema(String),
    /// Anything else.
    Other(String),
}

impl Fault {
    pub fn message(self) -> String {
        match self {
            Self::Schema(message) | Self::Other(message) => message,
        }
    }
}

/// Reads and checks what gator would read and check before the first case.
pub(super) fn bench(files: Files<'_>, suite_path: &str, test: &Test) -> Result<Bench, Fault> {
    if test.template.is_empty() {
        return Err(Fault::Other("the test names no template".to_owned()));
    }
    let path = beside(suite_path, &test.template);
    let template = first_document(files, &path).map_err(Fault::Other)?.to_json();
    let other = |path: &str, message: &str| Fault::Other(format!("{path}: {message}"));
    let spec = TemplateSpec::from_json(&template).map_err(|error| other(&path, &error.message))?;
    let schema = ParameterSchema::new(&spec).map_err(|error| other(&path, &error.message))?;
    let compiled = compile(&spec).map_err(|problems| {
        let first = problems
            .first()
            .map_or(String::new(), |p| format!(": {} (line {} of the Rego)", p.message, p.line));
        other(&path, &format!("the template does not compile{first}"))
    })?;

    if test.constraint.is_empty() {
        return Err(Fault::Other("the test names no constraint".to_owned()));
    }
    let path = beside(suite_path, &test.constraint);
    let document = first_document(files, &path).map_err(Fault::Other)?.to_json();
    let constraint = ConstraintSpec::from_json(&document).map_err(|error| {
        let message = format!("{path}: {}", error.message);
        if breaks_schema(&error.pointer, &document) { Fault::Schema(message) } else { Fault::Other(message) }
    })?;
    if constraint.id.kind != spec.kind {
        return Err(other(&path, &format!("expected a {}, found a {}", spec.kind, constraint.id.kind)));
    }
    let (rule, problems) = Match::parse(&constraint.match_spec);
    if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
        let message = format!("{path}: spec.match{}: {}", problem.pointer, problem.message);
        // The selectors are checked on their own, and unknown fields after the schema.
        return Err(match problem.code {
            "PC0230" | "PC0232" => Fault::Other(message),
            _ => Fault::Schema(message),
        });
    }
    let parameters = schema.default_and_prune(&constraint.parameters);
    // What the schema does not know is refused too, but not by the schema. Parameters that are not there
    // at all are let through, whatever is required of them.
    for (value, in_schema) in [(&parameters, true), (&constraint.parameters, false)] {
        if constraint.parameters.is_null() {
            break;
        }
        if let Some(mismatch) = schema.check(value).first() {
            let message = format!("{path}: spec.parameters{}: {}", mismatch.pointer, mismatch.message);
            return Err(if in_schema { Fault::Schema(message) } else { Fault::Other(message) });
        }
    }
    Ok(Bench { template: compiled, rule, parameters, enforced: gator_enforces(&document) })
}

/// The first document of a file; gator looks no further in templates and constraints.
pub(super) fn first_document(files: Files<'_>, path: &str) -> Result<Node, String> {
    documents(files, path)?.into_iter().next().ok_or_else(|| format!("{path}: the file holds no object"))
}

/// All documents of a file.
pub(super) fn documents(files: Files<'_>, path: &str) -> Result<Vec<Node>, String> {
    let bytes = files(path).ok_or_else(|| format!("{path}: no such file"))?;
    yaml::read(&bytes, &Limits::default())
        .map_err(|error| format!("{path}:{}:{}: {}", error.span.line, error.span.column, error.message))
}

/// Whether a constraint that cannot be understood is one that its CRD's schema refuses: by the types of
/// its fields, or by a name of more than 63 characters.
fn breaks_schema(pointer: &str, document: &Value) -> bool {
    match pointer {
        "/spec/match" | "/spec/parameters" | "/spec/scopedEnforcementActions" => true,
        "/spec/enforcementAction" => {
            document.pointer(pointer).is_some_and(|value| !value.is_string() && !value.is_null())
        }
        "/metadata/name" => document.pointer(pointer).and_then(Value::as_str).is_some_and(|n| n.len() > 63),
        _ => false,
    }
}

fn gator_enforces(constraint: &Value) -> bool {
    if constraint.pointer("/spec/enforcementAction").and_then(Value::as_str) != Some("scoped") {
        return true;
    }
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let spec = constraint.get("spec").unwrap_or(&Value::Null);
    list(spec, "scopedEnforcementActions")
        .iter()
        .flat_map(|action| list(action, "enforcementPoints"))
        .any(|point| matches!(point.get("name").and_then(Value::as_str), Some("gator.gatekeeper.sh" | "*")))
}
