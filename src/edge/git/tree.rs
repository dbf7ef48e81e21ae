//! The policy files of a revision, read straight from git objects.

use std::collections::{BTreeMap, btree_map::Entry};

use git2::{FileMode, Odb, Oid, Repository};
use portcullis_core::identity::Revision;

use super::{
    TreeLimits,
    error::{Bound, GitError},
};

/// Folders may lie this deep in one another; deeper ones are reported and not entered.
pub(super) const MOST_DEPTH: usize = 100;
/// Entries of folders looked at in one reading, so that a small repository of folders that name one another
/// many times over ends.
const MOST_ENTRIES: u64 = 2_000_000;
/// Bytes of a path.
const MOST_PATH: usize = 4096;

/// The policy files of a revision, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The commit they are of.
    pub revision: Revision,
    /// The files, those that are refused too.
    pub files: Vec<TreeFile>,
}

/// One file, or what stands where one was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Path from the root of the repository, with `/`; what is not UTF-8 in it is replaced.
    pub path: String,
    /// Its bytes, or why it was not read.
    pub content: Result<Vec<u8>, FileIssue>,
}

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileIssue {
    /// A symbolic link.
    Symlink,
    /// A submodule.
    Submodule,
    /// A file over `limits.fileSize`.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// How many may be.
        limit: u64,
    },
    /// A name that is not UTF-8, has control characters, is too long, or is no name (`.`, `..`).
    InvalidPath,
    /// A folder that lies deeper than this many others.
    TooDeep {
        /// How many may be.
        limit: usize,
    },
}

impl std::fmt::Display for FileIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Symlink => f.write_str("it is a symbolic link"),
            Self::Submodule => f.write_str("it is a submodule"),
            Self::TooLarge { size, limit } => write!(f, "it has {size} bytes, and {limit} are allowed"),
            Self::InvalidPath => f.write_str("its name is not UTF-8, has control characters, or is too long"),
            Self::TooDeep { limit } => write!(f, "it lies in more than {limit} folders"),
        }
    }
}

/// Whether a file of this name is read: YAML, JSON and ignore files.
pub fn is_policy_file(name: &[u8]) -> bool {
    [b".yaml".as_slice(), b".yml", b".json", b".portcullisignore"].iter().any(|end| name.ends_with(end))
}

/// Reads the policy files below `paths` of a commit's tree.
pub(super) fn read(
    repo: &Repository,
    revision: &Revision,
    root: &git2::Tree<'_>,
    paths: &[String],
    limits: &TreeLimits,
) -> Result<Tree, GitError> {
    let odb = repo.odb().map_err(|error| damaged(root.id(), error))?;
    let mut reader = Reader { repo, odb, root, limits, files: BTreeMap::new(), total: 0, entries: 0 };
    for path in paths {
        let clean = clean(path)?;
        if clean.is_empty() {
            reader.walk(root.id(), String::new())?;
            continue;
        }
        let no_such_path = || GitError::NoSuchPath { revision: revision.clone(), path: path.clone() };
        let entry = match root.get_path(clean.as_ref()) {
            Ok(entry) => entry,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Err(no_such_path()),
            Err(error) => return Err(damaged(root.id(), error)),
        };
        match mode(&entry) {
            FileMode::Tree => reader.walk(entry.id(), clean)?,
            FileMode::Link => reader.add_issue(clean, FileIssue::Symlink)?,
            FileMode::Commit => reader.add_issue(clean, FileIssue::Submodule)?,
            _ if is_policy_file(clean.as_bytes()) => reader.add_blob(clean, entry.id())?,
            _ => return Err(no_such_path()),
        }
    }
    let files = reader.files.into_iter().map(|(path, content)| TreeFile { path, content }).collect();
    Ok(Tree { revision: revision.clone(), files })
}

struct Reader<'a> {
    repo: &'a Repository,
    odb: Odb<'a>,
    root: &'a git2::Tree<'a>,
    limits: &'a TreeLimits,
    files: BTreeMap<String, Result<Vec<u8>, FileIssue>>,
    total: u64,
    entries: u64,
}

impl Reader<'_> {
    /// Reads all below one folder; with a stack of its own, so that depth costs no stack of the thread.
    fn walk(&mut self, folder: Oid, path: String) -> Result<(), GitError> {
        let mut waiting = vec![(folder, path, 0)];
        while let Some((folder, path, depth)) = waiting.pop() {
            let tree = self.repo.find_tree(folder).map_err(|error| damaged(folder, error))?;
            for entry in &tree {
                self.entries += 1;
                if self.entries > MOST_ENTRIES {
                    return Err(GitError::TooLarge {
                        what: Bound::Entries,
                        found: self.entries,
                        limit: MOST_ENTRIES,
                    });
                }
                let name = entry.name_bytes();
                let mode = mode(&entry);
                if matches!(mode, FileMode::Tree | FileMode::Commit)
                    && name.starts_with(b".")
                    && !is_dots(name)
                {
                    continue;
                }
                let Some(below) = join(&path, name) else {
                    if mode != FileMode::Blob || is_policy_file(name) {
                        self.add_issue(shown(&path, name), FileIssue::InvalidPath)?;
                    }
                    continue;
                };
                match mode {
                    FileMode::Tree if depth >= MOST_DEPTH => {
                        self.add_issue(below, FileIssue::TooDeep { limit: MOST_DEPTH })?;
                    }
                    FileMode::Tree => waiting.push((entry.id(), below, depth + 1)),
                    FileMode::Commit => self.add_issue(below, FileIssue::Submodule)?,
                    FileMode::Link
                        if is_policy_file(name) || self.may_hide_policies(&path, name, entry.id()) =>
                    {
                        self.add_issue(below, FileIssue::Symlink)?;
                    }
                    FileMode::Link => {}
                    _ if is_policy_file(name) => self.add_blob(below, entry.id())?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a link by another name may stand for a folder of policies. One to a file that is there does not.
    fn may_hide_policies(&self, folder: &str, name: &[u8], link: Oid) -> bool {
        let target = self.odb.read_header(link).ok().filter(|(size, _)| *size <= MOST_PATH).and_then(|_| {
            let blob = self.repo.find_blob(link).ok()?;
            let target = std::str::from_utf8(blob.content()).ok()?;
            resolve(folder, target)
        });
        let found = match target {
            Some(target) if target.is_empty() => return true,
            Some(target) => self.root.get_path(target.as_ref()).ok(),
            None => None,
        };
        match found.as_ref().map(mode) {
            Some(FileMode::Tree | FileMode::Commit) => true,
            Some(FileMode::Blob | FileMode::BlobExecutable | FileMode::BlobGroupWritable) => false,
            // A link to a link, to nothing or out of the repository: by its name.
            _ => !name.contains(&b'.'),
        }
    }

    fn add_issue(&mut self, path: String, issue: FileIssue) -> Result<(), GitError> {
        self.files.entry(path).or_insert(Err(issue));
        self.count()
    }

    /// Adds a file, whose size is looked at before its content is.
    fn add_blob(&mut self, path: String, id: Oid) -> Result<(), GitError> {
        let Entry::Vacant(place) = self.files.entry(path) else { return Ok(()) };
        let (size, kind) = self.odb.read_header(id).map_err(|error| damaged(id, error))?;
        let size = size as u64;
        if kind != git2::ObjectType::Blob {
            return Err(damaged(
                id,
                git2::Error::from_str("expected a file's content, found something else"),
            ));
        }
        if size > self.limits.file_size {
            place.insert(Err(FileIssue::TooLarge { size, limit: self.limits.file_size }));
            return self.count();
        }
        self.total += size;
        if self.total > self.limits.total_size {
            return Err(GitError::TooLarge {
                what: Bound::TotalSize,
                found: self.total,
                limit: self.limits.total_size,
            });
        }
        let blob = self.repo.find_blob(id).map_err(|error| damaged(id, error))?;
        place.insert(Ok(blob.content().to_vec()));
        self.count()
    }

    fn count(&self) -> Result<(), GitError> {
        let found = self.files.len() as u64;
        if found > self.limits.files {
            return Err(GitError::TooLarge { what: Bound::Files, found, limit: self.limits.files });
        }
        Ok(())
    }
}

fn mode(entry: &git2::TreeEntry<'_>) -> FileMode {
    // By the type bits, as git does: old repositories have odd permission bits.
    match entry.filemode_raw() & 0o170_000 {
        0o040_000 => FileMode::Tree,
        0o120_000 => FileMode::Link,
        0o160_000 => FileMode::Commit,
        0o100_000 => FileMode::Blob,
        _ => FileMode::Unreadable,
    }
}

fn damaged(id: Oid, error: git2::Error) -> GitError {
    GitError::Damaged { object: id.to_string(), source: error.into() }
}

fn is_dots(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

/// A path below a folder; `None` where the name is none that a path may have.
fn join(folder: &str, name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name.is_empty() || is_dots(name.as_bytes()) || name.chars().any(|c| c == '/' || c.is_control()) {
        return None;
    }
    let joined = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    (joined.len() <= MOST_PATH).then_some(joined)
}

fn shown(folder: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let name: String = name
        .chars()
        .take(200)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if folder.is_empty() { name } else { format!("{folder}/{name}") }
}

/// One of `source.paths`, without what says nothing; empty for the root.
fn clean(path: &str) -> Result<String, GitError> {
    let refused = || GitError::Setting {
        key: "paths",
        reason: format!("expected a folder below the repository's root, found {path:?}"),
        hint: "write a path from the root of the repository without .. in it, for example policies",
    };
    if path.starts_with('/') {
        return Err(refused());
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") { Err(refused()) } else { Ok(parts.join("/")) }
}

/// Where a link in `folder` points, from the root; `None` where that is outside.
fn resolve(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{clean, is_policy_file, join, resolve};

    #[test]
    fn policy_files_go_by_the_end_of_their_name() {
        for name in ["a.yaml", "a.yml", "a.json", ".portcullisignore", "x.portcullisignore"] {
            assert!(is_policy_file(name.as_bytes()), "{name}");
        }
        for name in ["a.yaml.bak", "yaml", "a.rego", "README.md"] {
            assert!(!is_policy_file(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn configured_paths_are_cleaned_and_stay_inside() {
        assert_eq!(clean(".").unwrap(), "");
        assert_eq!(clean("./a//b/").unwrap(), "a/b");
        assert!(clean("../a").is_err());
        assert!(clean("a/../..").is_err());
        assert!(clean("/etc").is_err());
    }

    #[test]
    fn links_are_resolved_without_leaving_the_root() {
        assert_eq!(resolve("a/b", "../c").as_deref(), Some("a/c"));
        assert_eq!(resolve("", ".").as_deref(), Some(""));
        assert_eq!(resolve("a", "../../c"), None);
        assert_eq!(resolve("a", "/etc"), None);
    }

    #[test]
    fn names_that_are_none_have_no_path() {
        assert_eq!(join("a", b"b").as_deref(), Some("a/b"));
        for bad in [b"..".as_slice(), b".", b"", b"a/b", b"a\nb", b"\xff"] {
            assert_eq!(join("a", bad), None);
        }
    }
}
