//! A remote on this machine: another repository's folder, bare or with a work tree.

use std::path::Path;

use git2::{ErrorCode, OdbLookupFlags, Oid, Repository, RepositoryOpenFlags};

use super::{
    advertisement::Advertisement,
    error::GitError,
    pack::{self, PackSink},
};

/// An open repository on this machine. It is read object by object, without a transport, so that no
/// `url.<base>.insteadOf` and no hook of whoever runs this comes between.
pub(super) struct LocalRemote {
    repo: Repository,
    url: String,
}

impl LocalRemote {
    /// Opens the repository at `path`, not looking for one in the folders above.
    pub(super) fn open(path: &Path, url: &str) -> Result<Self, GitError> {
        let nothing =
            |detail: &str| GitError::NotARepository { url: url.to_owned(), detail: detail.to_owned() };
        match path.metadata() {
            Ok(data) if !data.is_dir() => return Err(nothing("it is a file")),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(nothing("nothing is there"));
            }
            Err(error) => return Err(GitError::Unreachable { url: url.to_owned(), source: error.into() }),
        }
        let ceiling: [&str; 0] = [];
        match Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, ceiling) {
            Ok(repo) => Ok(Self { repo, url: url.to_owned() }),
            Err(error) if error.code() == ErrorCode::Owner => Err(GitError::Owner { url: url.to_owned() }),
            Err(error) if error.code() == ErrorCode::NotFound => {
                Err(nothing("the folder holds no git repository"))
            }
            Err(error) => Err(nothing(error.message())),
        }
    }

    /// Its branches.
    pub(super) fn advertise(&self) -> Result<Advertisement, GitError> {
        let mut seen = Advertisement::default();
        for reference in self.repo.references_glob("refs/heads/*").map_err(|error| self.unreadable(&error))? {
            // One broken reference does not hide the others; it shows as a missing branch.
            let Ok(reference) = reference else { continue };
            let Ok(name) = reference.name() else { continue };
            let Ok(target) = reference.resolve() else { continue };
            if let (Some(branch), Some(id)) = (name.strip_prefix("refs/heads/"), target.target()) {
                seen.branches.insert(branch.to_owned(), id);
            }
        }
        Ok(seen)
    }

    /// Sends what `want` reaches and `cache` does not have.
    pub(super) fn download(
        &self,
        want: Oid,
        cache: &git2::Odb<'_>,
        sink: &mut PackSink<'_>,
    ) -> Result<(), GitError> {
        pack::copy(&self.repo, &[want], |id| cache.exists_ext(id, OdbLookupFlags::NO_REFRESH), sink)
    }

    fn unreadable(&self, error: &git2::Error) -> GitError {
        GitError::Server { url: self.url.clone(), message: error.message().to_owned(), transient: false }
    }
}
