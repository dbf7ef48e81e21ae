//! The ordered steps between the edges.

pub mod judge;
