//! The thin edges to the world.

pub mod objects;
