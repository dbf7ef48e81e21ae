//! The thin edges to the world.

pub mod cluster;
pub mod git;
pub mod http;
pub mod objects;
pub mod sink;
pub mod store;
pub mod tree;
