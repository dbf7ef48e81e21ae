//! Files cut into chunks of documents, the unit of work of one worker.

use std::{io::Read, path::Path, sync::Arc};

use super::{
    ObjectSource,
    split::{Piece, pieces},
    walk::Entry,
};

/// Documents are handed out together until they have so many bytes.
const CHUNK_BYTES: usize = 128 << 10;

/// Some documents of one file, or something that could not be read.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// Text to parse.
    Documents(Documents),
    /// `path: reason`, or `path:line: reason`.
    Hole(String),
}

/// Consecutive documents of one file.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The path as people see it.
    pub(super) path: Arc<str>,
    /// The whole file.
    pub(super) bytes: Arc<Vec<u8>>,
    /// Which part of it.
    pub(super) pieces: Vec<Piece>,
}

/// The chunks of a source, in order; at most one file is held by the reader at a time.
pub struct Chunks<'a> {
    source: &'a ObjectSource,
    entries: Box<dyn Iterator<Item = Entry> + 'a>,
    current: Option<(Arc<str>, Arc<Vec<u8>>, std::vec::IntoIter<Piece>)>,
}

impl std::fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks").field("source", self.source).finish_non_exhaustive()
    }
}

impl<'a> Chunks<'a> {
    pub(super) fn new(source: &'a ObjectSource) -> Self {
        Self { source, entries: Box::new(source.entries()), current: None }
    }

    fn next_of_file(&mut self) -> Option<Chunk> {
        let (path, bytes, rest) = self.current.as_mut()?;
        let mut pieces = Vec::new();
        let mut size = 0;
        for piece in rest.by_ref() {
            size += piece.range.len();
            pieces.push(piece);
            if size >= CHUNK_BYTES {
                break;
            }
        }
        if pieces.is_empty() {
            self.current = None;
            return None;
        }
        Some(Chunk::Documents(Documents { path: Arc::clone(path), bytes: Arc::clone(bytes), pieces }))
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        loop {
            if let Some(chunk) = self.next_of_file() {
                return Some(chunk);
            }
            let (name, bytes) = match self.entries.next()? {
                Entry::Hole(reason) => return Some(Chunk::Hole(reason)),
                Entry::Stream { name, bytes } => (name, bytes),
                Entry::File(path) => {
                    let name = self.source.shown(&path);
                    match read(&path, self.source.limit()) {
                        Ok(bytes) => (name, Arc::new(bytes)),
                        Err(reason) => return Some(Chunk::Hole(format!("{name}: {reason}"))),
                    }
                }
            };
            let cut = pieces(&bytes).into_iter();
            self.current = Some((name.into(), bytes, cut));
        }
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let too_large = || format!("the file is larger than {} MiB, split it", limit >> 20);
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}
