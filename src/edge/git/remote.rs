//! The remote, of whichever kind.

use git2::{Oid, Repository};

use super::{
    GitSettings, address::Address, advertisement::Advertisement, cache::Cache, error::GitError,
    local::LocalRemote, pack::PackSink, smart::SmartRemote, watch::Watch,
};

/// A conversation with the remote.
pub(super) enum Remote {
    /// A folder.
    Local(LocalRemote),
    /// A server.
    Smart(Box<SmartRemote>),
}

impl Remote {
    /// Begins it; a server is not asked yet.
    pub(super) fn open(address: &Address, settings: &GitSettings, watch: &Watch) -> Result<Self, GitError> {
        watch.check()?;
        Ok(match address {
            Address::Local(path) => Self::Local(LocalRemote::open(path, watch.url())?),
            Address::Http(base) => Self::Smart(Box::new(SmartRemote::open(base, settings, watch)?)),
        })
    }

    /// Asks for the branches.
    pub(super) fn advertise(&mut self) -> Result<Advertisement, GitError> {
        match self {
            Self::Local(remote) => remote.advertise(),
            Self::Smart(remote) => remote.advertise(),
        }
    }

    /// Brings what `want` reaches and the cache does not have.
    pub(super) fn download(
        &self,
        seen: &Advertisement,
        want: Oid,
        cache: &Cache,
        repo: &Repository,
        sink: &mut PackSink<'_>,
    ) -> Result<(), GitError> {
        match self {
            Self::Local(remote) => {
                let odb = repo.odb().map_err(|error| cache.failed("read", error))?;
                remote.download(want, &odb, sink)
            }
            Self::Smart(remote) => remote.download(seen, want, &cache.haves(repo), sink),
        }
    }
}
