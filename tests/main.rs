//! Everything that is tested against the real thing: one binary, one module per area.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on may end where it stands"
)]

mod audit_local;
mod check;
mod cli;
mod cluster;
mod config;
mod corpus;
mod demo;
mod e2e;
mod git;
mod objects;
mod outbox;
mod scale;
mod starter;
mod store;

mod support {
    pub mod generated;
    pub mod git_server;
    pub mod program;
    pub mod receiver;
    pub mod repo;
}
