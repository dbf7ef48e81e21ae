//! Everything that is tested against the real thing: one binary, one module per area.

mod support {
    pub mod receiver;
    pub mod repo;
}
mod outbox;
mod starter;
mod store;
