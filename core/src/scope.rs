//! Which objects a constraint is about: Gatekeeper's match rules, and exemptions from them.

mod candidate;
mod exemption;
mod glob;
pub mod kinds;
mod matching;
mod normal;
mod parse;
mod selector;

pub use candidate::{Candidate, Labels, Mismatch, Origin, Outcome, Semantics};
pub use exemption::{Exemption, Exemptions};
pub use glob::Glob;
pub use kinds::KindScope;
pub use matching::{KindPattern, Match, MatchError};
pub use parse::MatchProblem;
pub use selector::{Operator, Requirement, Selector};
