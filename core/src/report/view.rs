//! The model put into words, for renderings that people read.

pub(super) mod findings;
pub(super) mod glance;
pub(super) mod policies;
pub(super) mod sections;
