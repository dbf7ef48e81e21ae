//! Bad input in the policy repository: each says what and where, and what is enforced stays byte for byte.

use super::{OWNER, TEMPLATE, enforced, in_step, labels, sync_changes_nothing, wants};
use crate::support::program::Program;

/// Pushes one file and syncs: this exit code, these words, nothing changed.
fn bad_file(path: &str, bytes: &[u8], code: i32, phrases: &[&str]) -> Program {
    let program = in_step("");
    program.repo.commit_bytes("a mistake", &[(path, bytes)]);
    sync_changes_nothing(&program, code, phrases);
    program
}

#[test]
fn truncated_yaml_refuses_the_revision() {
    let whole = wants("K8sLabels", "owner", "app", "deny");
    let half = &whole[..whole.find("kinds: [Dep").unwrap() + 12];
    let program =
        bad_file(OWNER, half.as_bytes(), 1, &["refused", "refused whole: labels/owner.yaml:", "PC"]);
    // And so it stays until it is mended.
    sync_changes_nothing(&program, 1, &["refused whole", "stays in force"]);
    program.repo.commit("mended", &[(OWNER, &whole)]);
    program.run(&["sync", "--once"]).ended(0, &["updated", "in step"]);
}

#[test]
fn a_file_of_a_hundred_megabytes_refuses_the_revision() {
    let large = vec![b'a'; 100 << 20];
    bad_file(
        "labels/large.yaml",
        &large,
        1,
        &["refused whole: labels/large.yaml PC", "104857600 bytes, at most 1048576"],
    );
}

#[test]
fn deep_nesting_refuses_the_revision() {
    let deep = format!("apiVersion: v1\nkind: {}x{}\n", "[".repeat(100_000), "]".repeat(100_000));
    bad_file("labels/deep.yaml", deep.as_bytes(), 1, &["refused whole: labels/deep.yaml:", "deep"]);
}

#[test]
fn an_alias_bomb_refuses_the_revision() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..30 {
        let before = at - 1;
        bomb.push_str(&format!(
            "a{at}: &a{at} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"
        ));
    }
    bad_file("labels/bomb.yaml", bomb.as_bytes(), 1, &["refused whole: labels/bomb.yaml:"]);
}

#[test]
fn invalid_utf_8_refuses_the_revision() {
    let program = bad_file(
        "labels/latin.yaml",
        b"kind: caf\xe9\n",
        1,
        &["refused whole: labels/latin.yaml:1:", "UTF-8"],
    );
    sync_changes_nothing(&program, 1, &["refused"]);
}

#[test]
fn a_recursive_rule_refuses_its_policy_alone() {
    let program = in_step("");
    let recursive = labels("K8sLabels", "again(wanted)") + "        again(x) { again(x) }\n";
    let (other, one) = (labels("K8sOther", ""), wants("K8sOther", "one", "app", "deny"));
    let files = [(TEMPLATE, recursive.as_str()), ("other/template.yaml", &other), ("other/one.yaml", &one)];
    let before = enforced(&program);
    program.repo.commit("a circle", &files);
    program
        .run(&["sync", "--once"])
        .ended(1, &["partial", "labels/template.yaml:", "recurs", "created", "K8sOther/one"]);
    let after = enforced(&program);
    assert!(before.iter().all(|(path, bytes)| after[path] == *bytes));
    assert_eq!(after.len(), before.len() + 2);
}

#[test]
fn duplicate_names_refuse_their_policy() {
    let second = wants("K8sLabels", "owner", "app", "warn");
    bad_file(
        "labels/again.yaml",
        second.as_bytes(),
        1,
        &["partial", "labels/again.yaml:4:9", "K8sLabels `owner` is also at labels/owner.yaml:1"],
    );
}

#[test]
fn duplicate_keys_refuse_the_revision_or_the_policy() {
    let twice = wants("K8sLabels", "owner", "app", "deny") + "  enforcementAction: dryrun\n";
    bad_file(OWNER, twice.as_bytes(), 1, &["labels/owner.yaml:", "enforcementAction"]);
}

#[test]
fn an_endless_comprehension_is_cut_short_and_makes_the_audit_incomplete() {
    let program = in_step("audit: {schedule: \"@daily\", evaluationTimeout: 100ms}");
    let endless = labels(
        "K8sEndless",
        "count([1 | numbers.range(1, 9000)[_] ; numbers.range(1, 9000)[_]; numbers.range(1, 9000)[_]]) > 0",
    );
    let one = wants("K8sEndless", "one", "owner", "deny");
    program.repo.commit("endless", &[("endless/template.yaml", &endless), ("endless/one.yaml", &one)]);
    program.run(&["sync", "--once"]).ended(0, &["created", "K8sEndless/one"]);
    let ran = program.run(&["audit", "-o", "json", "--fail-on", "none"]).ended(3, &[]);
    let json = ran.json();
    assert_eq!(json["run"]["complete"], false);
    let row = |kind: &str| {
        let rows = json["ledger"].as_array().unwrap();
        rows.iter().find(|row| row["constraint"]["kind"] == kind).unwrap().clone()
    };
    assert_eq!(row("K8sEndless")["holes"][0]["count"], 1, "{json}");
    assert!(row("K8sEndless")["holes"][0]["reason"].as_str().unwrap().contains("ran out of time"), "{json}");
    assert_eq!(row("K8sLabels")["evaluated"], 1);
    assert!(row("K8sLabels")["holes"].as_array().unwrap().is_empty());
    let check = program.run(&["rollout", "status"]).ended(0, &["K8sEndless/one"]);
    assert!(!check.out.contains("K8sEndless/one  deny"), "{}", check.out);
}

#[test]
fn what_is_not_supported_yet_is_said_on_its_line_and_goes_no_further_than_dryrun() {
    let program = in_step("");
    let windows = super::paced("1h", "Shadow") + "  windows: [{cron: \"0 9 * * MON\", duration: 6h}]\n";
    program.repo.commit("windows", &[("rollouts.yaml", &windows)]);
    program.run(&["sync", "--once"]).ended(1, &["rollouts.yaml:", "windows", "not supported yet"]);
    assert_eq!(program.stages()["K8sLabels/owner"], "dryrun");
}

#[test]
fn a_commit_that_removes_every_policy_is_held_once_they_are_enforced() {
    let program = in_step("");
    program.run(&["rollout", "promote", "K8sLabels/owner", "--now", "--reason", "sure"]).ended(0, &[]);
    program.run(&["sync", "--once"]).ended(0, &["promoted"]);
    program.run(&["rollout", "promote", "K8sLabels/owner", "--now", "--reason", "sure"]).ended(0, &[]);
    program.run(&["sync", "--once"]).ended(0, &["promoted"]);
    assert_eq!(program.stages()["K8sLabels/owner"], "deny");
    program.repo.delete("nothing left", &[TEMPLATE, OWNER, "rollouts.yaml"]);
    sync_changes_nothing(&program, 1, &["held", "every constraint of K8sLabels at deny would go"]);
}
