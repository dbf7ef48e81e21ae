//! A cluster that refuses, cannot load or never acknowledges: what was enforced stays, and the rest goes on.

use portcullis::{
    clock::Clock as _,
    edge::cluster::directory::Fault,
    pipeline::sync::Verdict::{InStep, Partial},
};
use portcullis_core::plan::ObjectKey;
use serde_json::json;

use super::{
    documents::{labels, rollout, wants},
    stage::{Pass, Stage, constraint, enforced, minutes_after},
};

const TEMPLATE: &str = "labels/template.yaml";

fn template(kind: &str) -> ObjectKey {
    ObjectKey::Template(kind.to_owned())
}

/// A pass during which the clock goes on whenever somebody waits for it.
async fn pass_while_time_goes_on(stage: &Stage) -> Pass {
    let daemon = stage.daemon.clone();
    let pass = tokio::spawn(async move { daemon.sync_pass().await });
    while !pass.is_finished() {
        if let Some(wake) = stage.clock.next_wake() {
            stage.clock.set(wake);
        }
        tokio::task::yield_now().await;
    }
    Pass(pass.await.unwrap())
}

#[tokio::test]
async fn a_new_template_that_does_not_load_is_taken_away_again() {
    let stage = enforced("").await;
    let before = stage.in_force();
    stage.cluster.misbehave(template("K8sTeams"), Some(Fault::FailToLoad("no memory".to_owned())));
    let (teams, team) = (labels("K8sTeams", ""), wants("K8sTeams", "team", "app", "deny"));
    let other = wants("K8sLabels", "app", "app", "deny");
    let files =
        [("teams/template.yaml", teams.as_str()), ("teams/team.yaml", &team), ("labels/app.yaml", &other)];
    let pass = stage.push("teams", &files).await;
    pass.came_to(Partial, &["created K8sLabels/app dryrun"]);
    pass.because(&["ConstraintTemplate/k8steams", "cannot load it: no memory", "taken away again"]);
    pass.because(&["K8sTeams/team", "another part of its policy failed"]);
    assert_eq!(stage.templates(), ["k8slabels"]);
    for (path, manifest) in &before {
        assert_eq!(&stage.manifest(path), manifest, "{path}");
    }

    stage.cluster.misbehave(template("K8sTeams"), None);
    stage.sync().await.did(&["created ConstraintTemplate/k8steams", "created K8sTeams/team dryrun"]);
}

#[tokio::test]
async fn a_changed_template_that_does_not_load_is_undone_and_the_old_one_stays() {
    let stage = enforced("").await;
    stage.push("apply at once", &[("rollouts.yaml", &rollout("Apply"))]).await.did(&[]);
    let before = stage.in_force();
    stage.cluster.misbehave(template("K8sLabels"), Some(Fault::FailToLoad("no memory".to_owned())));
    let stricter = labels("K8sLabels", "wanted != \"\"");
    let pass = stage.push("not the empty label", &[(TEMPLATE, &stricter)]).await;
    pass.came_to(Partial, &[]);
    pass.because(&[
        "ConstraintTemplate/k8slabels",
        "cannot load it: no memory",
        "the previous version is back",
    ]);
    assert_eq!(stage.in_force(), before);

    stage.cluster.misbehave(template("K8sLabels"), None);
    stage.sync().await.did(&[
        "swapped ConstraintTemplate/k8slabels",
        "swapped K8sLabels/owner",
        "swapped K8sLabels/tier",
    ]);
    assert_eq!(stage.stages()["K8sLabels/owner"], "deny");
}

#[tokio::test]
async fn what_is_never_acknowledged_is_undone_when_its_time_is_over() {
    let stage = enforced("apply: {timeout: 2m}").await;
    let changed = wants("K8sLabels", "tier", "app", "deny");
    let before = stage.in_force();
    stage.cluster.misbehave(constraint("K8sLabels/tier"), Some(Fault::NeverAcknowledge));
    stage.repo.commit("another label", &[("labels/tier.yaml", &changed)]);
    let began = stage.clock.now();
    let pass = pass_while_time_goes_on(&stage).await;
    pass.came_to(Partial, &[]);
    pass.because(&["K8sLabels/tier: not acknowledged within 2m", "the previous version is back"]);
    assert!(stage.clock.now() >= minutes_after(began, 2));
    assert_eq!(stage.in_force(), before);

    stage.cluster.misbehave(constraint("K8sLabels/tier"), None);
    stage.sync().await.did(&["updated K8sLabels/tier"]);
}

#[tokio::test]
async fn a_promotion_that_is_never_acknowledged_is_none() {
    let stage = enforced("").await;
    let changed = wants("K8sLabels", "tier", "app", "deny");
    stage.push("another label", &[("labels/tier.yaml", &changed)]).await.did(&["updated K8sLabels/tier"]);
    stage.quarters(5).await;
    stage.cluster.misbehave(constraint("K8sLabels/tier"), Some(Fault::NeverAcknowledge));
    let pass = pass_while_time_goes_on(&stage).await;
    pass.came_to(Partial, &[]);
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");
    stage.cluster.misbehave(constraint("K8sLabels/tier"), None);
    stage.quarters(1).await;
    stage.sync().await.did(&["promoted K8sLabels/tier dryrun → warn"]);
}

#[tokio::test]
async fn what_the_cluster_refuses_stays_and_the_rest_goes_on() {
    let stage = enforced("").await;
    stage.cluster.misbehave(constraint("K8sLabels/app"), Some(Fault::Refuse("quota".to_owned())));
    let (app, zone) =
        (wants("K8sLabels", "app", "app", "deny"), wants("K8sLabels", "zone", "zone", "dryrun"));
    let pass = stage.push("two more", &[("labels/app.yaml", &app), ("labels/zone.yaml", &zone)]).await;
    assert_eq!(pass.0.verdict, Partial);
    pass.because(&["K8sLabels/app", "the cluster refuses", "quota"]);
    assert!(!stage.stages().contains_key("K8sLabels/app"));
    stage.cluster.misbehave(constraint("K8sLabels/app"), None);
    let pass = stage.sync().await;
    assert_eq!(pass.0.verdict, InStep);
    assert_eq!(stage.stages()["K8sLabels/app"], "dryrun");
    assert_eq!(stage.stages()["K8sLabels/zone"], "dryrun");
}

#[tokio::test]
async fn what_others_own_is_left_alone_and_reported() {
    let stage = enforced("").await;
    let path = stage.policy("K8sLabels/foreign");
    let foreign = wants("K8sLabels", "foreign", "app", "warn");
    std::fs::write(&path, &foreign).unwrap();
    stage.sync().await.did(&[]);
    let ours = wants("K8sLabels", "foreign", "owner", "deny");
    let pass = stage.push("ours now", &[("labels/foreign.yaml", &ours)]).await;
    pass.because(&["K8sLabels/foreign", "not ours"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
    let pass = stage.remove("not ours", &["labels/foreign.yaml"]).await;
    pass.came_to(InStep, &[]);
    assert_eq!(stage.manifest("constraints/K8sLabels/foreign")["spec"]["enforcementAction"], json!("warn"));
}
