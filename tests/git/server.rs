//! Remotes behind HTTP and HTTPS.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    sync::mpsc,
    time::Duration,
};

use portcullis::{
    config::{Auth, Secret},
    edge::git::{GitError, GitSource},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{everything, paths, settings, text};
use crate::support::{
    git_server::{Answer, Behaviour, GitServer, has_http_backend, response},
    repo::TestRepo,
};

/// `x-access-token:s3cret`
const TOKEN: &str = "Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0";
/// `ada:s3cret`
const ADA: &str = "Basic YWRhOnMzY3JldA==";

/// A repository served, and a folder for cache and secrets.
struct Scene {
    folder: TempDir,
    repo: TestRepo,
    server: GitServer,
}

impl Scene {
    fn new(behaviour: Behaviour) -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("srv");
        fs::create_dir(&root).unwrap();
        let repo = TestRepo::at(&root.join("policies.git"));
        repo.commit("first", &[("a.yaml", "one")]);
        let server = GitServer::start(&root, behaviour);
        Self { folder, repo, server }
    }

    fn answering(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let answer: Answer = Box::new(move |asked| answer(&asked.target));
        Self::new(Behaviour { answer: Some(answer), ..Behaviour::default() })
    }

    fn settings(&self) -> portcullis::edge::git::GitSettings {
        settings(&self.server.url("policies.git"), self.folder.path())
    }

    fn source(&self) -> GitSource {
        GitSource::open(self.settings()).unwrap()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn error(&self) -> GitError {
        self.source().fetch().unwrap_err()
    }
}

/// A packet line.
fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

#[test]
fn https_brings_the_branch_and_an_unmoved_one_costs_one_request() {
    if !has_http_backend("https_brings_the_branch") {
        return;
    }
    let scene = Scene::new(Behaviour { tls: true, ..Behaviour::default() });
    let mut settings = scene.settings();
    settings.ca_file = Some(scene.file("ca.pem", scene.server.authority()));
    let source = GitSource::open(settings).unwrap();
    let first = source.fetch().unwrap();
    assert!(first.changed);
    assert_eq!(text(&source.read(&first.revision, &everything()).unwrap(), "a.yaml"), "one");
    let before = scene.server.asked().len();
    assert_eq!(before, 2);
    assert!(!source.fetch().unwrap().changed);
    let asked = scene.server.asked();
    assert_eq!(asked.len(), before + 1);
    assert_eq!(asked[before].target, "/policies.git/info/refs?service=git-upload-pack");
    for number in 0..300 {
        scene.repo.commit("next", &[("a.yaml", &number.to_string()), ("b.yaml", "b")]);
    }
    let second = source.fetch().unwrap();
    assert_eq!((&second.revision, second.changed), (&scene.repo.head(), true));
    assert_eq!(source.commits_between(&first.revision, &second.revision).unwrap(), 300);
    assert_eq!(paths(&source.read(&second.revision, &everything()).unwrap()), ["a.yaml", "b.yaml"]);
    // What is here already is found although the branch was rewritten.
    scene.repo.amend("rewritten", &[("c.yaml", "c")]);
    let third = source.fetch().unwrap();
    assert!(!source.is_ancestor(&second.revision, &third.revision).unwrap());
    assert_eq!(paths(&source.read(&third.revision, &everything()).unwrap()), ["a.yaml", "b.yaml", "c.yaml"]);
}

#[test]
fn an_unknown_authority_is_refused() {
    let scene = Scene::new(Behaviour { tls: true, ..Behaviour::default() });
    let mut settings = scene.settings();
    let other = Scene::new(Behaviour { tls: true, ..Behaviour::default() });
    settings.ca_file = Some(scene.file("other.pem", other.server.authority()));
    let error = GitSource::open(settings).unwrap().fetch().unwrap_err();
    assert!(matches!(error, GitError::Certificate { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("source.caFile"));
    assert!(!error.is_transient());
    assert_eq!(scene.server.asked(), [], "nothing is asked of a server that is not trusted");
}

#[test]
fn a_certificate_file_that_is_none_is_a_clear_error() {
    let scene = Scene::new(Behaviour { tls: true, ..Behaviour::default() });
    for (name, content) in [("empty.pem", ""), ("text.pem", "not a certificate")] {
        let mut settings = scene.settings();
        settings.ca_file = Some(scene.file(name, content));
        let error = GitSource::open(settings).unwrap().fetch().unwrap_err();
        assert!(matches!(error, GitError::CaFile { .. }), "{error:?}");
    }
    let mut settings = scene.settings();
    settings.ca_file = Some(scene.folder.path().join("missing.pem"));
    let error = GitSource::open(settings).unwrap().fetch().unwrap_err();
    assert!(error.to_string().contains("missing.pem cannot be read"), "{error}");
}

#[test]
fn a_token_is_read_anew_at_each_fetch_and_a_wrong_one_is_refused() {
    if !has_http_backend("a_token_is_read_anew") {
        return;
    }
    let scene = Scene::new(Behaviour { authorization: Some(TOKEN.to_owned()), ..Behaviour::default() });
    let error = scene.error();
    assert!(matches!(error, GitError::Authentication { status: 401, given: false, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("source.auth"));
    let file = scene.file("token", "wr0ng\n");
    let mut settings = scene.settings();
    settings.auth = Some(Auth::Token(Secret::File(file.clone())));
    let source = GitSource::open(settings).unwrap();
    let error = source.fetch().unwrap_err();
    assert!(matches!(error, GitError::Authentication { status: 401, given: true, .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("wr0ng"));
    fs::write(&file, "s3cret\r\n").unwrap();
    assert!(source.fetch().unwrap().changed);
    assert!(!format!("{source:?}").contains("s3cret"));
    // Nothing on disk holds it but its own file.
    for entry in walkdir::WalkDir::new(scene.folder.path().join("cache")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(6).any(|six| six == b"s3cret"), "{}", entry.path().display());
        }
    }
    for bad in ["", "\n", "two\nlines"] {
        fs::write(&file, bad).unwrap();
        let error = source.fetch().unwrap_err();
        assert!(matches!(error, GitError::Credentials { .. }), "{error:?}");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(source.fetch().unwrap_err(), GitError::Credentials { .. }));
}

#[test]
fn a_user_and_a_password_are_sent() {
    if !has_http_backend("a_user_and_a_password_are_sent") {
        return;
    }
    let scene = Scene::new(Behaviour { authorization: Some(ADA.to_owned()), ..Behaviour::default() });
    let mut settings = scene.settings();
    let password = Secret::File(scene.file("password", "s3cret"));
    settings.auth = Some(Auth::Basic { username: "ada".to_owned(), password });
    assert_eq!(GitSource::probe(&settings).unwrap(), scene.repo.head());
    assert!(GitSource::open(settings).unwrap().fetch().unwrap().changed);
}

#[test]
fn what_is_no_repository_and_what_has_no_branch_is_named_so() {
    if !has_http_backend("what_is_no_repository") {
        return;
    }
    let scene = Scene::new(Behaviour::default());
    let mut settings = scene.settings();
    settings.url = scene.server.url("nothing.git");
    let error = GitSource::probe(&settings).unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error:?}");
    settings.url = scene.server.url("policies.git");
    settings.branch = "release".to_owned();
    let error = GitSource::probe(&settings).unwrap_err();
    assert!(error.to_string().ends_with("has no branch release, only main"), "{error}");
    TestRepo::at(&scene.folder.path().join("srv/empty.git"));
    settings.url = scene.server.url("empty.git");
    let error = GitSource::probe(&settings).unwrap_err();
    assert!(matches!(error, GitError::Empty { .. }), "{error:?}");
}

#[test]
fn a_web_page_is_no_repository() {
    let scene = Scene::answering(|_| {
        Some(response("200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"<html>"))
    });
    let error = scene.error().to_string();
    assert!(error.contains("is not a git repository") && error.ends_with("found text/html"), "{error}");
}

#[test]
fn nobody_listening_is_unreachable_and_may_pass() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let source = GitSource::open(settings(&format!("http://{address}/policies.git"), folder.path())).unwrap();
    let error = source.fetch().unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(error.to_string(), format!("http://{address}/policies.git cannot be reached"));
}

#[test]
fn a_server_that_never_answers_is_cut_off() {
    let folder = TempDir::new().unwrap();
    // The system accepts the connection; nobody reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings =
        settings(&format!("http://{}/policies.git", listener.local_addr().unwrap()), folder.path());
    settings.timeout = Duration::from_millis(200);
    let error = GitSource::open(settings).unwrap().fetch().unwrap_err();
    assert!(matches!(error, GitError::Timeout { .. }), "{error:?}");
    assert!(error.to_string().ends_with("took longer than 200 ms"), "{error}");
    assert!(error.is_transient());
}

#[test]
fn a_server_that_stops_in_the_middle_is_cut_off_or_stopped() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings =
        settings(&format!("http://{}/policies.git", listener.local_addr().unwrap()), folder.path());
    let (sender, receiver) = mpsc::channel();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\
                        Content-Length: 5000\r\n\r\n001e# service=git-upload-pack\n0000";
            stream.write_all(head.as_bytes()).unwrap();
            sender.send(()).unwrap();
            // Until the client goes away.
            while stream.read(&mut request).is_ok_and(|read| read > 0) {}
        }
    });
    settings.timeout = Duration::from_millis(200);
    let error = GitSource::open(settings.clone()).unwrap().fetch().unwrap_err();
    assert!(matches!(error, GitError::Timeout { .. }), "{error:?}");
    receiver.recv().unwrap();
    settings.timeout = Duration::from_hours(1);
    let source = GitSource::open(settings).unwrap();
    let stop = CancellationToken::new();
    let error = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| source.fetch_until(&stop).unwrap_err());
        receiver.recv().unwrap();
        stop.cancel();
        fetching.join().unwrap()
    });
    assert!(matches!(error, GitError::Stopped { .. }), "{error:?}");
    server.join().unwrap();
}

#[test]
fn a_redirect_on_the_same_server_is_followed() {
    if !has_http_backend("a_redirect_on_the_same_server_is_followed") {
        return;
    }
    let scene = Scene::answering(|target| {
        let rest = target.strip_prefix("/old")?;
        Some(response("301 Moved Permanently", &format!("Location: {rest}\r\n"), b""))
    });
    let mut settings = scene.settings();
    settings.url = scene.server.url("old/policies.git");
    let source = GitSource::open(settings).unwrap();
    assert!(source.fetch().unwrap().changed);
    let targets: Vec<String> = scene.server.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(
        targets,
        [
            "/old/policies.git/info/refs?service=git-upload-pack",
            "/policies.git/info/refs?service=git-upload-pack",
            "/policies.git/git-upload-pack",
        ]
    );
}

#[test]
fn a_redirect_to_another_server_is_refused_and_gets_no_credentials() {
    let other = Scene::new(Behaviour::default());
    let target = other.server.url("policies.git/info/refs?service=git-upload-pack");
    let scene =
        Scene::answering(move |_| Some(response("302 Found", &format!("Location: {target}\r\n"), b"")));
    let mut settings = scene.settings();
    settings.auth = Some(Auth::Token(Secret::File(scene.file("token", "s3cret"))));
    let error = GitSource::open(settings).unwrap().fetch().unwrap_err();
    assert!(
        matches!(&error, GitError::Redirect { to, .. } if *to == other.server.url("policies.git")),
        "{error:?}"
    );
    assert_eq!(other.server.asked(), []);
    assert_eq!(scene.server.asked()[0].authorization.as_deref(), Some(TOKEN));
}

#[test]
fn endless_redirects_end() {
    let scene = Scene::answering(|target| {
        let (path, query) = target.split_once("/info/refs").unwrap();
        Some(response("302 Found", &format!("Location: {path}/again/info/refs{query}\r\n"), b""))
    });
    let error = scene.error();
    assert!(error.to_string().ends_with("too many redirects"), "{error}");
}

#[test]
fn errors_of_the_server_are_told_apart() {
    for (status, is_transient) in
        [("503 Service Unavailable", true), ("429 Too Many Requests", true), ("418 I'm a teapot", false)]
    {
        let scene = Scene::answering(move |_| Some(response(status, "", b"")));
        let error = scene.error();
        assert!(matches!(error, GitError::Server { .. }), "{error:?}");
        assert!(error.to_string().ends_with(status), "{error}");
        assert_eq!(error.is_transient(), is_transient);
    }
    let scene = Scene::answering(|_| Some(response("403 Forbidden", "", b"")));
    assert!(matches!(scene.error(), GitError::Authentication { status: 403, given: false, .. }));
}

#[test]
fn answers_that_are_no_protocol_end_in_an_error_and_leave_the_cache_alone() {
    const ADVERTISEMENT: &str = "Content-Type: application/x-git-upload-pack-advertisement\r\n";
    const RESULT: &str = "Content-Type: application/x-git-upload-pack-result\r\n";
    let id = "1234567890123456789012345678901234567890";
    let listing = |capabilities: &str| {
        let first = line(&format!("{id} refs/heads/main\0{capabilities}\n"));
        format!("{}0000{first}0000", line("# service=git-upload-pack\n"))
    };
    let listed = listing("side-band-64k ofs-delta");
    let cases: Vec<(&str, String, String, &str)> = vec![
        ("not packets", "<html>".into(), String::new(), "speaks no git"),
        ("cut off", listed[..60].into(), String::new(), "cannot be reached"),
        ("an error", line("ERR no such thing\u{1b}[31m"), String::new(), "answered: no such thing [31m"),
        ("no band", listing("ofs-delta"), String::new(), "side-band-64k"),
        ("no objects", listed.clone(), format!("{}0000", line("NAK\n")), "cannot be reached"),
        ("an error in the band", listed.clone(), line("\u{3}out of memory"), "answered: out of memory"),
        (
            "no pack",
            listed.clone(),
            format!("{}{}0000", line("NAK\n"), line("\u{1}garbage, not a pack")),
            "not sound",
        ),
        ("late error", listed.clone(), line("ERR upload-pack: not our ref"), "not our ref"),
        ("sha-256", listing("side-band-64k object-format=sha256"), String::new(), "SHA-256"),
    ];
    for (name, advertisement, result, expected) in cases {
        let scene = Scene::answering(move |target| {
            Some(if target.contains("info/refs") {
                response("200 OK", ADVERTISEMENT, advertisement.as_bytes())
            } else {
                response("200 OK", RESULT, result.as_bytes())
            })
        });
        let source = scene.source();
        let error = source.fetch().unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_eq!(source.last_fetched(), None, "{name}");
        let packs = fs::read_dir(scene.folder.path().join("cache/objects/pack")).unwrap().count();
        assert_eq!(packs, 0, "{name}");
    }
}

#[test]
fn a_list_of_references_without_end_is_cut_off() {
    let reference = line(&format!("{} refs/heads/x\n", "1".repeat(40)));
    let many = reference.repeat((34 << 20) / reference.len());
    let body = format!("{}0000{many}", line("# service=git-upload-pack\n"));
    let scene = Scene::answering(move |_| {
        Some(response(
            "200 OK",
            "Content-Type: application/x-git-upload-pack-advertisement\r\n",
            body.as_bytes(),
        ))
    });
    let error = scene.error();
    assert!(matches!(error, GitError::TooLarge { .. }), "{error:?}");
}

#[test]
fn deep_folders_come_over_http_too() {
    if !has_http_backend("deep_folders_come_over_http_too") {
        return;
    }
    let scene = Scene::new(Behaviour::default());
    let mut folder = scene.repo.raw_tree(&[("100644", b"deep.yaml", scene.repo.blob(b"x"))]);
    for _ in 0..2_000 {
        folder = scene.repo.raw_tree(&[("40000", b"d", folder)]);
    }
    scene.repo.commit_tree("deep", folder);
    let source = scene.source();
    let head = source.fetch().unwrap().revision;
    let tree = source.read(&head, &everything()).unwrap();
    assert_eq!(tree.files.len(), 1);
}

#[test]
fn a_proxy_is_asked_and_its_password_refused() {
    let scene = Scene::answering(|target| {
        target.starts_with("http://127.0.0.1:1/").then(|| response("502 Bad Gateway", "", b""))
    });
    let mut settings = scene.settings();
    settings.url = "http://127.0.0.1:1/policies.git".to_owned();
    settings.proxy = Some(scene.server.url(""));
    let error = GitSource::probe(&settings).unwrap_err();
    assert!(error.to_string().ends_with("502 Bad Gateway"), "{error}");
    settings.proxy = Some("http://me:hunter2@127.0.0.1:1".to_owned());
    let error = GitSource::open(settings).unwrap_err();
    assert!(error.to_string().starts_with("source.proxy: it holds a password"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}
