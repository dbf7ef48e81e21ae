//! The policy repository: fetched from a git remote into a cache, read from the cache by revision.
//!
//! Everything here blocks: call it from a thread that may. It can be called on any thread, and by several at
//! once; fetches wait for one another, readings wait for nobody while a fetch talks to its remote.

mod address;
mod advertisement;
mod cache;
mod error;
mod http;
mod local;
mod pack;
mod pkt;
mod remote;
mod smart;
mod tree;
mod watch;

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use git2::{Oid, Repository};
use jiff::Timestamp;
use portcullis_core::identity::Revision;
use tokio_util::sync::CancellationToken;

use crate::config::{Auth, Source};

use self::{address::Address, cache::Cache, remote::Remote, watch::Watch};

pub use self::{
    cache::CacheState,
    error::{Bound, Cause, GitError},
    tree::{FileIssue, Tree, TreeFile, is_policy_file},
};

/// Where policies come from, and the bounds of getting them.
#[derive(Clone, Debug)]
pub struct GitSettings {
    /// `https://`, `file://` or an absolute path; `http://` only to this machine itself.
    pub url: String,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The folder of the cache, a bare repository that is made where it is missing.
    pub cache: PathBuf,
    /// Bounds of what is read of a revision.
    pub limits: TreeLimits,
    /// Credentials, sent to the host of `url` alone; a token goes as the password of HTTP basic
    /// authentication. Read anew at each fetch.
    pub auth: Option<Auth>,
    /// PEM certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// `http://host:port`; proxy variables of the environment are not used.
    pub proxy: Option<String>,
    /// The longest that one fetch may take.
    pub timeout: Duration,
}

/// How much a revision may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Policy files.
    pub files: u64,
    /// Bytes of one policy file; a larger one is reported, the others are read.
    pub file_size: u64,
    /// Bytes of all policy files together.
    pub total_size: u64,
}

impl GitSettings {
    /// The settings of a validated configuration.
    pub fn new(source: &Source, cache: PathBuf, timeout: Duration) -> Self {
        Self {
            url: source.url.clone(),
            branch: source.branch.clone(),
            cache,
            limits: TreeLimits {
                files: source.limits.files as u64,
                file_size: source.limits.file_size,
                total_size: source.limits.total_size,
            },
            auth: source.auth.clone(),
            ca_file: source.ca_file.clone(),
            proxy: source.proxy.clone(),
            timeout,
        }
    }
}

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The newest commit of the branch.
    pub revision: Revision,
    /// Whether it is another than the last fetch brought.
    pub changed: bool,
}

/// Who made a commit, when and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When it was committed.
    pub committed: Timestamp,
    /// The first line of the message, at most 200 characters.
    pub subject: String,
}

/// A policy repository: its remote, and the cache of what came from there.
#[derive(Debug)]
pub struct GitSource {
    settings: GitSettings,
    address: Address,
    cache: Cache,
    state: CacheState,
    /// Held by the one that fetches.
    fetching: Mutex<()>,
    /// Held shared by those who read the cache, and alone while files of it are replaced.
    files: RwLock<()>,
    damaged: AtomicBool,
}

impl GitSource {
    /// Checks the settings and opens the cache, which is made anew where it is that of another source or
    /// cannot be read; [`GitSource::cache_state`] says so. The remote is not asked.
    pub fn open(settings: GitSettings) -> Result<Self, GitError> {
        let address = check(&settings)?;
        let (cache, state) = Cache::open(&settings.cache, &address.to_string(), &settings.branch)?;
        match &state {
            CacheState::New | CacheState::Kept => {}
            CacheState::OtherSource => {
                tracing::info!(cache = %settings.cache.display(), "the git cache was of another source and is made anew");
            }
            CacheState::Damaged => {
                tracing::warn!(cache = %settings.cache.display(), "the git cache was damaged and is made anew");
            }
            CacheState::PartlyDamaged => {
                tracing::warn!(cache = %settings.cache.display(), "the git cache is damaged and is made anew when the remote answers");
            }
            CacheState::Foreign { moved_to } => {
                tracing::warn!(cache = %settings.cache.display(), moved_to = %moved_to.display(), "what lay in place of the git cache was moved aside");
            }
        }
        let damaged = AtomicBool::new(state == CacheState::PartlyDamaged);
        Ok(Self {
            settings,
            address,
            cache,
            state,
            fetching: Mutex::new(()),
            files: RwLock::new(()),
            damaged,
        })
    }

    /// Opens the cache that another process keeps, and changes nothing: where there is none of this source,
    /// that is an error.
    pub fn open_reading(settings: GitSettings) -> Result<Self, GitError> {
        let address = check(&settings)?;
        let cache = Cache::existing(&settings.cache, &address.to_string(), &settings.branch)
            .ok_or_else(|| GitError::NoCache { path: settings.cache.clone() })?;
        Ok(Self {
            settings,
            address,
            cache,
            state: CacheState::Kept,
            fetching: Mutex::new(()),
            files: RwLock::new(()),
            damaged: AtomicBool::new(false),
        })
    }

    /// Asks the remote for the branch's newest commit and fetches nothing: whether URL, branch, credentials
    /// and certificates are right.
    pub fn probe(settings: &GitSettings) -> Result<Revision, GitError> {
        let address = check(settings)?;
        let watch = Watch::start(address.to_string(), settings.timeout, CancellationToken::new());
        on_its_own_thread(|| {
            let mut remote = Remote::open(&address, settings, &watch)?;
            Ok(revision(remote.advertise()?.tip(watch.url(), &settings.branch)?))
        })
    }

    /// What [`GitSource::open`] found where the cache belongs.
    pub fn cache_state(&self) -> &CacheState {
        &self.state
    }

    /// The remote's URL as it may be shown.
    pub fn url(&self) -> String {
        self.address.to_string()
    }

    /// Brings the branch up to date. A remote whose branch has not moved is asked for its branches, no more.
    pub fn fetch(&self) -> Result<Fetched, GitError> {
        self.fetch_until(&CancellationToken::new())
    }

    /// As [`GitSource::fetch`], but ends with [`GitError::Stopped`] soon after `stop` is cancelled.
    pub fn fetch_until(&self, stop: &CancellationToken) -> Result<Fetched, GitError> {
        let _fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = Watch::start(self.address.to_string(), self.settings.timeout, stop.clone());
        on_its_own_thread(|| self.fetch_watched(&watch))
    }

    fn fetch_watched(&self, watch: &Watch) -> Result<Fetched, GitError> {
        let mut remote = Remote::open(&self.address, &self.settings, watch)?;
        let seen = remote.advertise()?;
        let tip = seen.tip(watch.url(), &self.settings.branch)?;
        self.heal(watch)?;
        let repo = self.cache.repository()?;
        let before = self.cache.fetched(&repo);
        if !cache::is_readable(&repo, tip) {
            let odb = repo.odb().map_err(|error| self.cache.failed("read", error))?;
            let mut sink = self.cache.sink(&odb, watch)?;
            remote.download(&seen, tip, &self.cache, &repo, &mut sink)?;
            sink.finish()?;
            if !cache::is_readable(&repo, tip) {
                return Err(GitError::Protocol {
                    url: watch.url().to_owned(),
                    detail: format!("it announced commit {tip} and did not send it"),
                });
            }
        }
        if before != Some(tip) {
            self.cache.set_fetched(tip)?;
        }
        drop(repo);
        if self.cache.is_scattered() {
            let _alone = self.files.write().unwrap_or_else(PoisonError::into_inner);
            // Scattered packs cost time and no more; what was fetched is here either way.
            if let Err(error) = self.cache.compact(watch) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the packs of the git cache were not joined"
                );
            }
        }
        Ok(Fetched { revision: revision(tip), changed: before != Some(tip) })
    }

    /// Makes a damaged cache anew, now that the remote answers.
    fn heal(&self, watch: &Watch) -> Result<(), GitError> {
        match self.cache.repository() {
            Ok(_) if !self.damaged.load(Ordering::Acquire) => return Ok(()),
            Ok(_) | Err(GitError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let _alone = self.files.write().unwrap_or_else(PoisonError::into_inner);
        tracing::warn!(cache = %self.settings.cache.display(), "the git cache is damaged and is made anew");
        self.cache.remake(watch)?;
        self.damaged.store(false, Ordering::Release);
        Ok(())
    }

    /// The newest commit that a fetch of this branch brought, in this process or an earlier one.
    pub fn last_fetched(&self) -> Option<Revision> {
        let _shared = self.shared();
        let repo = self.cache.repository().ok()?;
        self.cache.fetched(&repo).map(revision)
    }

    /// The revision that [`GitSource::keep`] pinned last.
    pub fn kept(&self) -> Option<Revision> {
        let _shared = self.shared();
        let repo = self.cache.repository().ok()?;
        Cache::accepted(&repo).map(revision)
    }

    /// Pins a revision, in place of the one pinned before: it stays readable even if its branch is rewritten.
    pub fn keep(&self, revision: &Revision) -> Result<(), GitError> {
        self.in_cache(|repo| self.cache.set_accepted(self.find(repo, revision)?.id()))
    }

    /// Whether the cache has this commit.
    pub fn contains(&self, revision: &Revision) -> bool {
        self.in_cache(|repo| self.find(repo, revision).map(|_| ())).is_ok()
    }

    /// The policy files of a revision below `paths`; `.` is the whole repository. Dot folders are left out.
    pub fn read(&self, revision: &Revision, paths: &[String]) -> Result<Tree, GitError> {
        self.in_cache(|repo| {
            let commit = self.find(repo, revision)?;
            let root = commit.tree().map_err(|error| damaged(commit.tree_id(), error))?;
            tree::read(repo, revision, &root, paths, &self.settings.limits)
        })
    }

    /// Whether `new` contains `old`; a rewritten branch does not. A commit contains itself.
    pub fn is_ancestor(&self, old: &Revision, new: &Revision) -> Result<bool, GitError> {
        self.in_cache(|repo| {
            let (old, new) = (self.find(repo, old)?.id(), self.find(repo, new)?.id());
            if old == new {
                return Ok(true);
            }
            repo.graph_descendant_of(new, old).map_err(|error| damaged(new, error))
        })
    }

    /// How many commits `new` has that `old` has not.
    pub fn commits_between(&self, old: &Revision, new: &Revision) -> Result<usize, GitError> {
        self.in_cache(|repo| {
            let (old, new) = (self.find(repo, old)?.id(), self.find(repo, new)?.id());
            let count = || -> Result<usize, git2::Error> {
                let mut walk = repo.revwalk()?;
                walk.push(new)?;
                walk.hide(old)?;
                walk.try_fold(0, |count, id| id.map(|_| count + 1))
            };
            count().map_err(|error| damaged(new, error))
        })
    }

    /// Author, time and subject of a commit.
    pub fn commit(&self, revision: &Revision) -> Result<CommitInfo, GitError> {
        self.in_cache(|repo| {
            let commit = self.find(repo, revision)?;
            let author = commit.author();
            let seconds = commit.time().seconds();
            let edge = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
            let message = String::from_utf8_lossy(commit.message_bytes());
            Ok(CommitInfo {
                author: one_line(&String::from_utf8_lossy(author.name_bytes())),
                email: one_line(&String::from_utf8_lossy(author.email_bytes())),
                committed: Timestamp::from_second(seconds).unwrap_or(edge),
                subject: one_line(message.trim_start().lines().next().unwrap_or_default()),
            })
        })
    }

    fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the cache for one reading, and remembers what turns out to be damaged.
    fn in_cache<T>(&self, act: impl FnOnce(&Repository) -> Result<T, GitError>) -> Result<T, GitError> {
        let _shared = self.shared();
        let result = self.cache.repository().and_then(|repo| act(&repo));
        if matches!(result, Err(GitError::Damaged { .. })) {
            self.damaged.store(true, Ordering::Release);
        }
        result
    }

    fn find<'repo>(
        &self,
        repo: &'repo Repository,
        revision: &Revision,
    ) -> Result<git2::Commit<'repo>, GitError> {
        let unknown = || GitError::UnknownRevision { revision: revision.clone() };
        // A shorter text would be taken for the beginning of an id.
        let id =
            Some(revision.as_str()).filter(|text| text.len() == 40).and_then(|text| Oid::from_str(text).ok());
        let id = id.ok_or_else(unknown)?;
        repo.find_commit(id).map_err(|error| {
            let is_missing = error.code() == git2::ErrorCode::NotFound && !self.cache.names(repo, id);
            if is_missing { unknown() } else { damaged(id, error) }
        })
    }
}

/// What can be said of the settings without reading or asking anything.
fn check(settings: &GitSettings) -> Result<Address, GitError> {
    let address = Address::parse(&settings.url)?;
    if !git2::Reference::is_valid_name(&format!("refs/heads/{}", settings.branch)) {
        return Err(GitError::Setting {
            key: "branch",
            reason: format!("expected the name of a branch, found {:?}", settings.branch),
            hint: "write a name such as main, without refs/heads/",
        });
    }
    if let Some(proxy) = &settings.proxy {
        http::parse_proxy(proxy)?;
    }
    Ok(address)
}

/// The conversation drives futures of its own, which a thread that drives others may not.
fn on_its_own_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(act).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn revision(id: Oid) -> Revision {
    Revision::new(id.to_string())
}

fn damaged(id: Oid, error: git2::Error) -> GitError {
    GitError::Damaged { object: id.to_string(), source: error.into() }
}

fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
