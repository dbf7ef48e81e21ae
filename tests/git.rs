//! The git edge against real repositories and a real git server.

mod cache;
mod local;
mod server;
mod tree;

use std::{path::Path, time::Duration};

use portcullis::edge::git::{FileIssue, GitSettings, GitSource, Tree, TreeLimits};
use tempfile::TempDir;

pub const LIMITS: TreeLimits = TreeLimits { files: 20_000, file_size: 1 << 20, total_size: 64 << 20 };

/// Settings for `main` of `url`, with the cache in `folder`.
pub fn settings(url: &str, folder: &Path) -> GitSettings {
    GitSettings {
        url: url.to_owned(),
        branch: "main".to_owned(),
        cache: folder.join("cache"),
        limits: LIMITS,
        auth: None,
        ca_file: None,
        proxy: None,
        timeout: Duration::from_mins(1),
    }
}

/// A source of `url` and the folder its cache is in.
pub fn source(url: &str) -> (TempDir, GitSource) {
    let folder = TempDir::new().unwrap();
    let source = GitSource::open(settings(url, folder.path())).unwrap();
    (folder, source)
}

pub fn everything() -> Vec<String> {
    vec![".".to_owned()]
}

pub fn paths(tree: &Tree) -> Vec<&str> {
    tree.files.iter().map(|file| file.path.as_str()).collect()
}

pub fn text<'a>(tree: &'a Tree, path: &str) -> &'a str {
    let file = tree.files.iter().find(|file| file.path == path).unwrap();
    std::str::from_utf8(file.content.as_ref().unwrap()).unwrap()
}

pub fn issue<'a>(tree: &'a Tree, path: &str) -> &'a FileIssue {
    let file = tree.files.iter().find(|file| file.path == path).unwrap();
    file.content.as_ref().unwrap_err()
}
