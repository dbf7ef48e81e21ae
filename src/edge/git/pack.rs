//! Packs: taking one in within bounds, and making one from a repository on this machine.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use git2::{ErrorClass, ObjectType, Odb, OdbPackwriter, Oid, Repository};

use super::{
    error::{Bound, GitError},
    watch::Watch,
};

/// Bytes that one fetch may receive: 1 GiB, sixteen times the default `limits.totalSize`, room for a long
/// history. More is no policy repository.
const MOST_RECEIVED: u64 = 1 << 30;

/// An error where a fetch received more than [`MOST_RECEIVED`].
pub(super) fn check_received(found: u64) -> Result<(), GitError> {
    if found > MOST_RECEIVED {
        return Err(GitError::TooLarge { what: Bound::Received, found, limit: MOST_RECEIVED });
    }
    Ok(())
}

/// Takes a pack piece by piece, checks every object in it, and keeps it when it is complete.
pub(super) struct PackSink<'repo> {
    writer: OdbPackwriter<'repo>,
    cache: PathBuf,
    before: BTreeSet<PathBuf>,
    watch: Watch,
    received: u64,
}

impl<'repo> PackSink<'repo> {
    pub(super) fn new(odb: &'repo Odb<'repo>, cache: PathBuf, watch: Watch) -> Result<Self, GitError> {
        let mut writer = odb.packwriter().map_err(|error| unwritable(&cache, error))?;
        let during = watch.clone();
        writer.progress(move |_| during.check().is_ok());
        let before = files(&cache);
        Ok(Self { writer, cache, before, watch, received: 0 })
    }

    /// The next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), GitError> {
        self.watch.check()?;
        self.received += piece.len() as u64;
        check_received(self.received)?;
        self.writer.write_all(piece).map_err(|_| self.failed(&git2::Error::last_error(-1)))
    }

    /// Resolves what the pack holds, and syncs it to disk.
    pub(super) fn finish(mut self) -> Result<(), GitError> {
        if let Err(error) = self.writer.commit() {
            return Err(self.failed(&error));
        }
        let sync = || -> io::Result<()> {
            for stem in files(&self.cache).difference(&self.before) {
                fs::File::open(stem.with_extension("pack"))?.sync_all()?;
                fs::File::open(stem.with_extension("idx"))?.sync_all()?;
            }
            // Not every file system can sync a folder.
            let _ = fs::File::open(folder(&self.cache))?.sync_all();
            Ok(())
        };
        sync().map_err(|error| unwritable(&self.cache, error))
    }

    fn failed(&self, error: &git2::Error) -> GitError {
        if let Err(stopped) = self.watch.check() {
            return stopped;
        }
        match error.class() {
            ErrorClass::Os | ErrorClass::Filesystem => {
                unwritable(&self.cache, io::Error::other(error.message().to_owned()))
            }
            _ => GitError::Protocol {
                url: self.watch.url().to_owned(),
                detail: format!("the pack is not sound: {}", error.message()),
            },
        }
    }
}

/// Writes a pack of all that `wants` reach and `has` does not have. What `has` has is not entered: there, all
/// below it is too.
///
/// The objects are found here and not by libgit2, which follows folders in folders by recursion and would
/// overflow the stack of its thread in a tree that is deep enough.
pub(super) fn copy(
    from: &Repository,
    wants: &[Oid],
    has: impl Fn(Oid) -> bool,
    sink: &mut PackSink<'_>,
) -> Result<(), GitError> {
    let watch = sink.watch.clone();
    let unreadable = |error: git2::Error| match watch.check() {
        Err(stopped) => stopped,
        Ok(()) => GitError::Server {
            url: watch.url().to_owned(),
            message: error.message().to_owned(),
            transient: false,
        },
    };
    let mut builder = from.packbuilder().map_err(unreadable)?;
    builder.set_threads(1);
    let during = watch.clone();
    builder.set_progress_callback(move |_, _, _| during.check().is_ok()).map_err(unreadable)?;
    let mut seen = HashSet::new();
    let mut is_new = |id: Oid| seen.insert(id) && !has(id);
    let mut commits = wants.to_vec();
    let mut folders = Vec::new();
    while let Some(id) = commits.pop() {
        if !is_new(id) {
            continue;
        }
        let commit = from.find_commit(id).map_err(unreadable)?;
        builder.insert_object(id, None).map_err(unreadable)?;
        commits.extend(commit.parent_ids());
        folders.push((commit.tree_id(), String::new()));
        while let Some((id, name)) = folders.pop() {
            watch.check()?;
            if !is_new(id) {
                continue;
            }
            let tree = from.find_tree(id).map_err(unreadable)?;
            builder.insert_object(id, Some(&name)).map_err(unreadable)?;
            for entry in &tree {
                // The name only helps to find what resembles one another.
                let name = entry.name().unwrap_or_default();
                match entry.kind() {
                    Some(ObjectType::Tree) => folders.push((entry.id(), name.to_owned())),
                    Some(ObjectType::Blob) if is_new(entry.id()) => {
                        builder.insert_object(entry.id(), Some(name)).map_err(unreadable)?;
                    }
                    // A submodule's commit is in another repository.
                    _ => {}
                }
            }
        }
    }
    let mut refused = None;
    let written = builder.foreach(|piece| match sink.write(piece) {
        Ok(()) => true,
        Err(error) => {
            refused = Some(error);
            false
        }
    });
    match refused {
        Some(error) => Err(error),
        None => written.map_err(unreadable),
    }
}

/// The packs of a repository, as paths without extension.
pub(super) fn files(repository: &Path) -> BTreeSet<PathBuf> {
    let mut packs = BTreeSet::new();
    for entry in fs::read_dir(folder(repository)).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            packs.insert(path.with_extension(""));
        }
    }
    packs
}

fn folder(repository: &Path) -> PathBuf {
    repository.join("objects").join("pack")
}

fn unwritable(cache: &Path, source: impl Into<super::error::Cause>) -> GitError {
    GitError::Cache { path: cache.to_owned(), doing: "written", source: source.into() }
}
