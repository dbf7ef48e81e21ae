//! The Portcullis daemon and command line: thin edges to the world, and the pipeline that joins them.

pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod edge;
pub mod pipeline;
pub mod telemetry;
