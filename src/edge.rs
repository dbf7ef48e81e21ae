//! The thin edges to the world.

pub mod cluster;
pub mod http;
