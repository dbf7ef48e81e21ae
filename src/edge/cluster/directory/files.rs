//! The files of a folder that stands for a cluster: one object a file, written atomically.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use portcullis_core::{
    document::{self, yaml},
    identity::ConstraintId,
    plan::{LiveObject, ObjectKey},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::edge::cluster::ClusterError;

/// Held by the one that writes policies, for as long as it runs.
pub(super) const LEADER_LOCK: &str = ".leader.lock";
/// Held for one comparison and write.
pub(super) const WRITE_LOCK: &str = ".write.lock";

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ClusterError {
    let path = path.to_owned();
    move |source| ClusterError::Io { action, path, source }
}

fn lock_file(root: &Path, name: &str) -> Result<File, ClusterError> {
    let path = root.join(name);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open the lock file", &path))
}

/// Takes a lock, waiting for whoever holds it.
pub(super) fn lock(root: &Path, name: &str) -> Result<File, ClusterError> {
    let file = lock_file(root, name)?;
    file.lock().map_err(io_error("lock", &root.join(name)))?;
    Ok(file)
}

/// Takes a lock if nobody holds it.
pub(super) fn try_lock(root: &Path, name: &str) -> Result<Option<File>, ClusterError> {
    let file = lock_file(root, name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(io_error("lock", &root.join(name))(source)),
    }
}

/// Where an object lies. Names that could leave the folder are refused.
pub(super) fn path(root: &Path, area: &str, key: &ObjectKey) -> Result<PathBuf, ClusterError> {
    let parts: Vec<String> = match key {
        ObjectKey::Template(kind) => {
            vec!["constrainttemplates".to_owned(), format!("{}.yaml", kind.to_lowercase())]
        }
        ObjectKey::Constraint(id) => {
            vec!["constraints".to_owned(), id.kind.clone(), format!("{}.yaml", id.name)]
        }
    };
    let plain = |part: &String| {
        !part.starts_with('.') && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    };
    if !parts.iter().all(plain) {
        return Err(ClusterError::Rejected {
            key: key.clone(),
            reason: "its name or kind has characters that no Kubernetes name has".to_owned(),
        });
    }
    Ok(parts.iter().fold(root.join(area), |path, part| path.join(part)))
}

/// Reads one object; `None` where it does not exist. What cannot be parsed is there with a null manifest.
pub(super) fn read(root: &Path, key: &ObjectKey) -> Result<Option<LiveObject>, ClusterError> {
    read_file(&path(root, "policies", key)?)
}

fn read_file(path: &Path) -> Result<Option<LiveObject>, ClusterError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(LiveObject { manifest: parse(&bytes), version: version(&bytes) })),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn parse(bytes: &[u8]) -> Value {
    match yaml::read(bytes, &document::Limits::default()) {
        Ok(documents) => documents.first().map_or(Value::Null, document::Node::to_json),
        Err(_) => Value::Null,
    }
}

fn version(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an object: a hidden temporary file in the cluster folder, flushed to disk, then renamed.
pub(super) fn write(root: &Path, key: &ObjectKey, manifest: &Value) -> Result<LiveObject, ClusterError> {
    let text = document::to_yaml(manifest);
    let path = path(root, "policies", key)?;
    write_file(root, &path, text.as_bytes())?;
    Ok(LiveObject { manifest: parse(text.as_bytes()), version: version(text.as_bytes()) })
}

/// Writes a file atomically, making its folder.
pub(super) fn write_file(root: &Path, path: &Path, bytes: &[u8]) -> Result<(), ClusterError> {
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?;
    let temporary = root.join(format!(".{}.tmp", version(path.to_string_lossy().as_bytes())));
    let mut file = File::create(&temporary).map_err(io_error("write", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error("write", &temporary))?;
    drop(file);
    fs::rename(&temporary, path).map_err(io_error("replace", path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("flush", folder))
}

/// Removes an object and what the server wrote about it.
pub(super) fn remove(root: &Path, key: &ObjectKey) -> Result<(), ClusterError> {
    for area in ["policies", "status"] {
        let path = path(root, area, key)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &path)(error));
            }
            _ => {}
        }
        // An empty folder of a kind is not left behind; one that is not empty stays, and that is no error.
        if let (ObjectKey::Constraint(_), Some(folder)) = (key, path.parent()) {
            let _ = fs::remove_dir(folder);
        }
    }
    Ok(())
}

/// Every template and constraint in force. A constraint without a template is not in force.
pub(super) fn policies(root: &Path) -> Result<BTreeMap<ObjectKey, LiveObject>, ClusterError> {
    let (mut objects, orphans) = stored(root)?;
    for key in orphans {
        objects.remove(&key);
    }
    Ok(objects)
}

/// Every stored object, and the keys of constraints whose template is gone.
pub(super) fn stored(root: &Path) -> Result<(BTreeMap<ObjectKey, LiveObject>, Vec<ObjectKey>), ClusterError> {
    let mut objects = BTreeMap::new();
    let mut template_names = BTreeMap::new();
    for path in yaml_files(&root.join("policies/constrainttemplates"))? {
        let Some(live) = read_file(&path)? else { continue };
        let stem = stem(&path);
        let kind =
            live.manifest.pointer("/spec/crd/spec/names/kind").and_then(Value::as_str).map(str::to_owned);
        template_names.insert(stem, kind.clone());
        if let Some(kind) = kind {
            objects.insert(ObjectKey::Template(kind), live);
        }
    }
    let mut orphans = Vec::new();
    let folder = root.join("policies/constraints");
    for kind_folder in folders(&folder)? {
        let kind =
            kind_folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for path in yaml_files(&kind_folder)? {
            let key = ObjectKey::Constraint(ConstraintId::new(kind.clone(), stem(&path)));
            if !template_names.contains_key(&kind.to_lowercase()) {
                orphans.push(key.clone());
            }
            if let Some(live) = read_file(&path)? {
                objects.insert(key, live);
            }
        }
    }
    // A template that was made unreadable by hand is still there: it is known by the kind of its constraints.
    for key in objects.keys().cloned().collect::<Vec<_>>() {
        let kind = key.unit().to_owned();
        let unreadable = template_names.get(&kind.to_lowercase()).is_some_and(Option::is_none);
        let template = ObjectKey::Template(kind);
        if unreadable
            && !objects.contains_key(&template)
            && let Some(live) = read(root, &template)?
        {
            objects.insert(template, live);
        }
    }
    Ok((objects, orphans))
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", folder)(error)),
    };
    let mut paths = Vec::new();
    for entry in listing {
        let entry = entry.map_err(io_error("list", folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect())
}
