//! What people see on the command line: help, completions, no colours off a terminal, hints.

use super::in_step;
use crate::support::program::{binary, run};

const COMMANDS: [&[&str]; 23] = [
    &["run"],
    &["demo"],
    &["check"],
    &["verify"],
    &["plan"],
    &["sync"],
    &["audit"],
    &["report"],
    &["report", "send"],
    &["status"],
    &["rollout", "status"],
    &["rollout", "hold"],
    &["rollout", "resume"],
    &["rollout", "promote"],
    &["outbox"],
    &["outbox", "list"],
    &["outbox", "show"],
    &["outbox", "replay"],
    &["outbox", "drop"],
    &["outbox", "enable"],
    &["config", "schema"],
    &["config", "check"],
    &["completions"],
];

#[test]
fn every_command_has_a_help_that_says_what_it_does() {
    let top = run(&["--help"]).ended(0, &[]);
    for command in COMMANDS {
        assert!(top.out.contains(&format!("\n  {} ", command[0])), "{} is not listed", command[0]);
        let help = run(&[command, &["--help"]].concat()).ended(0, &["Usage: portcullis"]);
        let first = help.out.lines().next().unwrap();
        assert!(first.len() > 8 && !first.starts_with("Usage"), "{command:?}: {first}");
    }
    run(&["--version"]).ended(0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell]).ended(0, &[]).out;
        for command in COMMANDS {
            assert!(script.contains(command[0]), "{shell}: {command:?}");
        }
    }
    run(&["completions", "csh"]).ended(2, &["csh", "bash"]);
}

#[test]
fn a_command_or_an_option_that_does_not_exist() {
    run(&["stauts"]).ended(2, &["stauts", "status"]);
    run(&["sync", "--twice"]).ended(2, &["--twice"]);
    run(&["sync", "--allow-prune", "6"]).ended(2, &["--revision"]);
    run(&["sync", "--allow-prune", "6", "--revision", "main"]).ended(2, &["7 to 40 hex digits"]);
    run(&["rollout", "promote", "K8sLabels/owner"]).ended(2, &["--now"]);
    run(&["rollout", "hold", "owner"]).ended(2, &["expected KIND/NAME"]);
    run(&[]).ended(2, &["Usage: portcullis"]);
}

#[test]
fn off_a_terminal_nothing_is_coloured_or_cut() {
    let program = in_step("");
    program.run(&["audit", "--fail-on", "none"]).ended(0, &[]);
    let repository = program.path("policies.git");
    for command in [
        ["status"].as_slice(),
        &["plan"],
        &["rollout", "status"],
        &["sync", "--once"],
        &["audit", "--fail-on", "none"],
        &["report"],
        &["outbox", "list"],
        &["config", "check"],
        &["check", repository.to_str().unwrap()],
        &["status", "--config", "nowhere.yaml"],
    ] {
        for (name, value) in [("NO_COLOR", "1"), ("TERM", "xterm-256color"), ("CLICOLOR", "1")] {
            let output = program.command(command).env(name, value).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(!said.contains(&0x1b), "{command:?} {name}: {}", String::from_utf8_lossy(&said));
        }
    }
    let rollout =
        program.run(&["rollout", "status"]).ended(0, &["CONSTRAINT", "K8sLabels/owner", "dryrun", "deny"]);
    assert!(rollout.out.contains("1 subject violates, 0 allowed: Deployment shop/cart"), "{}", rollout.out);
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let program = env!("CARGO_BIN_EXE_portcullis");
    for command in ["config schema", "completions bash", "--help"] {
        let line = format!("'{program}' {command} | head -n 1");
        let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("panicked"), "{command}: {said}");
    }
    assert!(binary().arg("--help").output().unwrap().status.success());
}

#[test]
fn a_person_holds_resumes_and_promotes() {
    let program = in_step("");
    program
        .run(&["rollout", "hold", "K8sLabels/nobody"])
        .ended(2, &["is not on the cluster", "rollout status"]);
    program
        .run(&["rollout", "hold", "K8sLabels/owner", "--reason", "freeze"])
        .ended(0, &["hold K8sLabels/owner"]);
    program.run(&["sync", "--once"]).ended(1, &["held", "K8sLabels/owner: held by", "freeze"]);
    program.run(&["rollout", "status"]).ended(0, &["held by", "freeze"]);
    program.run(&["rollout", "resume", "K8sLabels/owner"]).ended(0, &[]);
    program.run(&["sync", "--once"]).ended(0, &["resumed", "in step"]);
    program.run(&["rollout", "promote", "K8sLabels/owner", "--now", "--reason", "sure"]).ended(0, &[]);
    program.run(&["sync", "--once"]).ended(0, &["promoted", "dryrun → warn", "sure"]);
    assert_eq!(program.stages()["K8sLabels/owner"], "warn");
}
