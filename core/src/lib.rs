//! The decisions of Portcullis, as pure functions over values.
//!
//! This package reads no file, opens no socket, asks no clock and draws no random number: what it
//! needs comes in as arguments, what it made goes out as a result. The edges live in the
//! `portcullis` package.

pub mod audit;
pub mod bundle;
pub mod document;
pub mod identity;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod report;
pub mod rollout;
pub mod schedule;
pub mod scope;
pub mod suite;
