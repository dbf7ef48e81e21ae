//! Desired, observed and decided, made into ordered actions.
