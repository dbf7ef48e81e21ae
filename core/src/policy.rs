//! Policies: what a ConstraintTemplate and a constraint say, compiled and evaluated.

mod constraint;
mod template;

pub use constraint::{ConstraintError, ConstraintSpec, Target};
pub use template::{Module, RegoSource, RegoVersion, TemplateError, TemplateSpec};
