//! The thin edges to the world.
