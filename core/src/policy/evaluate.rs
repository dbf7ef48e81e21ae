//! Judging one object by one template.

use std::{num::NonZeroU32, time::Duration};

use jiff::Timestamp;
use regorus::{Engine, Value, utils::limits::monotonic_now};

use super::{builtins::Shared, modules::brief};

/// The rule that is asked for.
pub(super) const ENTRY: &str = "data.template.violation";

/// The engine looks at the clock each so many steps.
pub(super) const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);

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
    shared: Shared,
    limits: EvaluationLimits,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Evaluator {
    pub(super) fn new(engine: Engine, shared: Shared, limits: EvaluationLimits) -> Self {
        Self { engine: Some(engine), shared, limits }
    }

    pub(super) fn without_rego() -> Self {
        Self { engine: None, shared: Shared::default(), limits: EvaluationLimits::default() }
    }

    /// The violations of one object, sorted by message. `review` is `input.review`, `parameters` is
    /// `input.parameters` after defaulting and pruning, `now` is what `time.now_ns` says.
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
        self.shared.begin(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX));
        let mut input = Value::new_object();
        let map = input.as_object_mut().map_err(|error| EvaluationError::new(error.to_string()))?;
        map.insert(Value::from("review"), review.clone());
        map.insert(Value::from("parameters"), parameters.clone());
        engine.set_input(input);
        let started = monotonic_now();
        let result = engine.eval_rule(ENTRY.to_owned());
        // Prints are gathered so that they go nowhere; they must not pile up.
        let _ = engine.take_prints();
        engine.set_input(Value::Null);
        // A function can swallow the engine's own time-out and go on with another body.
        let late = match (started, monotonic_now()) {
            (Some(started), Some(ended)) => ended.saturating_sub(started) > self.limits.timeout,
            _ => false,
        };
        if let (false, Some(trouble)) = (late, self.shared.trouble()) {
            return Err(EvaluationError::new(trouble));
        }
        match result {
            _ if late => Err(EvaluationError {
                message: format!("no verdict within {}", seconds(self.limits.timeout)),
                timed_out: true,
            }),
            Ok(result) => violations(&result),
            Err(error) => Err(EvaluationError::new(describe(&error.to_string()))),
        }
    }
}

fn seconds(duration: Duration) -> String {
    if duration.as_millis() < 1000 {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs_f64())
    }
}

/// The engine's message with the line it is about.
fn describe(message: &str) -> String {
    brief(message)
}

/// Values the details of one violation may hold; shared parts count each time they are written.
const MAX_DETAILS: usize = 100_000;

fn to_json(value: &Value, budget: &mut usize) -> Option<serde_json::Value> {
    *budget = budget.checked_sub(1)?;
    Some(match value {
        Value::Array(items) => {
            items.iter().map(|item| to_json(item, budget)).collect::<Option<Vec<_>>>()?.into()
        }
        Value::Set(items) => {
            items.iter().map(|item| to_json(item, budget)).collect::<Option<Vec<_>>>()?.into()
        }
        Value::Object(fields) => {
            let mut map = serde_json::Map::new();
            for (key, value) in fields.iter_sorted() {
                let key = match key {
                    Value::String(text) => text.to_string(),
                    other => to_json(other, budget)?.to_string(),
                };
                map.insert(key, to_json(value, budget)?);
            }
            map.into()
        }
        scalar => serde_json::to_value(scalar).ok()?,
    })
}

/// What the rule made, as Gatekeeper reads it: a set of objects with `msg`. What has none is no
/// violation; one that is no text is an error.
fn violations(result: &Value) -> Result<Vec<Violation>, EvaluationError> {
    let items: Vec<&Value> = match result {
        Value::Set(set) => set.iter().collect(),
        // Of a mapping Gatekeeper takes the keys.
        Value::Object(map) => map.iter_sorted().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    };
    let mut violations = Vec::new();
    for item in items {
        if !matches!(item, Value::Object(_)) {
            continue;
        }
        let message = match &item["msg"] {
            Value::Undefined => continue,
            Value::String(text) => text.to_string(),
            other => {
                return Err(EvaluationError::new(format!(
                    "expected a text as msg of a violation, found {other}"
                )));
            }
        };
        let details = match &item["details"] {
            Value::Undefined => serde_json::Value::Object(serde_json::Map::new()),
            details => {
                let mut budget = MAX_DETAILS;
                to_json(details, &mut budget)
                    .ok_or_else(|| EvaluationError::new("the details of a violation are too large"))?
            }
        };
        violations.push(Violation { message, details });
    }
    violations.sort_by_cached_key(|violation| (violation.message.clone(), violation.details.to_string()));
    Ok(violations)
}
