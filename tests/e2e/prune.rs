//! Removals beyond the budget wait for a person, who is told the very command that allows them.

use std::process::{Command, Output};

use portcullis::{
    edge::store::Action,
    pipeline::sync::Verdict::{Held, InStep},
};
use portcullis_core::identity::Revision;

use super::{
    documents::{labels, wants},
    stage::{Pass, Stage, enforced},
};

/// Six constraints at dryrun beside the enforced one, then a commit without them: held.
async fn six_too_many() -> (Stage, Pass) {
    let stage = enforced("").await;
    let files: Vec<(String, String)> = (0..6)
        .map(|at| (format!("many/{at}.yaml"), wants("K8sLabels", &format!("many-{at}"), "app", "dryrun")))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(stage.push("six", &files).await.done().len(), 6);
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let pass = stage.remove("none", &paths).await;
    pass.came_to(Held, &[]);
    (stage, pass)
}

/// The command that the message of a hold prints.
fn printed(pass: &Pass) -> String {
    let reason = pass.because(&["prune of 6 objects is held", "to allow exactly this: "]);
    reason.split("to allow exactly this: ").nth(1).unwrap().to_owned()
}

/// Runs a line in a shell that finds the program and its configuration as a person's would.
fn in_a_shell(stage: &Stage, line: &str) -> Output {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_portcullis"));
    Command::new("sh")
        .args(["-c", line])
        .env("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()))
        .env("PORTCULLIS_CONFIG", stage.path("portcullis.yaml"))
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_printed_command_removes_exactly_what_was_held() {
    let (stage, pass) = six_too_many().await;
    let line = printed(&pass);
    assert_eq!(line, format!("portcullis sync --allow-prune 6 --revision {}", pass.revision().short()));
    let output = in_a_shell(&stage, &line);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("removed")).count(), 6, "{said}");
    let stages = stage.stages();
    assert_eq!(stages.len(), 2);
    assert_eq!(stages["K8sLabels/owner"], "deny");
    stage.sync().await.did(&[]);
}

#[tokio::test]
async fn a_permission_left_in_the_store_is_carried_out_by_the_daemon_once() {
    let (stage, pass) = six_too_many().await;
    let action = Action::AllowPrune { count: 6, revision: Revision::new(pass.revision().short()) };
    stage.ports.store.request_action(&action, "mara", stage.ports.now()).await.unwrap();
    let pass = stage.sync().await;
    assert_eq!((pass.0.verdict, pass.done().len()), (InStep, 6));
    assert!(stage.ports.store.pending_actions().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_permission_for_another_number_or_revision_allows_nothing() {
    let (stage, pass) = six_too_many().await;
    let other = stage.repo.git().head().unwrap().peel_to_commit().unwrap().parent_id(0).unwrap().to_string();
    let (this, other) = (pass.revision().short().to_owned(), other[..7].to_owned());
    for (count, revision) in [(5, &this), (7, &this), (6, &other)] {
        let line = format!("portcullis sync --allow-prune {count} --revision {revision}");
        let output = in_a_shell(&stage, &line);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("prune of 6 objects is held"), "{said}");
        assert_eq!(stage.stages().len(), 8);
    }
}

#[tokio::test]
async fn the_last_constraint_of_a_kind_at_deny_is_not_removed_unasked() {
    let stage = enforced("").await;
    let pass = stage.remove("owner goes", &["labels/owner.yaml"]).await;
    pass.came_to(Held, &[]);
    pass.because(&["every constraint of K8sLabels at deny would go"]);
    assert_eq!(stage.stages()["K8sLabels/owner"], "deny");
    stage.edit("K8sLabels/owner", "enforcementAction: deny", "enforcementAction: dryrun");
    stage.sync().await.came_to(Held, &["restored K8sLabels/owner"]);
}

#[tokio::test]
async fn what_is_deleted_by_hand_while_its_removal_is_held_comes_back() {
    let stage = enforced("").await;
    stage.remove("owner goes", &["labels/owner.yaml"]).await.came_to(Held, &[]);
    std::fs::remove_file(stage.policy("k8slabels")).unwrap();
    stage.sync().await.came_to(
        Held,
        &["restored ConstraintTemplate/k8slabels", "restored K8sLabels/tier", "restored K8sLabels/owner"],
    );
    assert_eq!(stage.stages()["K8sLabels/owner"], "deny");
}

#[tokio::test]
async fn what_is_deleted_by_hand_and_in_git_is_forgotten() {
    let stage = enforced("").await;
    std::fs::remove_file(stage.policy("K8sLabels/tier")).unwrap();
    stage.remove("tier goes", &["labels/tier.yaml"]).await.did(&[]);
    assert!(!stage.stages().contains_key("K8sLabels/tier"));
    // It is new when it comes again.
    let again = wants("K8sLabels", "tier", "tier", "deny");
    stage.push("tier again", &[("labels/tier.yaml", &again)]).await.did(&["created K8sLabels/tier dryrun"]);
}

#[tokio::test]
async fn nothing_is_removed_while_anything_is_refused() {
    let stage = enforced("").await;
    let bad = labels("K8sOther", "wanted = = 1");
    stage.repo.delete("tier goes", &["labels/tier.yaml"]);
    let pass = stage.push("and a mistake", &[("other/template.yaml", &bad)]).await;
    assert!(pass.done().is_empty());
    pass.because(&["prune of 1 object is held", "while anything in the revision is refused"]);
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");
    let pass = stage.remove("mended", &["other/template.yaml"]).await;
    pass.came_to(InStep, &["removed K8sLabels/tier"]);
}

#[tokio::test]
async fn an_object_that_says_so_is_kept() {
    let stage = enforced("").await;
    let kept = wants("K8sLabels", "tier", "tier", "deny")
        .replace("  name: tier\n", "  name: tier\n  annotations: {portcullis.dev/prune: disabled}\n");
    stage.push("keep it", &[("labels/tier.yaml", &kept)]).await.did(&["rewritten K8sLabels/tier"]);
    let pass = stage.remove("tier goes", &["labels/tier.yaml"]).await;
    assert!(pass.done().is_empty());
    pass.because(&["K8sLabels/tier is no longer in git and is kept", "portcullis.dev/prune is disabled"]);
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");
}
