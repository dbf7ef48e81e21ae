//! Objects judged: findings, and the ledger of what was and was not evaluated.

mod finding;
mod fingerprint;
mod gate;
mod judge;
mod ledger;
mod object;
mod policy_set;
mod surroundings;
mod tracking;

pub use finding::{Class, Finding, ObjectRef, Status, Subject};
pub use fingerprint::fingerprint;
pub use gate::{GateCount, gate_counts};
pub use judge::{Judge, JudgeOptions};
pub use ledger::{Hole, HoleClass, Ledger, LedgerRow};
pub use object::{Object, Owner, Placement, Unreadable};
pub(crate) use policy_set::engine_value;
pub use policy_set::{Policy, PolicySet};
pub use surroundings::Surroundings;
pub use tracking::{Known, Tracked, track};
