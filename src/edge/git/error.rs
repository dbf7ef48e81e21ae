//! What can go wrong between a git remote, the cache and a reader, and what to do about it.

use std::{error::Error, path::PathBuf, time::Duration};

use portcullis_core::identity::Revision;

/// The cause of an error, of whatever library.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why git could not be asked or read. No message holds a secret: URLs are kept without user and password.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// `source.url`, `source.branch` or `source.proxy` is not one this can use.
    #[error("source.{key}: {reason}")]
    Setting {
        /// The key below `source`.
        key: &'static str,
        /// Expected and found.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// There is no cache of this source, and this process only reads.
    #[error("there is no git cache of this source in {}", path.display())]
    NoCache {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The token or password could not be read.
    #[error("source.auth: the credentials cannot be read")]
    Credentials {
        /// Which, and why.
        #[source]
        source: Cause,
    },
    /// The certificates could not be read.
    #[error("source.caFile: {} cannot be read", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: Cause,
    },
    /// There is something, and it is no git repository.
    #[error("{url} is not a git repository: {detail}")]
    NotARepository {
        /// The remote.
        url: String,
        /// What was found instead.
        detail: String,
    },
    /// A local repository that belongs to another user.
    #[error("the repository {url} belongs to another user, so git does not open it")]
    Owner {
        /// The remote.
        url: String,
    },
    /// No connection, or it broke.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// The remote.
        url: String,
        /// The network's reason.
        #[source]
        source: Cause,
    },
    /// The remote wants credentials, or refuses those it was given.
    #[error("{url} {} ({status})", if *given { "refused the credentials" } else { "asks for credentials, and none are configured" })]
    Authentication {
        /// The remote.
        url: String,
        /// HTTP status.
        status: u16,
        /// Whether credentials were sent.
        given: bool,
    },
    /// The server's certificate is not trusted.
    #[error("the certificate of {url} is not trusted")]
    Certificate {
        /// The remote.
        url: String,
        /// The verifier's reason.
        #[source]
        source: Cause,
    },
    /// The remote has branches, and not this one.
    #[error("{url} has no branch {branch}, {}", listed(existing))]
    NoSuchBranch {
        /// The remote.
        url: String,
        /// `source.branch`.
        branch: String,
        /// The first few branches there are.
        existing: Vec<String>,
    },
    /// The remote has no branch at all.
    #[error("the repository {url} is empty: it has no branch yet")]
    Empty {
        /// The remote.
        url: String,
    },
    /// The remote sends its visitors elsewhere.
    #[error("{url} redirects to {to}, which is another server")]
    Redirect {
        /// The remote.
        url: String,
        /// Where it points, scheme, host and path only.
        to: String,
    },
    /// The fetch took longer than it may.
    #[error("{url} took longer than {}", seconds(*after))]
    Timeout {
        /// The remote.
        url: String,
        /// The bound.
        after: Duration,
    },
    /// The fetch was told to stop.
    #[error("the fetch from {url} was stopped")]
    Stopped {
        /// The remote.
        url: String,
    },
    /// The server, or git on it, answered with an error.
    #[error("{url} answered: {message}")]
    Server {
        /// The remote.
        url: String,
        /// What it said.
        message: String,
        /// Whether it may say something else next time.
        transient: bool,
    },
    /// The answer is not git's protocol, or a form of it that is not spoken here.
    #[error("{url} speaks no git that is understood here: {detail}")]
    Protocol {
        /// The remote.
        url: String,
        /// Expected and found.
        detail: String,
    },
    /// The repository holds, or sends, more than it may.
    #[error("{what}: found {found}, allowed {limit}")]
    TooLarge {
        /// What was counted.
        what: Bound,
        /// How much there is, at least.
        found: u64,
        /// How much may be.
        limit: u64,
    },
    /// The cache's folder could not be made or written.
    #[error("the git cache {} cannot be {doing}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// `made`, `written` …
        doing: &'static str,
        /// The reason.
        #[source]
        source: Cause,
    },
    /// An object of the cache is missing or not what its name says; the next fetch makes the cache anew.
    #[error("the git cache is damaged: {object} cannot be read")]
    Damaged {
        /// The object's id.
        object: String,
        /// The reason.
        #[source]
        source: Cause,
    },
    /// The cache does not have this commit.
    #[error("revision {revision} is not in the git cache")]
    UnknownRevision {
        /// The commit asked for.
        revision: Revision,
    },
    /// One of `source.paths` is not in the revision.
    #[error("source.paths: revision {} has no folder {path}", revision.short())]
    NoSuchPath {
        /// The commit.
        revision: Revision,
        /// The path as configured.
        path: String,
    },
}

/// What a bound counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `source.limits.files`.
    Files,
    /// `source.limits.totalSize`, in bytes.
    TotalSize,
    /// Entries of folders looked at, policy or not.
    Entries,
    /// Bytes received in one fetch.
    Received,
    /// Bytes of the list of references.
    Advertisement,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Files => "too many policy files",
            Self::TotalSize => "policy files too large together (bytes)",
            Self::Entries => "too many files and folders",
            Self::Received => "the fetch is too large (bytes)",
            Self::Advertisement => "the list of branches and tags is too large (bytes)",
        })
    }
}

impl GitError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Setting { hint, .. } => (*hint).to_owned(),
            Self::CaFile { .. } | Self::Credentials { .. } => {
                "check that the file exists and that this process may read it".to_owned()
            }
            Self::NoCache { .. } => {
                "`portcullis run` or `portcullis sync --once` with this configuration makes it".to_owned()
            }
            Self::NotARepository { .. } => {
                "check source.url; some servers say this of a repository that the credentials may not read"
                    .to_owned()
            }
            Self::Owner { .. } => {
                "run as the owner of the repository, or name it in git's safe.directory".to_owned()
            }
            Self::Unreachable { .. } => {
                "check the host and port of source.url, the network, and source.proxy".to_owned()
            }
            Self::Authentication { given: false, .. } => {
                "set source.auth to a tokenFile, or to a username and a passwordFile".to_owned()
            }
            Self::Authentication { given: true, .. } => {
                "check that the token or password in source.auth is current and may read the repository"
                    .to_owned()
            }
            Self::Certificate { .. } => {
                "name the file with the server's certificate authority in source.caFile".to_owned()
            }
            Self::NoSuchBranch { .. } => "set source.branch to a branch that exists".to_owned(),
            Self::Empty { .. } => "push a first commit".to_owned(),
            Self::Redirect { .. } => {
                "set source.url to where the repository lies now; credentials are sent to no other server"
                    .to_owned()
            }
            Self::TooLarge { what: Bound::Files, .. } => {
                "narrow source.paths, or raise source.limits.files".to_owned()
            }
            Self::TooLarge { what: Bound::TotalSize, .. } => {
                "narrow source.paths, or raise source.limits.totalSize".to_owned()
            }
            Self::TooLarge { what: Bound::Entries, .. } => "narrow source.paths".to_owned(),
            Self::TooLarge { .. } => {
                "keep policies in a repository of their own, without large files in its history".to_owned()
            }
            Self::Cache { .. } => {
                "check that this process may write the folder `state` of the configuration".to_owned()
            }
            Self::Damaged { .. } => "the next fetch that reaches the remote makes it anew".to_owned(),
            Self::NoSuchPath { .. } => "correct source.paths, or add the folder to the repository".to_owned(),
            Self::Timeout { .. }
            | Self::Stopped { .. }
            | Self::Server { .. }
            | Self::Protocol { .. }
            | Self::UnknownRevision { .. } => return None,
        })
    }

    /// Whether the same request may succeed later with nobody doing anything about it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Stopped { .. } | Self::Damaged { .. } => {
                true
            }
            Self::Server { transient, .. } => *transient,
            _ => false,
        }
    }
}

fn listed(existing: &[String]) -> String {
    match existing {
        [one] => format!("only {one}"),
        many => format!("but {}", many.join(", ")),
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
