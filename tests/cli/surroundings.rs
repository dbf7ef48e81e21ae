//! Bad surroundings: repositories that are none, remotes that do not answer, folders that cannot be written,
//! receivers that are down.

use std::{fs, net::TcpListener};

use super::{enforced, in_step, sync_changes_nothing};
use crate::support::{
    program::{Program, eventually},
    receiver::Receiver,
};

fn source(url: &str, branch: &str) -> String {
    format!("source: {{url: \"{url}\", branch: {branch}, interval: 1s}}\nstate: state\n")
}

/// The address of a port on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The source turns out to be unusable: from the start, and after a good sync.
fn unusable_source(url: impl Fn(&Program) -> String, branch: &str, phrases: &[&str]) {
    let fresh = Program::new("");
    let at = url(&fresh);
    fresh.configure(&source(&at, branch), "");
    sync_changes_nothing(&fresh, 2, phrases);
    assert!(enforced(&fresh).is_empty());

    let used = in_step("");
    let at = url(&used);
    used.configure(&source(&at, branch), "");
    sync_changes_nothing(&used, 2, phrases);
    let status = used.run(&["status", "-o", "json"]).ended(0, &[]).json();
    assert_eq!(status["sync"]["verdict"], "failed");
    assert_eq!(status["policies"]["templates"], 1);
}

#[test]
fn a_folder_that_is_no_repository() {
    let plain = |program: &Program| {
        fs::create_dir_all(program.path("plain")).unwrap();
        "plain".to_owned()
    };
    unusable_source(plain, "main", &["is not a git repository", "source.url"]);
}

#[test]
fn a_branch_that_does_not_exist() {
    let same = |program: &Program| {
        if program.repo.head_of("main").is_none() {
            program.repo.commit("first", &[("README.md", "hello\n")]);
        }
        "policies.git".to_owned()
    };
    unusable_source(same, "mian", &["has no branch mian", "main"]);
}

#[test]
fn a_remote_that_cannot_be_reached() {
    unusable_source(|_| format!("http://{}/policies.git", nobody()), "main", &["cannot be reached"]);
}

#[test]
fn a_repository_without_a_commit() {
    let empty = |program: &Program| {
        crate::support::repo::TestRepo::at(&program.path("empty.git"));
        "empty.git".to_owned()
    };
    unusable_source(empty, "main", &["is empty", "no branch yet"]);
}

#[test]
fn a_repository_without_a_policy_applies_nothing() {
    let program = Program::new("");
    program.repo.commit("a readme", &[("README.md", "hello\n")]);
    sync_changes_nothing(&program, 0, &["in step"]);
}

#[test]
fn a_folder_of_the_repository_that_does_not_exist() {
    let program = in_step("");
    program.configure(
        "source: {url: policies.git, branch: main, paths: [polices], interval: 1s}\nstate: state\n",
        "",
    );
    let before = enforced(&program);
    let ran = program.run(&["sync", "--once"]).ended(2, &["source.paths", "has no folder polices"]);
    assert!(ran.out.starts_with("failed"), "{}", ran.out);
    assert_eq!(enforced(&program), before);
}

#[test]
fn a_rewritten_branch_is_held() {
    let program = in_step("");
    let first = program.repo.head();
    program.repo.amend("another history", &[("README.md", "hello\n")]);
    let ran = sync_changes_nothing(&program, 1, &["held", "`main` was rewritten", "source.allowRewrite"]);
    assert!(ran.out.contains(first.short()), "{}", ran.out);
}

#[test]
fn a_state_folder_that_cannot_be_made() {
    let program = Program::new("");
    program.repo.commit("a readme", &[("README.md", "hello\n")]);
    fs::write(program.path("file"), "").unwrap();
    program.configure("source: {url: policies.git, branch: main, interval: 1s}\nstate: file/state\n", "");
    for command in [["run"].as_slice(), &["sync", "--once"]] {
        program.run(command).ended(2, &["cannot start", "file/state"]);
    }
    assert!(enforced(&program).is_empty());
}

#[test]
fn a_database_that_is_none() {
    let program = in_step("");
    fs::write(program.path("state/portcullis.db"), "not a database, but long enough to be looked at twice")
        .unwrap();
    for file in ["state/portcullis.db-wal", "state/portcullis.db-shm"] {
        let _ = fs::remove_file(program.path(file));
    }
    sync_changes_nothing(&program, 2, &["is not a usable database", "move it away"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_its_report_when_it_is_back() {
    let receiver = Receiver::start().await;
    receiver.then([crate::support::receiver::answer(503)]);
    let more = format!(
        "audit: {{schedule: \"* * * * * *\"}}\nreports:\n  - {{name: weekly, schedule: \"0 8 * * MON\", formats: [json], to: [officer]}}\n\
         sinks:\n  - {{name: officer, type: webhook, url: \"{}\"}}\n",
        receiver.url("/hook")
    );
    let program = in_step(&more);
    program.run(&["audit", "--fail-on", "none"]).ended(0, &[]);
    program.run(&["report", "send", "weekly"]).ended(1, &["0 deliveries taken, 1 to be tried again"]);
    let list = program.run(&["outbox", "list", "-o", "json"]).ended(0, &[]).json();
    assert_eq!((&list[0]["state"], &list[0]["attempts"]), (&"waiting".into(), &1.into()), "{list}");
    let shown = program.run(&["outbox", "show", "1"]).ended(0, &["503"]);
    assert!(shown.out.contains("officer"), "{}", shown.out);

    // The daemon goes on where the command left off, and the report is the one that was made.
    let daemon = program.start();
    eventually("it is tried until it is taken", || receiver.received().len() >= 2);
    eventually("it is delivered", || {
        program.run(&["outbox", "list", "-o", "json"]).json()[0]["state"] == "delivered"
    });
    assert_eq!(daemon.terminate().0, 0);
    let received = receiver.received();
    assert!(received.iter().all(|got| got.body == received[0].body));
    assert!(received.iter().all(|got| got.header("webhook-id") == received[0].header("webhook-id")));
}

#[test]
fn a_receiver_that_nobody_is_keeps_its_delivery_waiting() {
    let more = format!(
        "reports:\n  - {{name: weekly, formats: [json], to: [officer]}}\n\
         sinks:\n  - {{name: officer, type: webhook, url: \"http://{}/hook\"}}\n",
        nobody()
    );
    let program = in_step(&more);
    program.run(&["report", "send", "weekly"]).ended(2, &["no audit run yet", "portcullis audit"]);
    program.run(&["audit", "--fail-on", "none"]).ended(0, &[]);
    program.run(&["report", "send", "weakly"]).ended(2, &["has no report `weakly`", "weekly"]);
    program.run(&["report", "send", "weekly"]).ended(1, &["1 to be tried again"]);
    program.run(&["outbox", "list"]).ended(0, &["waiting", "officer"]);
    program.run(&["outbox", "drop", "1"]).ended(0, &[]);
    program.run(&["outbox", "show", "2"]).ended(2, &["there is no delivery 2", "outbox list"]);
}

#[test]
fn reading_commands_need_a_store_and_say_how_it_is_made() {
    let program = Program::new("");
    for command in [["status"].as_slice(), &["rollout", "status"], &["report"], &["outbox", "list"]] {
        program.run(command).ended(2, &["there is no database", "portcullis sync --once"]);
    }
    program.repo.commit("a readme", &[("README.md", "hello\n")]);
    program.run(&["plan"]).ended(0, &["nothing is applied yet"]);
    assert!(!program.path("state/portcullis.db").exists());
}
