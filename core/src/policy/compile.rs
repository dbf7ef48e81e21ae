//! From a template to something that judges.

use std::{num::NonZeroU32, sync::Arc, sync::atomic::AtomicI64};

use regorus::{Engine, utils::limits::ExecutionTimerConfig};

use super::{
    auditability::{Auditability, auditability},
    evaluate::{EvaluationLimits, Evaluator},
    template::{RegoVersion, TemplateSpec},
};

/// One thing that is wrong with a Rego module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegoProblem {
    /// JSON pointer of the module's text in the template.
    pub pointer: String,
    /// Line in that text, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters to underline, at least 1.
    pub length: u32,
    /// Stable code, `PC0104` and `PC0110` to `PC0117`.
    pub code: &'static str,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A template whose Rego is known to work. Cheap to share between threads.
#[derive(Clone)]
pub struct CompiledTemplate {
    /// What was compiled.
    pub spec: Arc<TemplateSpec>,
    /// Whether the audit can judge by it.
    pub auditability: Auditability,
    /// The prepared engine; `None` where the template has no Rego.
    engine: Option<Arc<Engine>>,
}

impl std::fmt::Debug for CompiledTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledTemplate")
            .field("spec", &self.spec)
            .field("auditability", &self.auditability)
            .finish_non_exhaustive()
    }
}

impl CompiledTemplate {
    /// An evaluator for one worker.
    pub fn evaluator(&self, limits: &EvaluationLimits) -> Evaluator {
        let Some(engine) = &self.engine else { return Evaluator::without_rego() };
        let mut engine = Engine::clone(engine);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: limits.timeout,
            check_interval: NonZeroU32::MIN.saturating_add(63),
        });
        let now = Arc::new(AtomicI64::new(0));
        super::builtins::install_clock(&mut engine, now.clone());
        Evaluator::new(engine, now)
    }
}

/// Compiles the Rego of a template as Gatekeeper would, and refuses what would not be judged alike.
///
/// # Errors
/// Everything that is wrong with the modules, as far as it can be told at once.
pub fn compile(spec: &TemplateSpec) -> Result<CompiledTemplate, Vec<RegoProblem>> {
    let auditability = auditability(spec);
    let mut engine = None;
    if let Some(rego) = &spec.rego {
        let entry = super::mend::entry(&rego.entry.text).text;
        let mut new = Engine::new();
        new.set_rego_v0(rego.version == RegoVersion::V0);
        new.set_strict_builtin_errors(false);
        for module in std::iter::once(&rego.entry).chain(&rego.libs) {
            let text = if module.pointer == rego.entry.pointer { entry.clone() } else { module.text.clone() };
            if let Err(error) = new.add_policy(module.pointer.clone(), text) {
                return Err(vec![RegoProblem {
                    pointer: module.pointer.clone(),
                    line: 1,
                    column: 1,
                    length: 1,
                    code: "PC0104",
                    message: error.to_string(),
                    hint: None,
                }]);
            }
        }
        super::builtins::install(&mut new);
        engine = Some(Arc::new(new));
    }
    Ok(CompiledTemplate { spec: Arc::new(spec.clone()), auditability, engine })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::compile;
    use crate::policy::{EvaluationLimits, TemplateSpec};

    #[test]
    fn judges_an_object() {
        let template = TemplateSpec::from_json(&json!({
            "apiVersion": "templates.gatekeeper.sh/v1",
            "kind": "ConstraintTemplate",
            "metadata": {"name": "owned"},
            "spec": {
                "crd": {"spec": {"names": {"kind": "Owned"}}},
                "targets": [{
                    "target": "admission.k8s.gatekeeper.sh",
                    "rego": "package owned\nviolation[{\"msg\": msg}] {\n  not input.review.object.metadata.labels.owner\n  msg := \"no owner\"\n}\n",
                }],
            },
        }))
        .unwrap();
        let compiled = compile(&template).unwrap();
        let mut evaluator = compiled.evaluator(&EvaluationLimits { timeout: Duration::from_secs(1) });
        let mut judge = |labels: serde_json::Value| {
            let review = regorus::Value::from_json_str(
                &json!({"object": {"metadata": {"labels": labels}}}).to_string(),
            )
            .unwrap();
            evaluator.evaluate(&review, &regorus::Value::new_object(), jiff::Timestamp::UNIX_EPOCH).unwrap()
        };
        assert_eq!(judge(json!({"owner": "me"})), []);
        assert_eq!(
            judge(json!({})).first().map(|violation| violation.message.clone()).as_deref(),
            Some("no owner")
        );
    }
}
