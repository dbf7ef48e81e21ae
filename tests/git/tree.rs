//! What is read of a revision, and what is not.

use git2::{FileMode, ObjectType, Oid};
use portcullis::edge::git::{Bound, FileIssue, GitError, GitSource, TreeLimits};

use super::{LIMITS, everything, issue, paths, settings, source, text};
use crate::support::repo::TestRepo;

#[test]
fn policy_files_are_read_sorted_and_dot_folders_are_not() {
    let repo = TestRepo::with(&[
        ("z.yaml", "z"),
        ("a/b.yml", "b"),
        ("a.json", "{}"),
        ("a/.portcullisignore", "x"),
        ("team.portcullisignore", "y"),
        ("README.md", "no"),
        ("a/policy.rego", "no"),
        (".github/workflows/ci.yaml", "no"),
        ("a/.hidden/x.yaml", "no"),
        (".dotfile.yaml", "yes"),
    ]);
    let (_folder, source) = source(&repo.url());
    let head = source.fetch().unwrap().revision;
    let tree = source.read(&head, &everything()).unwrap();
    assert_eq!(
        paths(&tree),
        [".dotfile.yaml", "a.json", "a/.portcullisignore", "a/b.yml", "team.portcullisignore", "z.yaml"]
    );
    assert_eq!(tree.revision, head);
}

#[test]
fn paths_are_a_union_and_a_missing_one_is_named() {
    let repo = TestRepo::with(&[("base/a.yaml", "a"), ("clusters/prod/b.yaml", "b"), ("other/c.yaml", "c")]);
    let (_folder, source) = source(&repo.url());
    let head = source.fetch().unwrap().revision;
    let read =
        |paths: &[&str]| source.read(&head, &paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        paths(&read(&["./clusters/prod/", "base", "clusters"]).unwrap()),
        ["base/a.yaml", "clusters/prod/b.yaml"]
    );
    assert_eq!(paths(&read(&["other/c.yaml"]).unwrap()), ["other/c.yaml"]);
    let error = read(&["base", "clusters/staging"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("source.paths: revision {} has no folder clusters/staging", head.short())
    );
    for outside in ["../secrets", "/etc", "base/../.."] {
        assert!(matches!(read(&[outside]).unwrap_err(), GitError::Setting { key: "paths", .. }), "{outside}");
    }
}

#[test]
fn a_100_mb_file_is_reported_by_its_size_and_the_others_are_read() {
    const SIZE: usize = 100_000_000;
    let repo = TestRepo::with(&[("a.yaml", "a")]);
    let id = {
        let odb = repo.git().odb().unwrap();
        let mut writer = odb.writer(SIZE, ObjectType::Blob).unwrap();
        let piece = vec![b' '; 1_000_000];
        for _ in 0..SIZE / piece.len() {
            std::io::Write::write_all(&mut writer, &piece).unwrap();
        }
        writer.finalize().unwrap()
    };
    let head = repo.commit_entry("large", "large.yaml", id, FileMode::Blob);
    let (_folder, source) = source(&repo.url());
    source.fetch().unwrap();
    let tree = source.read(&head, &everything()).unwrap();
    assert_eq!(issue(&tree, "large.yaml"), &FileIssue::TooLarge { size: SIZE as u64, limit: 1 << 20 });
    assert_eq!(text(&tree, "a.yaml"), "a");
}

#[test]
fn too_many_files_and_too_many_bytes_name_the_limit_to_raise() {
    let repo = TestRepo::with(&[("a.yaml", "1234"), ("b.yaml", "1234"), ("c.yaml", "1234")]);
    let folder = tempfile::TempDir::new().unwrap();
    let read = |limits: TreeLimits| {
        let mut settings = settings(&repo.url(), folder.path());
        settings.limits = limits;
        let source = GitSource::open(settings).unwrap();
        let head = source.fetch().unwrap().revision;
        source.read(&head, &everything())
    };
    assert_eq!(read(TreeLimits { files: 3, file_size: 4, total_size: 12 }).unwrap().files.len(), 3);
    let error = read(TreeLimits { files: 2, ..LIMITS }).unwrap_err();
    assert!(matches!(error, GitError::TooLarge { what: Bound::Files, found: 3, limit: 2 }), "{error}");
    assert!(error.hint().unwrap().contains("source.limits.files"));
    let error = read(TreeLimits { total_size: 11, ..LIMITS }).unwrap_err();
    assert!(matches!(error, GitError::TooLarge { what: Bound::TotalSize, found: 12, limit: 11 }), "{error}");
    assert!(error.hint().unwrap().contains("source.limits.totalSize"));
}

#[test]
fn links_and_submodules_are_reported_where_policies_may_hide() {
    let repo = TestRepo::with(&[("real/a.yaml", "a"), ("docs/readme.md", "text")]);
    for (path, target) in [
        ("link.yaml", "real/a.yaml"),
        ("folder", "real"),
        ("real/up", ".."),
        ("LICENSE", "docs/readme.md"),
        ("outside", "../../etc"),
        ("dangling.md", "nowhere"),
    ] {
        repo.commit_entry("link", path, repo.blob(target.as_bytes()), FileMode::Link);
    }
    let elsewhere = Oid::from_str(repo.head().as_str()).unwrap();
    repo.commit_entry("submodule", "vendor/module", elsewhere, FileMode::Commit);
    let (_folder, source) = source(&repo.url());
    let head = source.fetch().unwrap().revision;
    let tree = source.read(&head, &everything()).unwrap();
    assert_eq!(paths(&tree), ["folder", "link.yaml", "outside", "real/a.yaml", "real/up", "vendor/module"]);
    for link in ["folder", "link.yaml", "outside", "real/up"] {
        assert_eq!(issue(&tree, link), &FileIssue::Symlink);
    }
    assert_eq!(issue(&tree, "vendor/module"), &FileIssue::Submodule);
    let named = source.read(&head, &["folder".to_owned()]).unwrap();
    assert_eq!(issue(&named, "folder"), &FileIssue::Symlink);
}

#[test]
fn names_that_are_no_paths_are_reported() {
    let repo = TestRepo::new();
    let blob = repo.blob(b"x");
    let sub = repo.raw_tree(&[("100644", b"a.yaml", blob)]);
    let tree = repo.raw_tree(&[
        ("40000", b"..", sub),
        ("100644", b"bad\nname.yaml", blob),
        ("100644", b"bad\nname.md", blob),
        ("100644", b"caf\xe9.yaml", blob),
        ("40000", b"caf\xe9s", sub),
        ("100644", b"good.yaml", blob),
    ]);
    let head = repo.commit_tree("odd names", tree);
    let (_folder, source) = source(&repo.url());
    source.fetch().unwrap();
    let tree = source.read(&head, &everything()).unwrap();
    let bad: Vec<&str> =
        tree.files.iter().filter(|file| file.content.is_err()).map(|file| file.path.as_str()).collect();
    assert_eq!(bad, ["..", "bad\u{fffd}name.yaml", "caf\u{fffd}.yaml", "caf\u{fffd}s"]);
    assert!(bad.iter().all(|path| *issue(&tree, path) == FileIssue::InvalidPath));
    assert_eq!(text(&tree, "good.yaml"), "x");
}

#[test]
fn ten_thousand_folders_in_one_another_are_reported_and_end() {
    let repo = TestRepo::new();
    let mut folder = repo.raw_tree(&[("100644", b"deep.yaml", repo.blob(b"x"))]);
    for _ in 0..10_000 {
        folder = repo.raw_tree(&[("40000", b"d", folder)]);
    }
    let head = repo.commit_tree("deep", folder);
    repo.commit("shallow", &[("a.yaml", "a")]);
    let (_folder, source) = source(&repo.url());
    let newest = source.fetch().unwrap().revision;
    assert!(source.is_ancestor(&head, &newest).unwrap());
    let tree = source.read(&newest, &everything()).unwrap();
    assert_eq!(text(&tree, "a.yaml"), "a");
    let deep = tree.files.iter().find(|file| file.path.starts_with("d/")).unwrap();
    assert_eq!(deep.content, Err(FileIssue::TooDeep { limit: 100 }));
    assert_eq!(tree.files.len(), 2);
}

#[test]
fn folders_that_name_one_another_many_times_over_end() {
    let repo = TestRepo::new();
    let mut folder = repo.raw_tree(&[("100644", b"f", repo.blob(b"x"))]);
    // Ten to the power of ten folders in eleven objects.
    for _ in 0..10 {
        let entries: Vec<(&str, &[u8], Oid)> = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]
            .map(|name| ("40000", &name[..], folder))
            .to_vec();
        folder = repo.raw_tree(&entries);
    }
    let head = repo.commit_tree("bomb", folder);
    let (_folder, source) = source(&repo.url());
    source.fetch().unwrap();
    let error = source.read(&head, &everything()).unwrap_err();
    assert!(matches!(error, GitError::TooLarge { what: Bound::Entries, .. }), "{error}");
}
