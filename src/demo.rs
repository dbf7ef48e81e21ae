//! The demo: the daemon's own passes on a clock that is moved forward, over a real repository, a folder that
//! stands for a cluster, and a real receiver.

mod receiver;
mod repository;
mod stage;

pub use receiver::{Received, Receiver};
pub use repository::{DemoRepository, RepositoryError};
pub use stage::{Stage, StageError};
