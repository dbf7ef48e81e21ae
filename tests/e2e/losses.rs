//! What is lost (database, git cache, remote, the right to write) never weakens what is enforced.

use std::fs;

use portcullis::pipeline::sync::Verdict::{Failed, Held, InStep, Partial, Refused};
use sqlx::{Connection as _, SqliteConnection};

use super::{
    documents::wants,
    stage::{Stage, enforced},
};

const OWNER: &str = "labels/owner.yaml";

async fn lose_database(stage: &mut Stage) {
    stage.ports.store.close().await;
    for file in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
        let _ = fs::remove_file(stage.path("state").join(file));
    }
    assert!(!stage.path("state/portcullis.db").exists());
    stage.start().await;
}

/// Makes every write to the database fail, as a full disk does, until it is lifted again.
async fn full_disk(stage: &Stage, full: bool) {
    let url = format!("sqlite://{}", stage.path("state/portcullis.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_%' ESCAPE '\\'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.len() > 5, "{tables:?}");
    for table in tables {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            let name = format!("full_{table}_{event}");
            let statement = if full {
                format!(
                    "CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END"
                )
            } else {
                format!("DROP TRIGGER {name}")
            };
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_deleted_database_weakens_nothing() {
    let mut stage = enforced("").await;
    let before = stage.in_force();
    lose_database(&mut stage).await;
    let pass = stage.sync().await;
    assert_eq!(pass.0.verdict, InStep, "{:?}", pass.0.reasons);
    assert_eq!(stage.stages()["K8sLabels/owner"], "deny");
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");
    for (path, manifest) in &before {
        assert_eq!(stage.manifest(path)["spec"], manifest["spec"], "{path}");
        assert_eq!(
            stage.manifest(path)["metadata"]["annotations"]["portcullis.dev/stage-since"],
            manifest["metadata"]["annotations"]["portcullis.dev/stage-since"]
        );
    }
    stage.sync().await.did(&[]);
    // And it is a database that remembers again.
    fs::remove_file(stage.policy("K8sLabels/owner")).unwrap();
    stage.sync().await.did(&["restored K8sLabels/owner"]);
    assert_eq!(stage.stages()["K8sLabels/owner"], "deny");
}

#[tokio::test]
async fn with_the_database_the_evidence_is_lost_and_nothing_is_promoted_on_what_is_not_there() {
    let mut stage = enforced("").await;
    let cart = super::documents::deployment("shop", "cart", "{owner: shop, tier: front}");
    stage.object("shop/cart.yaml", &cart);
    stage.quarters(5).await;
    lose_database(&mut stage).await;
    stage.sync().await;
    assert_eq!(stage.stages()["K8sLabels/tier"], "dryrun");
    stage.quarters(2).await;
    stage.sync().await.did(&["promoted K8sLabels/tier dryrun → warn"]);
}

#[tokio::test]
async fn a_stage_set_by_hand_while_the_database_is_gone_is_kept_and_reported() {
    let mut stage = enforced("").await;
    lose_database(&mut stage).await;
    stage.edit("K8sLabels/tier", "enforcementAction: dryrun", "enforcementAction: deny");
    let before = stage.manifest("constraints/K8sLabels/tier");
    let pass = stage.soak().await;
    assert_eq!(pass.0.verdict, Held);
    pass.because(&["K8sLabels/tier", "state unknown", "kept exactly as enforced"]);
    assert_eq!(stage.manifest("constraints/K8sLabels/tier"), before);
}

#[tokio::test]
async fn a_deleted_state_folder_without_a_remote_leaves_everything_as_it_is() {
    let mut stage = enforced("").await;
    let before = stage.in_force();
    stage.ports.store.close().await;
    fs::remove_dir_all(stage.path("state")).unwrap();
    fs::rename(stage.path("policies.git"), stage.path("away.git")).unwrap();
    stage.start().await;
    let pass = stage.sync().await;
    pass.came_to(Failed, &[]);
    pass.because(&["no policy revision to work with"]);
    assert_eq!(stage.in_force(), before);
    fs::rename(stage.path("away.git"), stage.path("policies.git")).unwrap();
    assert_eq!(stage.sync().await.0.verdict, InStep);
    assert_eq!(stage.stages()["K8sLabels/owner"], "deny");
}

#[tokio::test]
async fn while_the_remote_is_gone_the_last_good_revision_stays_across_restarts() {
    let mut stage = enforced("").await;
    let before = stage.in_force();
    let last_good = format!("{} stays in force", stage.repo.head().short());
    fs::rename(stage.path("policies.git"), stage.path("away.git")).unwrap();
    let pass = stage.sync().await;
    pass.came_to(Failed, &[]);
    pass.because(&[&last_good]);

    stage.restart().await;
    fs::remove_file(stage.policy("K8sLabels/owner")).unwrap();
    let pass = stage.sync().await;
    pass.came_to(Failed, &["restored K8sLabels/owner"]);
    pass.because(&[&last_good]);
    assert_eq!(stage.in_force(), before);

    // Decisions go on from what is there.
    let cart = super::documents::deployment("shop", "cart", "{owner: shop, tier: front}");
    stage.object("shop/cart.yaml", &cart);
    stage.soak().await.came_to(Failed, &["promoted K8sLabels/tier dryrun → warn"]);

    fs::rename(stage.path("away.git"), stage.path("policies.git")).unwrap();
    stage.sync().await.did(&[]);
}

#[tokio::test]
async fn a_refused_revision_stays_refused_across_a_restart() {
    let mut stage = enforced("").await;
    let (before, last_good) = (stage.in_force(), stage.repo.head());
    let broken = stage.push("half a file", &[(OWNER, "kind: [\n")]).await;
    broken.came_to(Refused, &[]);
    stage.restart().await;
    let pass = stage.sync().await;
    pass.came_to(Refused, &[]);
    assert_eq!(pass.revision(), last_good);
    lose_database(&mut stage).await;
    let pass = stage.sync().await;
    assert_eq!(pass.0.verdict, Refused);
    assert_eq!(pass.revision(), last_good, "the git cache knows the last good revision too");
    for (path, manifest) in &before {
        assert_eq!(stage.manifest(path)["spec"], manifest["spec"], "{path}");
    }
}

#[tokio::test]
async fn while_the_store_cannot_be_written_nothing_moves_and_drift_is_put_back() {
    let stage = enforced("").await;
    let before = stage.in_force();
    let cart = super::documents::deployment("shop", "cart", "{owner: shop, tier: front}");
    stage.object("shop/cart.yaml", &cart);
    stage.quarters(5).await;
    full_disk(&stage, true).await;

    stage.edit("K8sLabels/owner", "enforcementAction: deny", "enforcementAction: dryrun");
    let pass = stage.sync().await;
    pass.came_to(Partial, &["restored K8sLabels/owner"]);
    pass.because(&["K8sLabels/tier", "the store cannot be written", "nothing was changed"]);
    assert_eq!(stage.in_force(), before);

    let files = [(OWNER, wants("K8sLabels", "owner", "owner", "warn"))];
    let pass = stage.push("lower", &[(OWNER, files[0].1.as_str())]).await;
    assert!(pass.done().is_empty(), "{:?}", pass.done());
    stage.remove("gone", &["labels/tier.yaml"]).await;
    assert_eq!(stage.in_force(), before);

    full_disk(&stage, false).await;
    stage.sync().await.did(&["lowered K8sLabels/owner deny → warn", "removed K8sLabels/tier"]);
}
