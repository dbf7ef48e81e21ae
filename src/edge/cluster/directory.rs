//! A folder that stands for a cluster: `objects/` are the live resources, `policies/` what is in force,
//! `status/` what the server side would write. It defaults and prunes as an API server does, cascades the
//! deletion of templates, compares and swaps by content hash, and acknowledges at once.

mod files;
mod server;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use portcullis_core::plan::{LiveObject, ObjectKey};
use serde_json::Value;

use super::{Acknowledgement, Cluster, ClusterError, Leadership};

/// A cluster in a folder.
#[derive(Clone, Debug)]
pub struct DirectoryCluster {
    root: PathBuf,
    faults: Arc<Mutex<BTreeMap<ObjectKey, Fault>>>,
}

/// How the folder misbehaves for one object, so that waits, undo and time-outs can be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refuses to store it.
    Refuse(String),
    /// Never acknowledges it.
    NeverAcknowledge,
    /// Stores it, and cannot load it.
    FailToLoad(String),
}

impl DirectoryCluster {
    /// Opens the folder; makes `objects/`, `policies/` and `status/` where they are absent.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, ClusterError> {
        let root = root.into();
        for folder in ["objects", "policies", "status"] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path).map_err(|source| ClusterError::Io {
                action: "make the folder",
                path,
                source,
            })?;
        }
        Ok(Self { root, faults: Arc::default() })
    }

    /// The same folder without making anything, for those who only read.
    pub fn existing(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), faults: Arc::default() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder misbehave for one object until it is told otherwise (`None`).
    pub fn misbehave(&self, key: ObjectKey, fault: Option<Fault>) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => faults.insert(key, fault),
            None => faults.remove(&key),
        };
    }

    fn fault(&self, key: &ObjectKey) -> Option<Fault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ClusterError> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await.map_err(ClusterError::Worker)?
    }
}

/// The advisory lock on the folder; the system gives it back when the process dies.
#[derive(Debug)]
struct FolderLock {
    _file: File,
}

impl Leadership for FolderLock {}

#[async_trait]
impl Cluster for DirectoryCluster {
    async fn policies(&self) -> Result<BTreeMap<ObjectKey, LiveObject>, ClusterError> {
        self.blocking(|this| files::policies(&this.root)).await
    }

    async fn collect(&self) -> Result<Vec<ObjectKey>, ClusterError> {
        self.blocking(|this| {
            let _lock = files::lock(&this.root, files::WRITE_LOCK)?;
            server::collect(&this.root)
        })
        .await
    }

    async fn dry_run(
        &self,
        key: &ObjectKey,
        manifest: &Value,
        template: Option<&Value>,
    ) -> Result<Value, ClusterError> {
        let (key, manifest, template) = (key.clone(), manifest.clone(), template.cloned());
        self.blocking(move |this| server::admit(&this.root, &key, &manifest, template.as_ref())).await
    }

    async fn apply(
        &self,
        key: &ObjectKey,
        manifest: &Value,
        expected: Option<&str>,
    ) -> Result<LiveObject, ClusterError> {
        if let Some(Fault::Refuse(reason)) = self.fault(key) {
            return Err(ClusterError::Rejected { key: key.clone(), reason });
        }
        let (key, manifest, expected) = (key.clone(), manifest.clone(), expected.map(str::to_owned));
        self.blocking(move |this| {
            let _lock = files::lock(&this.root, files::WRITE_LOCK)?;
            let admitted = server::admit(&this.root, &key, &manifest, None)?;
            let present = files::read(&this.root, &key)?;
            if present.as_ref().map(|live| live.version.as_str()) != expected.as_deref() {
                return Err(ClusterError::Conflict { key });
            }
            let live = files::write(&this.root, &key, &admitted)?;
            server::write_status(&this.root, &key, &live)?;
            Ok(live)
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey, expected: &str) -> Result<(), ClusterError> {
        let (key, expected) = (key.clone(), expected.to_owned());
        self.blocking(move |this| {
            let _lock = files::lock(&this.root, files::WRITE_LOCK)?;
            match files::read(&this.root, &key)? {
                None => Ok(()),
                Some(live) if live.version == expected => {
                    files::remove(&this.root, &key)?;
                    server::collect(&this.root).map(|_| ())
                }
                Some(_) => Err(ClusterError::Conflict { key }),
            }
        })
        .await
    }

    async fn acknowledgement(&self, key: &ObjectKey) -> Result<Acknowledgement, ClusterError> {
        match self.fault(key) {
            Some(Fault::NeverAcknowledge) => {
                return Ok(Acknowledgement::Pending("the folder was told never to acknowledge".to_owned()));
            }
            Some(Fault::FailToLoad(reason)) => return Ok(Acknowledgement::Failed(reason)),
            Some(Fault::Refuse(_)) | None => {}
        }
        let key = key.clone();
        self.blocking(move |this| server::load(&this.root, &key)).await
    }

    async fn annotate(
        &self,
        key: &ObjectKey,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<bool, ClusterError> {
        let (key, changes) = (key.clone(), changes.clone());
        self.blocking(move |this| {
            let _lock = files::lock(&this.root, files::WRITE_LOCK)?;
            let Some(mut live) = files::read(&this.root, &key)? else { return Ok(false) };
            server::annotate(&mut live.manifest, &changes);
            files::write(&this.root, &key, &live.manifest)?;
            Ok(true)
        })
        .await
    }

    fn object_paths(&self) -> Vec<PathBuf> {
        vec![self.root.join("objects")]
    }

    fn enforced_by(&self) -> &'static str {
        "simulated"
    }

    async fn lead(&self) -> Result<Option<Box<dyn Leadership>>, ClusterError> {
        self.blocking(|this| {
            let file = files::try_lock(&this.root, files::LEADER_LOCK)?;
            Ok(file.map(|file| Box::new(FolderLock { _file: file }) as Box<dyn Leadership>))
        })
        .await
    }
}
