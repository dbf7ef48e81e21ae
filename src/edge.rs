//! The thin edges to the world.

pub mod sink;
pub mod store;
