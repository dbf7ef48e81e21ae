//! Objects read from files, a few documents at a time: what cannot be read is a hole, and reading goes on.

mod chunk;
mod lists;
mod parse;
mod split;
mod survey;
mod walk;

pub use chunk::{Chunk, Chunks};
pub use parse::{Item, items};
pub use survey::survey;
pub use walk::{ObjectSource, SourceError};
