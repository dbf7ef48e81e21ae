//! The documents of a policy repository, with everything that is wrong with them.

mod codes;
mod constraint;
mod exemption;
mod exemption_lint;
mod fields;
mod findings;
mod fixtures;
mod layout;
mod load;
mod model;
mod read;
mod rollout;
mod specificity;
mod suites;
mod template;
mod unit;
mod unsupported;

pub use codes::{CATALOGUE, Code, explain};
pub use exemption::{ConstraintPattern, ExemptionPolicySpec, ExemptionSpec};
pub use layout::{LayoutClass, LayoutEntry};
pub use load::{LoadOptions, load};
pub use model::{
    Broken, Bundle, Constraint, Coverage, DocId, DocKind, Exemption, ExemptionPolicy, FileIssue, Location,
    Rollout, SourceFile, SuiteFile, Template,
};
pub use unit::Unit;

#[cfg(test)]
mod tests;
