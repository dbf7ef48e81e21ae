//! The ordered steps between the edges.

pub mod apply;
pub mod notify;
pub mod observe;
