//! The demo's policy repository: a real one, written with git2.

use std::{
    fs,
    path::{Path, PathBuf},
};

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Time};
use include_dir::{Dir, DirEntry, include_dir};
use jiff::Timestamp;

static STARTER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/bundles/starter");
static OBJECTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/demo/objects");
/// What the bad commit makes of a template.
const BROKEN: &str = include_str!("../../demo/broken-template.yaml");
/// The template that it breaks, from the folder of the policies.
const BREAKS: &str = "required-annotations/template.yaml";

/// What the repository can fail at.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// git refuses.
    #[error("cannot write the demo's repository")]
    Git(#[from] git2::Error),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A repository with a work tree, branch `main`, policies in `policies/`.
pub struct DemoRepository {
    repository: Repository,
    root: PathBuf,
}

impl DemoRepository {
    /// Makes the repository with the starter bundle in it, not committed yet.
    pub fn create(root: &Path) -> Result<Self, RepositoryError> {
        let mut options = RepositoryInitOptions::new();
        options.initial_head("main").no_reinit(true);
        let repository = Repository::init_opts(root, &options)?;
        write_all(&STARTER, &root.join("policies"))?;
        Ok(Self { repository, root: root.to_owned() })
    }

    /// Breaks a template.
    pub fn break_a_template(&self) -> Result<String, RepositoryError> {
        let path = self.root.join("policies").join(BREAKS);
        fs::write(&path, BROKEN).map_err(|source| RepositoryError::Write { path, source })?;
        Ok(format!("policies/{BREAKS}"))
    }

    /// Commits everything there is; returns the short hash.
    pub fn commit(&self, message: &str, at: Timestamp) -> Result<String, RepositoryError> {
        let mut index = self.repository.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = self.repository.find_tree(index.write_tree()?)?;
        let person = Signature::new("Mara Lindqvist", "mara@example.com", &Time::new(at.as_second(), 0))?;
        let parent = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let id = self.repository.commit(Some("HEAD"), &person, &person, message, &tree, &parents)?;
        Ok(id.to_string().chars().take(7).collect())
    }

    /// Files under `policies/`.
    pub fn files(&self) -> usize {
        count(&STARTER)
    }
}

/// Writes the demo's live resources.
pub fn write_objects(folder: &Path) -> Result<usize, RepositoryError> {
    write_all(&OBJECTS, folder)?;
    Ok(count(&OBJECTS))
}

fn count(dir: &Dir<'_>) -> usize {
    dir.files().count() + dir.dirs().map(count).sum::<usize>()
}

fn write_all(dir: &Dir<'_>, to: &Path) -> Result<(), RepositoryError> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(inner) => {
                write_all(inner, to.join(inner.path().file_name().unwrap_or_default()).as_path())?;
            }
            DirEntry::File(file) => {
                let path = to.join(file.path().file_name().unwrap_or_default());
                let failed = |source| RepositoryError::Write { path: path.clone(), source };
                fs::create_dir_all(to).map_err(failed)?;
                fs::write(&path, file.contents()).map_err(failed)?;
            }
        }
    }
    Ok(())
}
