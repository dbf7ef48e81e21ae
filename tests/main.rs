//! Everything that is tested against the real thing: one binary, one module per area.

mod support {
    pub mod repo;
}

mod config;
