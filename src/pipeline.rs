//! The ordered steps between the edges.

pub mod apply;
pub mod audit;
pub mod changes;
pub mod deliver;
pub mod evidence;
pub mod judge;
pub mod notify;
pub mod observe;
pub mod ports;
pub mod prepare;
pub mod report;
mod revision;
pub mod sync;
