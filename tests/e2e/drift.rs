//! What somebody changes or deletes on the cluster by hand is put back as it was enforced, and reported.

use std::fs;

use serde_json::json;

use super::stage::enforced;

#[tokio::test]
async fn an_edited_constraint_is_put_back_whole() {
    let stage = enforced("").await;
    let before = stage.in_force();
    stage.edit("K8sLabels/owner", "enforcementAction: deny", "enforcementAction: dryrun");
    stage.edit("K8sLabels/owner", "  match:\n", "  match:\n    excludedNamespaces: [\"*\"]\n");
    let pass = stage.sync().await;
    pass.did(&["restored K8sLabels/owner"]);
    let reason = &pass.0.applied.done[0].reason;
    assert!(reason.contains("changed by hand") && reason.contains("enforcementAction"), "{reason}");
    assert_eq!(stage.in_force(), before);
    stage.sync().await.did(&[]);
}

#[tokio::test]
async fn an_edited_template_is_put_back() {
    let stage = enforced("").await;
    let before = stage.in_force();
    stage.edit("k8slabels", "not input.review", "false; not input.review");
    stage.sync().await.did(&["restored ConstraintTemplate/k8slabels"]);
    assert_eq!(stage.in_force(), before);
}

#[tokio::test]
async fn a_file_that_was_made_unreadable_is_put_back() {
    let stage = enforced("").await;
    let before = stage.in_force();
    fs::write(stage.policy("k8slabels"), "kind: [\n").unwrap();
    fs::write(stage.policy("K8sLabels/owner"), "").unwrap();
    stage.sync().await.did(&["restored ConstraintTemplate/k8slabels", "restored K8sLabels/owner"]);
    assert_eq!(stage.in_force(), before);
}

#[tokio::test]
async fn a_deleted_constraint_comes_back_at_its_stage() {
    let stage = enforced("").await;
    let before = stage.in_force();
    fs::remove_file(stage.policy("K8sLabels/owner")).unwrap();
    fs::remove_file(stage.policy("K8sLabels/tier")).unwrap();
    stage.sync().await.did(&["restored K8sLabels/owner", "restored K8sLabels/tier"]);
    assert_eq!(stage.in_force(), before);
}

#[tokio::test]
async fn a_deleted_template_comes_back_with_its_constraints() {
    let stage = enforced("").await;
    let before = stage.in_force();
    fs::remove_file(stage.policy("k8slabels")).unwrap();
    stage.sync().await.did(&[
        "restored ConstraintTemplate/k8slabels",
        "restored K8sLabels/owner",
        "restored K8sLabels/tier",
    ]);
    assert_eq!(stage.in_force(), before);
}

#[tokio::test]
async fn what_others_add_to_an_object_stays() {
    let stage = enforced("").await;
    stage.edit("K8sLabels/owner", "\n  labels:\n", "\n  labels:\n    seen-by: an-auditor\n");
    stage.sync().await.did(&[]);
    stage.edit("K8sLabels/owner", "enforcementAction: deny", "enforcementAction: warn");
    stage.sync().await.did(&["restored K8sLabels/owner"]);
    let labels = stage.manifest("constraints/K8sLabels/owner")["metadata"]["labels"].clone();
    assert_eq!(labels["seen-by"], "an-auditor");
}

#[tokio::test]
async fn drift_is_put_back_before_a_promotion_that_is_due() {
    let stage = enforced("").await;
    stage.object(
        "shop/cart.yaml",
        &super::documents::deployment("shop", "cart", "{owner: shop, tier: front}"),
    );
    stage.quarters(5).await;
    stage.edit("K8sLabels/tier", "enforcementAction: dryrun", "enforcementAction: deny");
    stage.sync().await.did(&["restored K8sLabels/tier"]);
    stage.sync().await.did(&["promoted K8sLabels/tier dryrun → warn"]);
}

#[tokio::test]
async fn drift_is_only_reported_where_the_configuration_says_so() {
    let stage = enforced("apply: {drift: Report}").await;
    stage.edit("K8sLabels/owner", "enforcementAction: deny", "enforcementAction: warn");
    let pass = stage.sync().await;
    assert!(pass.done().is_empty());
    pass.because(&["K8sLabels/owner: changed by hand", "left as it is (apply.drift: Report)"]);
    assert_eq!(stage.stages()["K8sLabels/owner"], "warn");
}

#[tokio::test]
async fn a_report_tells_what_was_put_back() {
    let stage = enforced("").await;
    stage.report().await;
    fs::remove_file(stage.policy("K8sLabels/owner")).unwrap();
    stage.sync().await.did(&["restored K8sLabels/owner"]);
    let report = stage.report().await;
    assert_eq!(report["changes"].as_array().unwrap().len(), 1);
    assert_eq!(report["changes"][0]["what"], json!("restored"));
    assert_eq!(report["changes"][0]["object"], json!("K8sLabels/owner"));
    assert_eq!(report["changes"][0]["why"], json!("deleted by hand"));
}
