//! The ordered steps between the edges.

pub mod apply;
pub mod deliver;
pub mod notify;
pub mod observe;
