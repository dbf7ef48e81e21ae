//! From a template to something that judges.

use std::{num::NonZeroUsize, sync::Arc};

use regorus::{
    Engine, PolicyLengthConfig, Value,
    unstable::{Expr, Rule, RuleHead, Span},
    utils::limits::ExecutionTimerConfig,
};

use super::{
    auditability::{Auditability, auditability},
    bounds,
    builtins::{self, Shared},
    calls,
    edits::Edited,
    evaluate::{CHECK_INTERVAL, ENTRY, EvaluationLimits, Evaluator},
    modules::{self, Parsed, engine_problem},
    template::{RegoSource, RegoVersion, TemplateSpec},
    uses::uses,
    walk::rule_ref,
    whole::reads_whole_request,
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
    /// Stable code: `PC0104` it does not compile, `PC0110` no `violation`, `PC0111` a library's package,
    /// `PC0112` foreign data, `PC0113` recursion, `PC0114` a function, `PC0115` `sprintf`,
    /// `PC0116` too large, `PC0117` not supported.
    pub code: &'static str,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A template whose Rego is known to work. Cheap to clone and to share between threads.
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
            check_interval: CHECK_INTERVAL,
        });
        let shared = Shared::default();
        builtins::install(&mut engine, &shared);
        Evaluator::new(engine, shared, *limits)
    }
}

/// The stack of the thread that compiles; the bounds keep what is compiled far below it.
const STACK: usize = 64 << 20;

/// Compiles the Rego of a template as Gatekeeper would, and refuses what would not be judged alike.
///
/// # Errors
/// Everything that is wrong with the modules, as far as it can be told at once.
pub fn compile(spec: &TemplateSpec) -> Result<CompiledTemplate, Vec<RegoProblem>> {
    let (engine, whole) = match &spec.rego {
        None => (None, false),
        Some(rego) => {
            let (engine, whole) = on_a_deep_stack(rego)?;
            (Some(Arc::new(engine)), whole)
        }
    };
    Ok(CompiledTemplate { spec: Arc::new(spec.clone()), auditability: auditability(spec, whole), engine })
}

/// The engine, and whether the modules read the request as a whole.
fn on_a_deep_stack(rego: &RegoSource) -> Result<(Engine, bool), Vec<RegoProblem>> {
    let failed = |why: &str| {
        vec![RegoProblem {
            pointer: rego.entry.pointer.clone(),
            line: 1,
            column: 1,
            length: 1,
            code: "PC0104",
            message: why.to_owned(),
            hint: None,
        }]
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || compile_modules(rego));
        match thread {
            Ok(thread) => {
                thread.join().unwrap_or_else(|_| Err(failed("the policy engine failed on this module")))
            }
            Err(_) => Err(failed("no thread could be started to compile this module")),
        }
    })
}

fn compile_modules(rego: &RegoSource) -> Result<(Engine, bool), Vec<RegoProblem>> {
    let mut problems = Vec::new();
    let mut parsed: Vec<Parsed<'_>> = Vec::new();
    for (index, module) in std::iter::once(&rego.entry).chain(&rego.libs).enumerate() {
        match modules::parse(module, rego.version, index == 0) {
            Ok(module) => parsed.push(module),
            Err(found) => problems.extend(found),
        }
    }
    if let Some(entry) = parsed.first().filter(|entry| entry.module.pointer == rego.entry.pointer) {
        problems.extend(check_violation(entry));
    }
    // What a broken module defines is unknown, so what others call in it cannot be told.
    if !problems.is_empty() {
        return Err(sorted(problems));
    }
    problems.extend(calls::check_imports(&parsed));
    let paths = calls::rule_paths(&parsed);
    let uses: Vec<_> = parsed.iter().map(|module| uses(module, &paths)).collect();
    problems.extend(calls::check_calls(&parsed, &uses, rego.version));
    let mut texts = Vec::new();
    for (module, uses) in parsed.iter().zip(uses) {
        problems.extend(uses.problems);
        texts.push(Edited::new(&module.edited.text, uses.edits));
    }
    if !problems.is_empty() {
        return Err(sorted(problems));
    }
    Ok((prepare(rego, &parsed, &texts)?, reads_whole_request(&parsed)))
}

/// The entry module has `violation`, and it looks like `violation[{"msg": msg}]`.
fn check_violation(entry: &Parsed<'_>) -> Vec<RegoProblem> {
    const HINT: &str =
        "Gatekeeper asks for violation[{\"msg\": msg}], or for violation contains {\"msg\": msg}";
    let problem = |span: &Span, message: &str| {
        let mut problem = entry.problem(span.start as usize..span.end as usize, "PC0110", message);
        problem.hint = Some(HINT.to_owned());
        problem
    };
    let mut found = false;
    let mut problems = Vec::new();
    for rule in &entry.tree.policy {
        if entry.rule_path(rule).get(2).map(String::as_str) != Some("violation") {
            continue;
        }
        found = true;
        let span = rule_ref(rule).span();
        match rule.as_ref() {
            Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, .. } => match key.as_ref() {
                Expr::Object { fields, .. } => {
                    let has_msg = fields.iter().any(|(_, key, _)| match key.as_ref() {
                        Expr::String { value, .. } | Expr::RawString { value, .. } => {
                            value.as_string().is_ok_and(|key| key.as_ref() == "msg")
                        }
                        // A computed key may be anything.
                        _ => true,
                    });
                    if !has_msg {
                        problems.push(problem(span, "`violation` has no msg"));
                    }
                }
                Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } => {
                    problems.push(problem(span, "expected an object with msg as what `violation` holds"));
                }
                _ => {}
            },
            Rule::Spec { head: RuleHead::Func { .. }, .. } => {
                problems.push(problem(span, "`violation` is a function: expected a set"));
            }
            Rule::Spec { head: RuleHead::Compr { assign: None, refr, .. }, .. }
                if matches!(refr.as_ref(), Expr::Var { .. }) =>
            {
                problems.push(problem(span, "`violation` is true or false: expected a set"));
            }
            _ => {}
        }
    }
    if !found {
        problems.push(problem(&entry.tree.package.span, "there is no rule `violation`"));
    }
    problems
}

fn sorted(mut problems: Vec<RegoProblem>) -> Vec<RegoProblem> {
    problems.sort();
    problems.dedup();
    problems
}

/// Loads the mended modules into an engine and lets it analyse them.
fn prepare(rego: &RegoSource, parsed: &[Parsed<'_>], texts: &[Edited]) -> Result<Engine, Vec<RegoProblem>> {
    let mut engine = Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: modules::MAX_COLUMN,
        max_file_bytes: NonZeroUsize::MIN.saturating_add(16 * bounds::MAX_BYTES),
        max_lines: NonZeroUsize::MIN.saturating_add(16 * bounds::MAX_BYTES),
    });
    engine.set_rego_v0(rego.version == RegoVersion::V0);
    engine.set_strict_builtin_errors(false);
    // What a policy prints goes nowhere, as in Gatekeeper.
    engine.set_gather_prints(true);
    let report = |message: &str| {
        let module =
            parsed.iter().find(|module| message.contains(&format!("--> {}:", module.module.pointer)));
        let index = module
            .and_then(|module| parsed.iter().position(|other| std::ptr::eq(other, module)))
            .unwrap_or(0);
        match (parsed.get(index), texts.get(index)) {
            (Some(module), Some(text)) => {
                // First to the text that was parsed, then to the one that was written.
                let mut problem = engine_problem(module.module, text, message);
                (problem.line, problem.column) = module.edited.original_place(problem.line, problem.column);
                vec![problem]
            }
            _ => Vec::new(),
        }
    };
    for (module, text) in parsed.iter().zip(texts) {
        engine
            .add_policy(module.module.pointer.clone(), text.text.clone())
            .map_err(|error| report(&error.to_string()))?;
    }
    engine.add_data(inventory()).map_err(|error| report(&error.to_string()))?;
    engine.compile_with_entrypoint(&ENTRY.into()).map_err(|error| report(&error.to_string()))?;
    Ok(engine)
}

/// `data.inventory` is always there, and empty.
fn inventory() -> Value {
    let mut data = Value::new_object();
    if let Ok(map) = data.as_object_mut() {
        map.insert(Value::from("inventory"), Value::new_object());
    }
    data
}
