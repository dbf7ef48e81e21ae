//! The cluster as a port: a folder that stands for one, later a real API server, behind one trait.

pub mod directory;

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use portcullis_core::plan::{LiveObject, ObjectKey};
use serde_json::Value;

/// What can go wrong with the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Somebody else wrote in between.
    #[error("{key} was changed by somebody else in between")]
    Conflict {
        /// Which object.
        key: ObjectKey,
    },
    /// The cluster does not take the object.
    #[error("the cluster refuses {key}: {reason}")]
    Rejected {
        /// Which object.
        key: ObjectKey,
        /// Its words.
        reason: String,
    },
    /// A file or folder of the cluster cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The worker that did it died.
    #[error("the cluster's worker ended unexpectedly")]
    Worker(#[source] tokio::task::JoinError),
}

/// Whether the enforcers took an object over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// All of them did.
    Done,
    /// Not yet, and what is waited for.
    Pending(String),
    /// One of them cannot load it.
    Failed(String),
}

/// Held by the one that writes; given back when dropped or when its process dies.
pub trait Leadership: Send + Sync + std::fmt::Debug {}

/// A cluster that holds policies and resources.
#[async_trait]
pub trait Cluster: Send + Sync + std::fmt::Debug {
    /// Every ConstraintTemplate and constraint there is, others' included.
    async fn policies(&self) -> Result<BTreeMap<ObjectKey, LiveObject>, ClusterError>;

    /// Removes what the server would have collected: constraints whose template is gone. Only the leader calls it.
    async fn collect(&self) -> Result<Vec<ObjectKey>, ClusterError>;

    /// What the server would make of a manifest, without writing it; `template` is the manifest of its template
    /// where that is written in the same sync.
    async fn dry_run(
        &self,
        key: &ObjectKey,
        manifest: &Value,
        template: Option<&Value>,
    ) -> Result<Value, ClusterError>;

    /// Writes an object if its version still is `expected` (`None`: if it does not exist).
    async fn apply(
        &self,
        key: &ObjectKey,
        manifest: &Value,
        expected: Option<&str>,
    ) -> Result<LiveObject, ClusterError>;

    /// Deletes an object if its version still is `expected`, a template together with its constraints.
    async fn delete(&self, key: &ObjectKey, expected: &str) -> Result<(), ClusterError>;

    /// Whether an object, as it is now, is in force.
    async fn acknowledgement(&self, key: &ObjectKey) -> Result<Acknowledgement, ClusterError>;

    /// Sets (`Some`) and removes (`None`) annotations of an object, as a person does; `false` where there is
    /// no such object.
    async fn annotate(
        &self,
        key: &ObjectKey,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<bool, ClusterError>;

    /// The files and folders of the live resources.
    fn object_paths(&self) -> Vec<PathBuf>;

    /// Who enforces, in a word: `simulated` on a folder.
    fn enforced_by(&self) -> &'static str;

    /// Tries to become the one that writes; `None` while another is.
    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, ClusterError>;
}
