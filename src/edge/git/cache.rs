//! The bare repository that keeps what was fetched, across restarts and while the remote is away.
//!
//! It is ours alone: a marker file names the format and the source, private references name the newest commit
//! of the branch and the accepted revision. References are written here and not by libgit2, so that they are
//! synced to disk and leave no lock behind when the process is killed.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use git2::{ErrorClass, ErrorCode, Oid, Repository, RepositoryInitOptions};

use super::{
    error::{Cause, GitError},
    pack::{self, PackSink},
    watch::Watch,
};

const MARKER: &str = "portcullis-source";
const FORMAT: &str = "portcullis git cache 1";
const ACCEPTED: &str = "refs/portcullis/accepted";
/// Every fetch that brings something leaves a pack; past this many they are written into one.
const MOST_PACKS: usize = 40;
/// How many known commits a server is told of, newest first.
const MOST_HAVES: usize = 256;
/// A new cache is put together in a folder of this name beside its place.
const SCRATCH: &str = ".portcullis-git-cache-";
/// Unfinished packs of a killed process are removed when they are this old.
const STALE: Duration = Duration::from_hours(1);

/// What was found where the cache belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheState {
    /// Nothing; it was made.
    New,
    /// The cache of this source.
    Kept,
    /// The cache of another source; it was made anew.
    OtherSource,
    /// A damaged cache; it was made anew.
    Damaged,
    /// A cache whose newest revision is damaged while the accepted one can be read: it is kept until the
    /// remote answers, and made anew then.
    PartlyDamaged,
    /// A folder or file that is no cache; it was moved aside.
    Foreign {
        /// Where it lies now.
        moved_to: PathBuf,
    },
}

/// The folder, and what it is the cache of.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    path: PathBuf,
    source: String,
    fetched: String,
}

impl Cache {
    /// Opens the cache at `path`, or makes it where there is none that can be used.
    pub(super) fn open(path: &Path, source: &str, branch: &str) -> Result<(Self, CacheState), GitError> {
        let cache = Self::of(path, source, branch);
        let state = cache.inspect()?;
        match state {
            CacheState::Kept | CacheState::PartlyDamaged => cache.sweep(),
            _ => cache.make()?,
        }
        Ok((cache, state))
    }

    fn of(path: &Path, source: &str, branch: &str) -> Self {
        let name = branch.replace('%', "%25").replace('/', "%2F");
        let fetched = format!("refs/portcullis/fetched/{name}");
        Self { path: path.to_owned(), source: source.to_owned(), fetched }
    }

    /// The cache as it is, for those who only read; nothing is made or moved. `None` where there is none of
    /// this source.
    pub(super) fn existing(path: &Path, source: &str, branch: &str) -> Option<Self> {
        let cache = Self::of(path, source, branch);
        let marker = fs::read_to_string(path.join(MARKER)).ok()?;
        let written = marker.strip_prefix(FORMAT)?.strip_prefix('\n')?;
        (written.trim_end() == source && cache.repository().is_ok()).then_some(cache)
    }

    fn inspect(&self) -> Result<CacheState, GitError> {
        let is_empty_folder = match fs::read_dir(&self.path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(CacheState::New),
            Err(error) if error.kind() == ErrorKind::NotADirectory => false,
            Err(error) => return Err(self.failed("read", error)),
        };
        if is_empty_folder {
            return Ok(CacheState::New);
        }
        let marker = fs::read(self.path.join(MARKER)).unwrap_or_default();
        let marker = String::from_utf8_lossy(&marker);
        let Some(source) = marker.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n')) else {
            return self.move_aside();
        };
        if source.trim_end() != self.source {
            return Ok(CacheState::OtherSource);
        }
        let repo = match self.repository() {
            Ok(repo) => repo,
            Err(GitError::Damaged { .. }) => return Ok(CacheState::Damaged),
            Err(error) => return Err(error),
        };
        if self.fetched(&repo).is_none_or(|id| is_readable(&repo, id)) {
            return Ok(CacheState::Kept);
        }
        let accepted = Self::accepted(&repo).is_some_and(|id| is_readable(&repo, id));
        Ok(if accepted { CacheState::PartlyDamaged } else { CacheState::Damaged })
    }

    fn move_aside(&self) -> Result<CacheState, GitError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for attempt in 0..1000 {
            let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
            let moved_to = self.path.with_file_name(format!("{name}.foreign{suffix}"));
            if fs::symlink_metadata(&moved_to).is_err() {
                fs::rename(&self.path, &moved_to).map_err(|error| self.failed("moved aside", error))?;
                return Ok(CacheState::Foreign { moved_to });
            }
        }
        Err(self.failed("moved aside", io::Error::from(ErrorKind::AlreadyExists)))
    }

    /// Makes an empty cache in place of whatever is there, complete or not at all.
    pub(super) fn make(&self) -> Result<(), GitError> {
        self.replace(|_| {})
    }

    /// Makes the cache anew, and takes the pinned revision over where all of it can still be read: the remote
    /// may not have it any more.
    pub(super) fn remake(&self, watch: &Watch) -> Result<(), GitError> {
        self.replace(|fresh| {
            let salvage = || -> Result<(), GitError> {
                let damaged = self.repository()?;
                let Some(pinned) = Self::accepted(&damaged) else { return Ok(()) };
                let repo = fresh.repository()?;
                let odb = repo.odb().map_err(|error| fresh.failed("opened", error))?;
                let mut sink = fresh.sink(&odb, watch)?;
                pack::copy(&damaged, &[pinned], |_| false, &mut sink)?;
                sink.finish()?;
                fresh.set_accepted(pinned)
            };
            if let Err(error) = salvage() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the pinned revision could not be taken over into the new git cache"
                );
            }
        })
    }

    fn replace(&self, fill: impl FnOnce(&Self)) -> Result<(), GitError> {
        let made = |error: io::Error| self.failed("made", error);
        let parent = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(made)?;
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(parent).map_err(made)?;
        let fresh = Self { path: scratch.path().join("cache"), ..self.clone() };
        let repo = Repository::init_opts(
            &fresh.path,
            RepositoryInitOptions::new().bare(true).external_template(false).initial_head("none"),
        )
        .map_err(|error| self.failed("made", error))?;
        drop(repo);
        fs::write(fresh.path.join(MARKER), format!("{FORMAT}\n{}\n", self.source)).map_err(made)?;
        fill(&fresh);
        match fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(self.failed("replaced", error)),
        }
        fs::rename(&fresh.path, &self.path).map_err(made)
    }

    /// The repository; one handle a call, since a handle belongs to one thread.
    pub(super) fn repository(&self) -> Result<Repository, GitError> {
        Repository::open_bare(&self.path).map_err(|error| {
            // What the system refuses today says nothing of what the folder holds.
            if error.code() == ErrorCode::Owner || error.class() == ErrorClass::Os {
                self.failed("opened", error)
            } else {
                GitError::Damaged { object: self.path.display().to_string(), source: error.into() }
            }
        })
    }

    /// The newest commit of the branch that was fetched.
    pub(super) fn fetched(&self, repo: &Repository) -> Option<Oid> {
        repo.refname_to_id(&self.fetched).ok()
    }

    /// The revision that is pinned.
    pub(super) fn accepted(repo: &Repository) -> Option<Oid> {
        repo.refname_to_id(ACCEPTED).ok()
    }

    /// Records the newest commit of the branch.
    pub(super) fn set_fetched(&self, id: Oid) -> Result<(), GitError> {
        self.write_reference(&self.fetched, id)
    }

    /// Pins a revision.
    pub(super) fn set_accepted(&self, id: Oid) -> Result<(), GitError> {
        self.write_reference(ACCEPTED, id)
    }

    fn write_reference(&self, name: &str, id: Oid) -> Result<(), GitError> {
        let write = || -> io::Result<()> {
            let target = self.path.join(name);
            let folder = target.parent().unwrap_or(&self.path);
            fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new().prefix(".reference-").tempfile_in(&self.path)?;
            writeln!(file, "{id}")?;
            file.as_file().sync_all()?;
            file.persist(&target).map_err(|error| error.error)?;
            // Not every file system can sync a folder.
            let _ = fs::File::open(folder)?.sync_all();
            Ok(())
        };
        write().map_err(|error| self.failed("written", error))
    }

    /// Commits that are here, newest first, so that a server sends only what is missing.
    pub(super) fn haves(&self, repo: &Repository) -> Vec<Oid> {
        let walk = || -> Result<Vec<Oid>, git2::Error> {
            let mut walk = repo.revwalk()?;
            walk.set_sorting(git2::Sort::TIME)?;
            for id in self.roots(repo) {
                walk.push(id)?;
            }
            walk.take(MOST_HAVES).collect()
        };
        // Knowing nothing costs a larger answer, no more.
        walk().unwrap_or_default()
    }

    /// The commits that must stay readable.
    fn roots(&self, repo: &Repository) -> BTreeSet<Oid> {
        let mut roots = BTreeSet::new();
        if let Ok(references) = repo.references_glob("refs/portcullis/*") {
            roots.extend(references.flatten().filter_map(|reference| reference.target()));
        }
        roots.extend(self.fetched(repo));
        roots.extend(Self::accepted(repo));
        roots.retain(|id| is_readable(repo, *id));
        roots
    }

    /// Whether a private reference names this commit, so that it ought to be readable.
    pub(super) fn names(&self, repo: &Repository, id: Oid) -> bool {
        self.fetched(repo) == Some(id) || Self::accepted(repo) == Some(id)
    }

    /// Takes a pack into the cache. Nothing of it counts until a reference names it.
    pub(super) fn sink<'repo>(
        &self,
        odb: &'repo git2::Odb<'repo>,
        watch: &Watch,
    ) -> Result<PackSink<'repo>, GitError> {
        PackSink::new(odb, self.path.clone(), watch.clone())
    }

    /// Whether there are so many packs that [`Cache::compact`] is worth while.
    pub(super) fn is_scattered(&self) -> bool {
        pack::files(&self.path).len() > MOST_PACKS
    }

    /// Writes everything that a private reference reaches into one pack and removes the others; what nothing
    /// reaches any more (rewritten history) goes with them.
    pub(super) fn compact(&self, watch: &Watch) -> Result<(), GitError> {
        let repo = self.repository()?;
        let odb = repo.odb().map_err(|error| self.failed("read", error))?;
        let before = pack::files(&self.path);
        let mut sink = self.sink(&odb, watch)?;
        let roots: Vec<Oid> = self.roots(&repo).into_iter().collect();
        pack::copy(&repo, &roots, |_| false, &mut sink)?;
        sink.finish()?;
        let after = pack::files(&self.path);
        // Where no file is new, the one that was written is among the old ones.
        if after.difference(&before).next().is_some() {
            for stem in &before {
                for extension in ["idx", "pack", "rev", "bitmap"] {
                    let _ = fs::remove_file(stem.with_extension(extension));
                }
            }
        }
        Ok(())
    }

    /// Removes what a killed process left half-written.
    fn sweep(&self) {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        for folder in [self.path.join("objects").join("pack").as_path(), &self.path, parent] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_old = entry.metadata().and_then(|data| data.modified()).is_ok_and(|at| {
                    // A file from the future is not waited for.
                    at.elapsed().is_ok_and(|age| age > STALE)
                });
                if is_old && (name.starts_with("pack_git2_") || name.starts_with(".reference-")) {
                    let _ = fs::remove_file(entry.path());
                }
                if is_old && name.starts_with(SCRATCH) {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
    }

    pub(super) fn failed(&self, doing: &'static str, source: impl Into<Cause>) -> GitError {
        GitError::Cache { path: self.path.clone(), doing, source: source.into() }
    }
}

/// Whether the commit and the root of its tree can be read.
pub(super) fn is_readable(repo: &Repository, id: Oid) -> bool {
    repo.find_commit(id).and_then(|commit| commit.tree()).is_ok()
}
