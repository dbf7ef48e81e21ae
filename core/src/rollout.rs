//! How constraints move towards their target.

mod decide;
mod evidence;
mod gate;
mod intent;
mod spec;

pub use decide::{Decision, Situation, Waiting, decide, next_stage};
pub use evidence::{AuditEvidence, Evidence, ViolatingSubject};
pub use gate::{GateBounds, GateReading, read_gate};
pub use intent::{HOLD, Intents, PROMOTE, PersonIntent, RESUME};
pub use spec::{
    Approval, Change, ChangeGate, Demotion, DemotionBounds, Gate, GateSpec, NoneWord, OffWord, RolloutMatch,
    RolloutSpec, StageSpec, Strategy, Window,
};
