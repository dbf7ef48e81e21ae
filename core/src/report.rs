//! The compliance report: one model, several renderings.
