//! How constraints move towards their target.

mod spec;

pub use spec::{
    Approval, Change, ChangeGate, Demotion, DemotionBounds, Gate, GateSpec, NoneWord, OffWord, RolloutMatch,
    RolloutSpec, StageSpec, Strategy, Window,
};
