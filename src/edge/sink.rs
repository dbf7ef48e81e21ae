//! Sinks
