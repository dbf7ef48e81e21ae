//! A git repository for tests: bare, in a temporary folder or where it is told to, written without a work
//! tree and without the `git` binary, its commits dated by a counter so that they are the same every time.

#![allow(dead_code, reason = "one vocabulary for all tests, of which each uses a part")]

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use git2::{
    FileMode, ObjectType, Oid, Repository, RepositoryInitOptions, Signature, Time, build::TreeUpdateBuilder,
};
use portcullis_core::identity::Revision;
use tempfile::TempDir;

/// When the first commit of every repository was made: 2026-01-01T00:00:00Z.
pub const FIRST_COMMIT: i64 = 1_767_225_600;

/// A bare repository that tests push to by calling its methods.
pub struct TestRepo {
    repo: Repository,
    path: PathBuf,
    clock: Cell<i64>,
    // Dropped last, and with it the folder on disk.
    folder: Option<TempDir>,
}

impl TestRepo {
    /// An empty repository in a temporary folder that goes with it.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut made = Self::at(&folder.path().join("policies.git"));
        made.folder = Some(folder);
        made
    }

    /// An empty repository made at `path`.
    pub fn at(path: &Path) -> Self {
        let repo = Repository::init_opts(
            path,
            RepositoryInitOptions::new().bare(true).external_template(false).initial_head("main"),
        )
        .unwrap();
        Self { repo, path: path.to_owned(), clock: Cell::new(FIRST_COMMIT), folder: None }
    }

    /// A repository with one commit on `main` that holds these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let made = Self::new();
        made.commit("first", files);
        made
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `file://` URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// The repository itself, for what has no method here.
    pub fn git(&self) -> &Repository {
        &self.repo
    }

    /// The newest commit of `main`.
    pub fn head(&self) -> Revision {
        self.head_of("main").unwrap()
    }

    /// The newest commit of a branch.
    pub fn head_of(&self, branch: &str) -> Option<Revision> {
        let id = self.repo.refname_to_id(&format!("refs/heads/{branch}")).ok()?;
        Some(Revision::new(id.to_string()))
    }

    /// Commits these files (path and content) on `main`, beside what is there.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> Revision {
        self.commit_on("main", message, files)
    }

    /// Commits these files on a branch, which is made where it does not exist.
    pub fn commit_on(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> Revision {
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in files {
            update.upsert(*path, self.blob(content.as_bytes()), FileMode::Blob);
        }
        self.update(branch, message, &mut update)
    }

    /// Commits bytes that need not be text.
    pub fn commit_bytes(&self, message: &str, files: &[(&str, &[u8])]) -> Revision {
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in files {
            update.upsert(*path, self.blob(content), FileMode::Blob);
        }
        self.update("main", message, &mut update)
    }

    /// Commits all files of a folder on disk, at the root of `main`, beside what is there.
    pub fn commit_folder(&self, message: &str, folder: &Path) -> Revision {
        let mut update = TreeUpdateBuilder::new();
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(folder).unwrap();
                update.upsert(path, self.blob(&std::fs::read(entry.path()).unwrap()), FileMode::Blob);
            }
        }
        self.update("main", message, &mut update)
    }

    /// Commits the removal of these paths on `main`.
    pub fn delete(&self, message: &str, paths: &[&str]) -> Revision {
        let mut update = TreeUpdateBuilder::new();
        for path in paths {
            update.remove(*path);
        }
        self.update("main", message, &mut update)
    }

    /// Commits the renaming of a file on `main`.
    pub fn rename(&self, message: &str, from: &str, to: &str) -> Revision {
        let tree = self.tip("main").unwrap().tree().unwrap();
        let entry = tree.get_path(Path::new(from)).unwrap();
        let mut update = TreeUpdateBuilder::new();
        update.remove(from);
        update.upsert(to, entry.id(), FileMode::Blob);
        self.update("main", message, &mut update)
    }

    /// Commits one entry of any mode on `main`: a symlink's blob, a submodule's commit.
    pub fn commit_entry(&self, message: &str, path: &str, id: Oid, mode: FileMode) -> Revision {
        let mut update = TreeUpdateBuilder::new();
        update.upsert(path, id, mode);
        self.update("main", message, &mut update)
    }

    /// Commits a tree as it is on `main`, for what no checked builder makes.
    pub fn commit_tree(&self, message: &str, tree: Oid) -> Revision {
        self.record("main", message, tree, self.tip("main").as_ref())
    }

    /// Writes a blob that no commit names yet.
    pub fn blob(&self, content: &[u8]) -> Oid {
        self.repo.blob(content).unwrap()
    }

    /// Writes a tree object from `(mode, name, id)` as they are, unchecked.
    pub fn raw_tree(&self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        self.repo.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
    }

    /// Makes or moves a branch.
    pub fn branch(&self, name: &str, at: &Revision) {
        self.set(name, Oid::from_str(at.as_str()).unwrap());
    }

    /// Moves `main` to another commit, as a forced push does.
    pub fn force_push(&self, to: &Revision) {
        self.branch("main", to);
    }

    /// Rewrites the newest commit of `main`: the same parents, these files instead of what it changed.
    pub fn amend(&self, message: &str, files: &[(&str, &str)]) -> Revision {
        let tip = self.tip("main").unwrap();
        match tip.parent_id(0) {
            Ok(parent) => self.set("main", parent),
            Err(_) => self.repo.find_reference("refs/heads/main").unwrap().delete().unwrap(),
        }
        self.commit(message, files)
    }

    /// Removes a branch.
    pub fn delete_branch(&self, name: &str) {
        self.repo.find_reference(&format!("refs/heads/{name}")).unwrap().delete().unwrap();
    }

    fn set(&self, branch: &str, id: Oid) {
        self.repo.reference(&format!("refs/heads/{branch}"), id, true, "test").unwrap();
    }

    fn tip(&self, branch: &str) -> Option<git2::Commit<'_>> {
        let id = self.repo.refname_to_id(&format!("refs/heads/{branch}")).ok()?;
        Some(self.repo.find_commit(id).unwrap())
    }

    fn update(&self, branch: &str, message: &str, update: &mut TreeUpdateBuilder) -> Revision {
        let parent = self.tip(branch);
        let baseline = if let Some(parent) = &parent {
            parent.tree().unwrap()
        } else {
            let empty = self.repo.treebuilder(None).unwrap().write().unwrap();
            self.repo.find_tree(empty).unwrap()
        };
        let tree = update.create_updated(&self.repo, &baseline).unwrap();
        self.record(branch, message, tree, parent.as_ref())
    }

    fn record(&self, branch: &str, message: &str, tree: Oid, parent: Option<&git2::Commit<'_>>) -> Revision {
        let seconds = self.clock.get();
        self.clock.set(seconds + 60);
        let author = Signature::new("Ada Author", "ada@example.com", &Time::new(seconds, 0)).unwrap();
        let tree = self.repo.find_tree(tree).unwrap();
        let parents: Vec<&git2::Commit<'_>> = parent.into_iter().collect();
        let id = self.repo.commit(None, &author, &author, message, &tree, &parents).unwrap();
        self.set(branch, id);
        Revision::new(id.to_string())
    }
}
