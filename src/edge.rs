//! The thin edges to the world.

pub mod cluster;
pub mod sink;
pub mod store;
