//! Which files objects are read from, in a fixed order.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use walkdir::WalkDir;

use super::Chunks;

/// A file of objects larger than this is not read: 64 MiB.
const MAX_FILE: u64 = 64 << 20;

/// A path that cannot be read from at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path is missing, or may not be looked at.
    #[error("cannot read objects from {path}")]
    Unreachable {
        /// As given.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A stream holds more than is kept in memory.
    #[error("{path} holds more than {bytes} bytes; write it to files and name their folder")]
    TooLarge {
        /// As given, `-` for standard input.
        path: String,
        /// The bound.
        bytes: u64,
    },
}

/// Where objects are read from. Can be read several times, always in the same order.
#[derive(Debug)]
pub struct ObjectSource {
    roots: Vec<Root>,
    max_file: u64,
    /// Cut from the front of the paths that are shown.
    hidden_prefix: Option<PathBuf>,
}

#[derive(Debug)]
enum Root {
    /// A file or a folder.
    Path(PathBuf),
    /// What came through a stream, which can be read only once.
    Stream { name: String, bytes: Arc<Vec<u8>> },
}

/// Something to read.
pub(super) enum Entry {
    /// A file.
    File(PathBuf),
    /// What came through a stream.
    Stream { name: String, bytes: Arc<Vec<u8>> },
    /// Something that cannot be read, with the reason.
    Hole(String),
}

impl ObjectSource {
    /// Files and folders; `-` is standard input, which is read at once, as are pipes. In folders the files
    /// that end in `.yaml`, `.yml` or `.json` are read, sorted by path, links followed, hidden ones apart.
    ///
    /// # Errors
    /// Where a path is missing, or a stream is too large.
    pub fn open(paths: &[PathBuf]) -> Result<Self, SourceError> {
        let mut roots = Vec::with_capacity(paths.len());
        for path in paths {
            let name = path.display().to_string();
            let fail = |source| SourceError::Unreachable { path: name.clone(), source };
            if name == "-" {
                roots.push(stream("-".to_owned(), std::io::stdin().lock(), fail)?);
                continue;
            }
            let metadata = std::fs::metadata(path).map_err(fail)?;
            if metadata.is_dir() || metadata.is_file() {
                roots.push(Root::Path(path.clone()));
            } else {
                let file = std::fs::File::open(path).map_err(fail)?;
                roots.push(stream(name.clone(), file, fail)?);
            }
        }
        Ok(Self { roots, max_file: MAX_FILE, hidden_prefix: None })
    }

    /// Files over so many bytes are holes.
    #[must_use]
    pub fn max_file(mut self, bytes: u64) -> Self {
        self.max_file = bytes;
        self
    }

    /// Shows paths relative to this folder.
    #[must_use]
    pub fn relative_to(mut self, folder: impl Into<PathBuf>) -> Self {
        self.hidden_prefix = Some(folder.into());
        self
    }

    /// Reads from the beginning.
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks::new(self)
    }

    pub(super) fn limit(&self) -> u64 {
        self.max_file
    }

    /// A path as people see it.
    pub(super) fn shown(&self, path: &Path) -> String {
        let prefix = self.hidden_prefix.as_deref();
        let path = prefix.and_then(|prefix| path.strip_prefix(prefix).ok()).unwrap_or(path);
        path.display().to_string()
    }

    /// Everything there is to read, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.roots.iter().flat_map(|root| -> Box<dyn Iterator<Item = Entry> + '_> {
            match root {
                Root::Stream { name, bytes } => {
                    Box::new(std::iter::once(Entry::Stream { name: name.clone(), bytes: Arc::clone(bytes) }))
                }
                Root::Path(path) => Box::new(self.walk(path)),
            }
        })
    }

    fn walk<'a>(&'a self, root: &'a Path) -> impl Iterator<Item = Entry> + 'a {
        WalkDir::new(root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| {
                entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
            })
            .filter_map(move |entry| match entry {
                Ok(entry) if entry.file_type().is_dir() => None,
                Ok(entry) if entry.depth() > 0 && !is_object_file(entry.path()) => None,
                Ok(entry) if entry.file_type().is_file() => Some(Entry::File(entry.into_path())),
                Ok(entry) => Some(Entry::Hole(format!("{}: not a regular file", self.shown(entry.path())))),
                Err(error) => Some(Entry::Hole(self.explain(&error))),
            })
    }

    fn explain(&self, error: &walkdir::Error) -> String {
        let path = error.path().map_or_else(|| "a folder".to_owned(), |path| self.shown(path));
        match (error.loop_ancestor(), error.io_error()) {
            (Some(ancestor), _) => format!("{path}: a link back to {}", self.shown(ancestor)),
            (None, Some(cause)) => format!("{path}: {cause}"),
            (None, None) => format!("{path}: cannot be read"),
        }
    }
}

fn is_object_file(path: &Path) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| {
        ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn stream(
    name: String,
    reader: impl Read,
    fail: impl Fn(std::io::Error) -> SourceError,
) -> Result<Root, SourceError> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(SourceError::TooLarge { path: name, bytes: MAX_FILE });
    }
    Ok(Root::Stream { name, bytes: Arc::new(bytes) })
}
