//! The main job from end to end: pushed commits, the daemon's own passes, a folder that stands for a cluster,
//! a receiver that reads the reports; in one process on a clock that is moved by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share fail as tests do"
)]

pub mod documents;
mod drift;
mod faults;
mod kill;
mod losses;
mod people;
mod prune;
mod schedule;
mod simulation;
mod stage;
mod story;
