//! Judging one object by one template.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use regorus::{Engine, Value};

/// How long one evaluation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationLimits {
    /// Wall-clock time of one evaluation.
    pub timeout: Duration,
}

impl Default for EvaluationLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5) }
    }
}

/// One violation, as the policy reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// `msg`.
    pub message: String,
    /// `details`, `{}` where it has none.
    pub details: serde_json::Value,
}

/// A policy that did not come to a verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /// Why, for people.
    pub message: String,
    /// Whether the time was up.
    pub timed_out: bool,
}

impl EvaluationError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), timed_out: false }
    }
}

/// An engine of one worker for one template. Stays usable after an error.
pub struct Evaluator {
    engine: Option<Engine>,
    now: Arc<AtomicI64>,
}

impl Evaluator {
    pub(super) fn new(engine: Engine, now: Arc<AtomicI64>) -> Self {
        Self { engine: Some(engine), now }
    }

    pub(super) fn without_rego() -> Self {
        Self { engine: None, now: Arc::default() }
    }

    /// The violations of one object, sorted. `review` is `input.review`, `parameters` is
    /// `input.parameters` after defaulting and pruning, `now` what `time.now_ns` says.
    ///
    /// # Errors
    /// Where the policy fails, runs out of time, reports something that is no violation, or has no Rego.
    pub fn evaluate(
        &mut self,
        review: &Value,
        parameters: &Value,
        now: Timestamp,
    ) -> Result<Vec<Violation>, EvaluationError> {
        let Some(engine) = &mut self.engine else {
            return Err(EvaluationError::new("the template is written in CEL alone"));
        };
        self.now.store(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX), Ordering::Relaxed);
        let mut input = Value::new_object();
        let map = input.as_object_mut().map_err(|error| EvaluationError::new(error.to_string()))?;
        map.insert(Value::from("review"), review.clone());
        map.insert(Value::from("parameters"), parameters.clone());
        engine.set_input(input);
        let result = engine
            .eval_rule("data.template.violation".to_owned())
            .map_err(|error| EvaluationError::new(error.to_string()))?;
        violations(&result)
    }
}

fn violations(result: &Value) -> Result<Vec<Violation>, EvaluationError> {
    let Value::Set(set) = result else { return Ok(Vec::new()) };
    let mut violations = Vec::new();
    for item in set.iter() {
        let message = match &item["msg"] {
            Value::Undefined => continue,
            Value::String(text) => text.to_string(),
            other => return Err(EvaluationError::new(format!("msg is no string: {other}"))),
        };
        let details = match &item["details"] {
            Value::Undefined => serde_json::Value::Object(serde_json::Map::new()),
            details => {
                serde_json::to_value(details).map_err(|error| EvaluationError::new(error.to_string()))?
            }
        };
        violations.push(Violation { message, details });
    }
    violations.sort_by_cached_key(|violation| (violation.message.clone(), violation.details.to_string()));
    Ok(violations)
}
