//! Objects judged: findings, and the ledger of what was and was not evaluated.

mod finding;
mod ledger;

pub use finding::{Class, Finding, ObjectRef, Status, Subject};
pub use ledger::{Hole, HoleClass, Ledger, LedgerRow};
