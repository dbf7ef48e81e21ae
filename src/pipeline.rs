//! The ordered steps between the edges.
