//! Remotes on this machine.

use jiff::Timestamp;
use portcullis::edge::git::{GitError, GitSource};
use portcullis_core::identity::Revision;
use tempfile::TempDir;

use super::{everything, paths, settings, source, text};
use crate::support::repo::{FIRST_COMMIT, TestRepo};

#[test]
fn a_fetch_brings_the_branch_and_says_whether_it_moved() {
    let repo = TestRepo::with(&[("a.yaml", "one")]);
    let (_folder, source) = source(&repo.url());
    assert_eq!(source.last_fetched(), None);
    let first = source.fetch().unwrap();
    assert_eq!((&first.revision, first.changed), (&repo.head(), true));
    assert!(!source.fetch().unwrap().changed);
    let second = repo.commit("second", &[("a.yaml", "two"), ("b/c.yml", "three")]);
    let fetched = source.fetch().unwrap();
    assert_eq!((&fetched.revision, fetched.changed), (&second, true));
    assert_eq!(source.last_fetched(), Some(second.clone()));
    let tree = source.read(&second, &everything()).unwrap();
    assert_eq!(paths(&tree), ["a.yaml", "b/c.yml"]);
    assert_eq!(text(&tree, "a.yaml"), "two");
    // The earlier revision is still what it was.
    assert_eq!(text(&source.read(&first.revision, &everything()).unwrap(), "a.yaml"), "one");
}

#[test]
fn a_path_and_a_repository_with_a_work_tree_will_do() {
    let folder = TempDir::new().unwrap();
    let work = folder.path().join("work");
    let repo = git2::Repository::init_opts(
        &work,
        git2::RepositoryInitOptions::new().initial_head("main").external_template(false),
    )
    .unwrap();
    std::fs::write(work.join("a.yaml"), "a").unwrap();
    let mut index = repo.index().unwrap();
    index.add_path("a.yaml".as_ref()).unwrap();
    let tree = repo.find_tree(index.write_tree().unwrap()).unwrap();
    let author = git2::Signature::new("Ada", "ada@example.com", &git2::Time::new(0, 0)).unwrap();
    repo.commit(Some("refs/heads/main"), &author, &author, "first", &tree, &[]).unwrap();
    let source = GitSource::open(settings(work.to_str().unwrap(), folder.path())).unwrap();
    let fetched = source.fetch().unwrap();
    assert_eq!(paths(&source.read(&fetched.revision, &everything()).unwrap()), ["a.yaml"]);
}

#[test]
fn only_the_one_branch_is_fetched() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let other = repo.commit_on("other", "elsewhere", &[("b.yaml", "b")]);
    let (folder, source) = source(&repo.url());
    let main = source.fetch().unwrap().revision;
    assert!(source.contains(&main) && !source.contains(&other));
    let mut of_other = settings(&repo.url(), folder.path());
    of_other.branch = "other".to_owned();
    let source = GitSource::open(of_other).unwrap();
    assert_eq!(source.last_fetched(), None, "the newest commit is remembered by branch");
    assert_eq!(source.fetch().unwrap().revision, other);
    assert!(source.contains(&main), "the cache is that of the repository");
}

#[test]
fn history_says_what_came_between_and_who_did_it() {
    let repo = TestRepo::with(&[("a.yaml", "1")]);
    let (_folder, source) = source(&repo.url());
    let old = source.fetch().unwrap().revision;
    repo.commit("second", &[("a.yaml", "2")]);
    let new = repo.commit("\nthird: say\tmore\n\nat length", &[("a.yaml", "3")]);
    source.fetch().unwrap();
    assert!(source.is_ancestor(&old, &new).unwrap());
    assert!(source.is_ancestor(&new, &new).unwrap());
    assert!(!source.is_ancestor(&new, &old).unwrap());
    assert_eq!(source.commits_between(&old, &new).unwrap(), 2);
    assert_eq!(source.commits_between(&new, &new).unwrap(), 0);
    let info = source.commit(&new).unwrap();
    assert_eq!((info.author.as_str(), info.email.as_str()), ("Ada Author", "ada@example.com"));
    assert_eq!(info.subject, "third: say more");
    assert_eq!(info.committed, Timestamp::from_second(FIRST_COMMIT + 120).unwrap());
}

#[test]
fn a_forced_push_shows_and_the_kept_revision_stays() {
    let repo = TestRepo::with(&[("a.yaml", "1")]);
    let (_folder, source) = source(&repo.url());
    repo.commit("second", &[("a.yaml", "2")]);
    let old = source.fetch().unwrap().revision;
    source.keep(&old).unwrap();
    let new = repo.amend("rewritten", &[("a.yaml", "3")]);
    assert_eq!(source.fetch().unwrap().revision, new);
    assert!(!source.is_ancestor(&old, &new).unwrap());
    assert_eq!(source.kept(), Some(old.clone()));
    assert_eq!(text(&source.read(&old, &everything()).unwrap(), "a.yaml"), "2");
}

#[test]
fn many_fetches_leave_few_packs_and_drop_nothing_that_is_kept() {
    let repo = TestRepo::with(&[("a.yaml", "0")]);
    let (folder, source) = source(&repo.url());
    let first = source.fetch().unwrap().revision;
    let dropped = repo.commit("rewritten later", &[("b.yaml", "gone")]);
    source.fetch().unwrap();
    repo.force_push(&first);
    repo.commit("other", &[("kept.yaml", "kept")]);
    let kept = source.fetch().unwrap().revision;
    source.keep(&kept).unwrap();
    repo.force_push(&first);
    let mut last = first.clone();
    for number in 1..=60 {
        last = repo.commit("next", &[("a.yaml", &number.to_string())]);
        source.fetch().unwrap();
    }
    let packs = std::fs::read_dir(folder.path().join("cache/objects/pack")).unwrap().count();
    assert!(packs <= 2 * 41, "{packs} files of packs");
    for (revision, path, content) in
        [(&first, "a.yaml", "0"), (&kept, "kept.yaml", "kept"), (&last, "a.yaml", "60")]
    {
        assert_eq!(text(&source.read(revision, &everything()).unwrap(), path), content);
    }
    assert!(!source.contains(&dropped));
    assert_eq!(source.commits_between(&first, &last).unwrap(), 60);
}

#[test]
fn what_is_no_repository_is_named_so() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let plain = folder.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    let gone = folder.path().join("gone");
    for (path, detail) in
        [(&file, "it is a file"), (&plain, "the folder holds no git repository"), (&gone, "nothing is there")]
    {
        let source = GitSource::open(settings(path.to_str().unwrap(), folder.path())).unwrap();
        let error = source.fetch().unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not a git repository: {detail}", path.display()));
        assert!(!error.is_transient());
    }
}

#[test]
fn an_empty_repository_and_a_missing_branch_are_named_so() {
    let repo = TestRepo::new();
    let (_folder, source) = source(&repo.url());
    let error = source.fetch().unwrap_err();
    assert!(matches!(error, GitError::Empty { .. }), "{error}");
    assert_eq!(error.hint().as_deref(), Some("push a first commit"));
    repo.commit_on("master", "first", &[("a.yaml", "a")]);
    repo.commit_on("release", "first", &[("a.yaml", "a")]);
    let error = source.fetch().unwrap_err();
    let expected = format!("{} has no branch main, but master, release", repo.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_branch_that_disappears_leaves_what_was_fetched() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let (_folder, source) = source(&repo.url());
    let fetched = source.fetch().unwrap().revision;
    repo.delete_branch("main");
    assert!(matches!(source.fetch().unwrap_err(), GitError::Empty { .. }));
    assert_eq!(source.last_fetched(), Some(fetched.clone()));
    assert_eq!(paths(&source.read(&fetched, &everything()).unwrap()), ["a.yaml"]);
}

#[test]
fn a_probe_asks_without_making_a_cache() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let folder = TempDir::new().unwrap();
    let settings = settings(&repo.url(), folder.path());
    assert_eq!(GitSource::probe(&settings).unwrap(), repo.head());
    assert!(!settings.cache.exists());
}

#[test]
fn a_repository_that_lost_objects_is_refused_and_the_cache_stays_as_it_was() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let (_folder, source) = source(&repo.url());
    let good = source.fetch().unwrap().revision;
    repo.commit("second", &[("a.yaml", "lost")]);
    let lost = repo.blob(b"lost").to_string();
    std::fs::remove_file(repo.path().join("objects").join(&lost[..2]).join(&lost[2..])).unwrap();
    assert!(matches!(source.fetch().unwrap_err(), GitError::Server { transient: false, .. }));
    assert_eq!(source.last_fetched(), Some(good));
}

#[test]
fn an_unknown_revision_is_an_error_and_not_a_guess() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let (_folder, source) = source(&repo.url());
    let head = source.fetch().unwrap().revision;
    for text in [head.short(), "main", "", "0000000000000000000000000000000000000000"] {
        let revision = Revision::new(text);
        assert!(!source.contains(&revision));
        let error = source.read(&revision, &everything()).unwrap_err();
        assert!(matches!(error, GitError::UnknownRevision { .. }), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_fetch_may_be_called_where_futures_run() {
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let (_folder, source) = source(&repo.url());
    assert!(source.fetch().unwrap().changed);
}
