//! Policy files of a working tree, as a source of a bundle.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use portcullis_core::bundle::{FileIssue, SourceFile};
use walkdir::WalkDir;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Files.
    pub files: usize,
    /// Bytes of one file.
    pub file_size: u64,
    /// Bytes of all files.
    pub total_size: u64,
}

impl Default for TreeLimits {
    /// 20,000 files of 1 MiB, 64 MiB in all: the defaults of `source.limits`.
    fn default() -> Self {
        Self { files: 20_000, file_size: 1 << 20, total_size: 64 << 20 }
    }
}

/// A working tree that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A path that cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Too many files, or too many bytes in them.
    #[error("the tree has more than {limit} {what}")]
    TooLarge {
        /// `files` or `bytes`.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
}

/// The files below some paths.
#[derive(Clone, Debug, Default)]
pub struct WorkingTree {
    /// The files, named as a person would write them from where they are, sorted.
    pub files: Vec<SourceFile>,
}

/// Reads the document files and `.portcullisignore` files below some paths, folders or files. Dot folders
/// are skipped, links are not followed but named.
///
/// # Errors
/// A path that is not there or cannot be read; more than is read.
pub fn read(paths: &[PathBuf], limits: &TreeLimits) -> Result<WorkingTree, TreeError> {
    let mut found: BTreeMap<String, SourceFile> = BTreeMap::new();
    let mut total = 0_u64;
    for path in paths {
        fs::metadata(path).map_err(|source| TreeError::Read { path: path.clone(), source })?;
        let walk = WalkDir::new(path).follow_root_links(true).into_iter().filter_entry(|entry| {
            entry.depth() == 0 || !entry.file_type().is_dir() || !is_hidden(entry.file_name())
        });
        for entry in walk {
            let entry = entry.map_err(|error| {
                let at = error.path().unwrap_or(path).to_owned();
                TreeError::Read { path: at, source: io::Error::from(error) }
            })?;
            let kind = entry.file_type();
            let name = shown(entry.path());
            let file = if kind.is_symlink() {
                if !is_policy_file(entry.path()) && !entry.path().is_dir() {
                    continue;
                }
                SourceFile::with_issue(name.clone(), FileIssue::Symlink)
            } else if kind.is_file() && (is_policy_file(entry.path()) || entry.depth() == 0) {
                let size = entry.metadata().map_or(0, |metadata| metadata.len());
                if size > limits.file_size {
                    let issue = FileIssue::TooLarge { bytes: size, limit: limits.file_size };
                    SourceFile::with_issue(name.clone(), issue)
                } else {
                    total = total.saturating_add(size);
                    match fs::read(entry.path()) {
                        Ok(bytes) => SourceFile::new(name.clone(), bytes),
                        Err(error) => {
                            SourceFile::with_issue(name.clone(), FileIssue::Unreadable(error.to_string()))
                        }
                    }
                }
            } else {
                continue;
            };
            found.insert(name, file);
            if found.len() > limits.files {
                return Err(TreeError::TooLarge { what: "files", limit: limits.files as u64 });
            }
            if total > limits.total_size {
                return Err(TreeError::TooLarge { what: "bytes", limit: limits.total_size });
            }
        }
    }
    Ok(WorkingTree { files: found.into_values().collect() })
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with('.')
}

fn is_policy_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    [".yaml", ".yml", ".json", ".portcullisignore"].iter().any(|end| name.ends_with(end))
}

/// A path with `/` and without `.`, as a person may write it from where they are.
fn shown(path: &Path) -> String {
    let clean: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    clean.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use portcullis_core::bundle::FileIssue;

    use super::{TreeError, TreeLimits, read};

    #[test]
    fn files_are_named_as_the_path_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["base/a.yaml", "base/.git/b.yaml", "base/notes.txt", "prod/c.json", "base/big.yaml"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), if path.contains("big") { "a: 1111111" } else { "a: 1" }).unwrap();
        }
        let limits = TreeLimits { file_size: 6, ..TreeLimits::default() };
        let files = read(&[root.join("base/."), root.join("prod")], &limits).unwrap().files;
        let found: Vec<_> = files.iter().map(|file| (file.path.clone(), file.issue.clone())).collect();
        let name = |path: &str| root.join(path).to_str().unwrap().to_owned();
        assert_eq!(
            found,
            [
                (name("base/a.yaml"), None),
                (name("base/big.yaml"), Some(FileIssue::TooLarge { bytes: 10, limit: 6 })),
                (name("prod/c.json"), None)
            ]
        );
        assert_eq!(read(&[root.join("base/a.yaml")], &limits).unwrap().files[0].path, name("base/a.yaml"));
    }

    #[test]
    fn too_much_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml"] {
            fs::write(folder.path().join(name), "a: 1").unwrap();
        }
        let paths = [folder.path().to_owned()];
        let few = TreeLimits { files: 1, ..TreeLimits::default() };
        assert!(matches!(read(&paths, &few), Err(TreeError::TooLarge { what: "files", limit: 1 })));
        let small = TreeLimits { total_size: 5, ..TreeLimits::default() };
        assert!(matches!(read(&paths, &small), Err(TreeError::TooLarge { what: "bytes", .. })));
        assert!(matches!(read(&[folder.path().join("c")], &small), Err(TreeError::Read { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_named_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "a: 1").unwrap();
        std::os::unix::fs::symlink("a.yaml", folder.path().join("b.yaml")).unwrap();
        let files = read(&[folder.path().to_owned()], &TreeLimits::default()).unwrap().files;
        assert_eq!(files[1].issue, Some(FileIssue::Symlink));
    }
}
