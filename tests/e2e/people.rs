//! Changes of mind by people: annotations on the objects, consumed and recorded by the daemon.

use portcullis::pipeline::sync::Verdict::{Held, InStep};
use serde_json::{Value, json};

use super::{
    documents::{deployment, rollout, wants},
    stage::{Stage, enforced},
};

const MARA: &str = r#"{"by": "mara@example.com", "reason": "release freeze", "at": "2026-03-02T09:00:00Z"}"#;
const OWNER: &str = "labels/owner.yaml";

/// The two Deployments have every label.
fn comply(stage: &Stage) {
    stage.object("shop/cart.yaml", &deployment("shop", "cart", "{app: cart, owner: shop, tier: front}"));
}

fn annotation(stage: &Stage, name: &str, verb: &str) -> Value {
    let key = format!("portcullis.dev/{verb}");
    stage.manifest(&format!("constraints/{name}"))["metadata"]["annotations"][key].clone()
}

#[tokio::test]
async fn a_hold_freezes_the_stage_until_resume() {
    let stage = enforced("").await;
    comply(&stage);
    stage.annotate("K8sLabels/tier", "hold", Some(MARA)).await;
    let pass = stage.soak().await;
    pass.came_to(Held, &[]);
    pass.because(&["K8sLabels/tier: held by mara@example.com: release freeze"]);
    stage.soak().await.came_to(Held, &[]);
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");

    stage.annotate("K8sLabels/tier", "resume", Some(MARA)).await;
    stage.quarters(1).await;
    let pass = stage.sync().await;
    // The stage is due at once: it soaked while it was held.
    assert_eq!(pass.done(), ["promoted K8sLabels/tier dryrun → warn"]);
    assert_eq!(annotation(&stage, "K8sLabels/tier", "hold"), Value::Null);
    assert_eq!(annotation(&stage, "K8sLabels/tier", "resume"), Value::Null);
}

#[tokio::test]
async fn a_resume_without_anything_due_is_consumed() {
    let stage = enforced("").await;
    stage.annotate("K8sLabels/owner", "hold", Some(MARA)).await;
    stage.sync().await;
    stage.annotate("K8sLabels/owner", "resume", Some(MARA)).await;
    stage.sync().await.did(&["resumed K8sLabels/owner"]);
    assert_eq!(annotation(&stage, "K8sLabels/owner", "hold"), Value::Null);
    stage.sync().await.did(&[]);
    let report = stage.report().await;
    let resumed = &report["changes"][0];
    assert_eq!((&resumed["what"], &resumed["who"]), (&json!("resumed"), &json!("mara@example.com")));
}

#[tokio::test]
async fn a_hold_written_by_kubectl_as_plain_words_counts() {
    let stage = enforced("").await;
    comply(&stage);
    stage.edit(
        "K8sLabels/tier",
        "  annotations:\n",
        "  annotations:\n    portcullis.dev/hold: until Friday\n",
    );
    let pass = stage.soak().await;
    pass.came_to(Held, &[]);
    pass.because(&["K8sLabels/tier: held by until Friday"]);
}

#[tokio::test]
async fn under_a_hold_a_lowered_target_and_a_removal_still_act() {
    let stage = enforced("").await;
    stage.annotate("K8sLabels/owner", "hold", Some(MARA)).await;
    let pass = stage.push("lower", &[(OWNER, &wants("K8sLabels", "owner", "owner", "warn"))]).await;
    assert_eq!(pass.done(), ["lowered K8sLabels/owner deny → warn"]);
    let pass = stage.remove("gone", &[OWNER]).await;
    pass.came_to(InStep, &["removed K8sLabels/owner"]);
}

#[tokio::test]
async fn under_a_hold_a_changed_version_waits() {
    let stage = enforced("").await;
    stage.push("apply at once", &[("rollouts.yaml", &rollout("Apply"))]).await.did(&[]);
    stage.annotate("K8sLabels/owner", "hold", Some(MARA)).await;
    let changed = wants("K8sLabels", "owner", "app", "deny");
    let pass = stage.push("another label", &[(OWNER, &changed)]).await;
    pass.came_to(Held, &[]);
    pass.because(&["K8sLabels/owner", "held by mara@example.com", "rollout resume K8sLabels/owner"]);
    stage.annotate("K8sLabels/owner", "resume", Some(MARA)).await;
    stage.sync().await.did(&["swapped K8sLabels/owner"]);
    assert_eq!(annotation(&stage, "K8sLabels/owner", "hold"), Value::Null);
}

#[tokio::test]
async fn a_promotion_by_a_person_asks_no_gate_and_is_told_as_theirs() {
    let stage = enforced("").await;
    stage.report().await;
    stage.annotate("K8sLabels/tier", "promote", Some(MARA)).await;
    stage.sync().await.did(&["promoted K8sLabels/tier dryrun → warn"]);
    assert_eq!(annotation(&stage, "K8sLabels/tier", "promote"), Value::Null);
    stage.sync().await.did(&[]);
    let report = stage.report().await;
    let change = &report["changes"][0];
    assert_eq!(report["changes"].as_array().unwrap().len(), 1);
    assert_eq!((&change["what"], &change["who"]), (&json!("promoted"), &json!("mara@example.com")));
    assert!(change["why"].as_str().unwrap().contains("release freeze"), "{change}");
}

#[tokio::test]
async fn a_promotion_meant_for_another_version_is_used_up_and_does_nothing() {
    let stage = enforced("").await;
    let stale = r#"{"by": "mara@example.com", "reason": "now", "hash": "v1:00"}"#;
    stage.annotate("K8sLabels/tier", "promote", Some(stale)).await;
    let pass = stage.sync().await;
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");
    assert!(pass.0.applied.done[0].reason.contains("meant for another version"), "{:?}", pass.0.applied.done);
    assert_eq!(annotation(&stage, "K8sLabels/tier", "promote"), Value::Null);
}

#[tokio::test]
async fn a_held_version_is_put_in_by_a_person() {
    let stage = enforced("").await;
    let changed = wants("K8sLabels", "owner", "app", "deny");
    stage.push("another label", &[(OWNER, &changed)]).await.came_to(Held, &[]);
    stage.annotate("K8sLabels/owner", "promote", Some(MARA)).await;
    stage.sync().await.did(&["swapped K8sLabels/owner"]);
    let owner = stage.manifest("constraints/K8sLabels/owner");
    assert_eq!(owner["spec"]["parameters"], json!({"labels": ["app"]}));
    assert_eq!(owner["spec"]["enforcementAction"], "deny");
}
