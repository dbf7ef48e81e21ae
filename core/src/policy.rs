//! Policies: what a ConstraintTemplate and a constraint say, compiled and evaluated.

mod auditability;
mod bounds;
mod builtins;
mod calls;
mod compile;
mod constraint;
mod edits;
mod evaluate;
mod hash;
mod mend;
mod modules;
mod negation;
mod reading;
mod schema;
mod template;
mod tokens;
mod uses;
mod walk;
mod whole;

pub use auditability::Auditability;
pub use compile::{CompiledTemplate, RegoProblem, compile};
pub use constraint::{ConstraintError, ConstraintSpec, Target};
pub use evaluate::{EvaluationError, EvaluationLimits, Evaluator, Violation};
pub use hash::{semantic_hash, template_hash};
pub use schema::{ParameterSchema, SchemaError, SchemaMismatch};
pub use template::{Module, RegoSource, RegoVersion, TemplateError, TemplateSpec};

#[cfg(test)]
mod tests;
