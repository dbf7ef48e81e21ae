//! Documents as text: YAML and JSON read with their places, objects written as block-style YAML.

mod duration;
mod node;
mod shape;

pub use duration::{Duration, DurationError};
pub use node::{Block, Entry, Node, NodeKind, ReadError};
pub use shape::{Mismatch, Shape, closest, decode};
