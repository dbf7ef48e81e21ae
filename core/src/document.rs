//! Documents as text: YAML and JSON read with their places, objects written as block-style YAML.

mod build;
mod duration;
pub mod json;
mod limits;
mod node;
pub mod scalar;
mod shape;
mod syntax;
mod write;
pub mod yaml;

pub use duration::{Duration, DurationError};
pub use limits::Limits;
pub use node::{Block, Entry, Node, NodeKind, ReadError, ReadErrorKind};
pub use shape::{Mismatch, Shape, closest, decode};
pub use write::to_yaml;
pub use yaml::Documents;
