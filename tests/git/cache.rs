//! The cache across restarts, and when it is not what it should be.

use std::{fs, path::Path};

use portcullis::edge::git::{CacheState, GitError, GitSource};
use tempfile::TempDir;

use super::{everything, paths, settings, text};
use crate::support::repo::TestRepo;

/// Overwrites the middle of every pack.
fn damage_packs(cache: &Path) {
    for entry in fs::read_dir(cache.join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            let mut bytes = fs::read(&path).unwrap();
            let length = bytes.len();
            bytes[12..length - 20].fill(0xa5);
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_restart_with_the_remote_gone_reads_on() {
    let folder = TempDir::new().unwrap();
    let remote = folder.path().join("remote.git");
    let repo = TestRepo::at(&remote);
    let head = repo.commit("first", &[("a.yaml", "a")]);
    let settings = settings(remote.to_str().unwrap(), folder.path());
    let source = GitSource::open(settings.clone()).unwrap();
    assert_eq!(source.cache_state(), &CacheState::New);
    source.fetch().unwrap();
    source.keep(&head).unwrap();
    drop((source, repo));
    fs::remove_dir_all(&remote).unwrap();
    let source = GitSource::open(settings).unwrap();
    assert_eq!(source.cache_state(), &CacheState::Kept);
    assert!(source.fetch().is_err());
    assert_eq!((source.last_fetched(), source.kept()), (Some(head.clone()), Some(head.clone())));
    assert_eq!(text(&source.read(&head, &everything()).unwrap(), "a.yaml"), "a");
}

#[test]
fn a_cache_that_is_damaged_at_start_is_made_anew() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let folder = TempDir::new().unwrap();
    let settings = settings(&repo.url(), folder.path());
    GitSource::open(settings.clone()).unwrap().fetch().unwrap();
    damage_packs(&settings.cache);
    let source = GitSource::open(settings.clone()).unwrap();
    assert_eq!(source.cache_state(), &CacheState::Damaged);
    assert_eq!(source.last_fetched(), None);
    let head = source.fetch().unwrap().revision;
    assert_eq!(paths(&source.read(&head, &everything()).unwrap()), ["a.yaml"]);
    drop(source);
    // Nor does a folder that git takes for no repository at all stop it.
    fs::remove_file(settings.cache.join("HEAD")).unwrap();
    let source = GitSource::open(settings).unwrap();
    assert_eq!(source.cache_state(), &CacheState::Damaged);
    assert!(source.fetch().unwrap().changed);
}

#[test]
fn a_cache_that_is_damaged_while_it_is_used_is_made_anew_by_the_next_fetch() {
    let repo =
        TestRepo::with(&[("a.yaml", "a"), ("b.yaml", "a longer text, so that there is something to break")]);
    let folder = TempDir::new().unwrap();
    let source = GitSource::open(settings(&repo.url(), folder.path())).unwrap();
    let head = source.fetch().unwrap().revision;
    damage_packs(&folder.path().join("cache"));
    let error = source.read(&head, &everything()).unwrap_err();
    assert!(matches!(error, GitError::Damaged { .. }) && error.is_transient(), "{error}");
    assert!(source.fetch().unwrap().changed);
    assert_eq!(paths(&source.read(&head, &everything()).unwrap()), ["a.yaml", "b.yaml"]);
}

#[test]
fn a_damaged_newest_revision_leaves_the_kept_one_until_the_remote_answers() {
    let folder = TempDir::new().unwrap();
    let remote = folder.path().join("remote.git");
    let repo = TestRepo::at(&remote);
    let settings = settings(remote.to_str().unwrap(), folder.path());
    let source = GitSource::open(settings.clone()).unwrap();
    let kept = repo.commit("first", &[("a.yaml", "a")]);
    source.fetch().unwrap();
    source.keep(&kept).unwrap();
    let packs =
        || fs::read_dir(settings.cache.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let old: Vec<_> = packs().collect();
    // The kept revision is no longer in the branch, so that only the cache has it.
    let newest = repo.amend("rewritten", &[("b.yaml", "b")]);
    source.fetch().unwrap();
    for path in packs().filter(|path| !old.contains(path)) {
        fs::remove_file(path).unwrap();
    }
    drop(source);
    let away = folder.path().join("away.git");
    fs::rename(&remote, &away).unwrap();
    let source = GitSource::open(settings).unwrap();
    assert_eq!(source.cache_state(), &CacheState::PartlyDamaged);
    assert!(source.fetch().is_err());
    assert_eq!(paths(&source.read(&kept, &everything()).unwrap()), ["a.yaml"]);
    assert!(matches!(source.read(&newest, &everything()).unwrap_err(), GitError::Damaged { .. }));
    fs::rename(&away, &remote).unwrap();
    assert_eq!(source.fetch().unwrap().revision, newest);
    assert_eq!(paths(&source.read(&newest, &everything()).unwrap()), ["b.yaml"]);
    assert_eq!(source.kept(), Some(kept.clone()));
    assert_eq!(paths(&source.read(&kept, &everything()).unwrap()), ["a.yaml"]);
}

#[test]
fn the_cache_of_another_source_is_replaced() {
    let (one, two) = (TestRepo::with(&[("a.yaml", "a")]), TestRepo::with(&[("b.yaml", "b")]));
    let folder = TempDir::new().unwrap();
    let source = GitSource::open(settings(&one.url(), folder.path())).unwrap();
    let old = source.fetch().unwrap().revision;
    drop(source);
    let source = GitSource::open(settings(&two.url(), folder.path())).unwrap();
    assert_eq!(source.cache_state(), &CacheState::OtherSource);
    assert_eq!(source.last_fetched(), None);
    assert!(!source.contains(&old));
    assert_eq!(source.fetch().unwrap().revision, two.head());
}

#[test]
fn what_is_no_cache_is_moved_aside_and_not_deleted() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let folder = TempDir::new().unwrap();
    let settings = settings(&repo.url(), folder.path());
    fs::create_dir(&settings.cache).unwrap();
    fs::write(settings.cache.join("thesis.txt"), "years of work").unwrap();
    let source = GitSource::open(settings.clone()).unwrap();
    let moved_to = folder.path().join("cache.foreign");
    assert_eq!(source.cache_state(), &CacheState::Foreign { moved_to: moved_to.clone() });
    assert_eq!(fs::read_to_string(moved_to.join("thesis.txt")).unwrap(), "years of work");
    assert!(source.fetch().unwrap().changed);
}

#[test]
fn a_folder_that_cannot_be_written_is_a_clear_error() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let folder = TempDir::new().unwrap();
    let mut settings = settings(&repo.url(), folder.path());
    // A file where a folder is needed refuses whoever runs the test, root too.
    fs::write(folder.path().join("state"), "").unwrap();
    settings.cache = folder.path().join("state/git");
    let error = GitSource::open(settings).unwrap_err();
    assert!(matches!(error, GitError::Cache { .. }), "{error}");
    assert!(error.to_string().starts_with("the git cache "));
    assert!(error.hint().unwrap().contains("state"));
}

#[test]
fn what_a_killed_process_left_is_no_obstacle() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let folder = TempDir::new().unwrap();
    let settings = settings(&repo.url(), folder.path());
    GitSource::open(settings.clone()).unwrap().fetch().unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    let unfinished = settings.cache.join("objects/pack/pack_git2_a1b2c3");
    for (path, is_old) in [(unfinished.clone(), true), (settings.cache.join(".reference-x1"), false)] {
        fs::write(&path, "half").unwrap();
        if is_old {
            fs::File::open(&path).unwrap().set_modified(old).unwrap();
        }
    }
    fs::write(settings.cache.join("refs/portcullis/fetched/main.lock"), "").unwrap();
    let source = GitSource::open(settings).unwrap();
    assert_eq!(source.cache_state(), &CacheState::Kept);
    assert!(!unfinished.exists());
    repo.commit("second", &[("b.yaml", "b")]);
    let head = source.fetch().unwrap().revision;
    source.keep(&head).unwrap();
    assert_eq!(source.last_fetched(), Some(head));
}
