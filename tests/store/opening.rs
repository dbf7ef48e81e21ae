//! The file itself: where it may lie, who may open it, what it may hold.

use jiff::SignedDuration;
use portcullis::edge::store::{Cause, Store, StoreError, SyncRecord};
use portcullis_core::identity::Revision;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{at, mirror_row, open, url};

#[tokio::test]
async fn what_was_written_is_there_after_reopening_without_closing() {
    let folder = tempfile::tempdir().unwrap();
    let revision = Revision::new("b".repeat(40));
    let sync = SyncRecord {
        revision: Some(revision.clone()),
        outcome: "held".to_owned(),
        reasons: vec!["prune of 6 constraints".to_owned()],
        at: at(5),
    };
    let store = open(folder.path()).await;
    store.set_accepted(&revision, Some(&json!({"documents": 3})), at(4)).await.unwrap();
    store.record_sync(&sync).await.unwrap();
    // A process that is killed closes nothing.
    std::mem::forget(store);

    let store = open(folder.path()).await;
    let accepted = store.accepted().await.unwrap().unwrap();
    assert_eq!((accepted.revision, accepted.at), (revision, at(4)));
    assert_eq!(store.accepted_bundle().await.unwrap(), Some(json!({"documents": 3})));
    assert_eq!(store.last_sync().await.unwrap(), Some(sync));
}

#[tokio::test]
async fn clusters_and_instances_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.upsert_mirror(&mirror_row("deny")).await.unwrap();
    let run = store.begin_run(Cause::Schedule, true, at(0)).await.unwrap();
    for (cluster, instance) in [("prod", "other"), ("test", "platform")] {
        let other = store.scoped(cluster, instance);
        assert_eq!(other.mirror().await.unwrap(), []);
        assert_eq!(other.run(run).await.unwrap(), None);
        assert_eq!(other.begin_run(Cause::Schedule, true, at(0)).await.unwrap(), run);
    }
    assert_eq!(store.mirror().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = folder.path().join("file");
    std::fs::write(&blocker, "").unwrap();
    let error = Store::open(&format!("sqlite://{}/p.db", blocker.display()), "prod", "platform").await;
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. } | StoreError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains(blocker.to_str().unwrap()), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut place = folder.path().join("state");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(place.join("probe"), "").is_ok() {
        // Permissions do not bind root; a file system without files does.
        place = "/proc/self/fdinfo".into();
    }
    let error = Store::open(&format!("sqlite://{}/p.db", place.display()), "prod", "platform").await;
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("{}/p.db", place.display())), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    std::fs::write(&path, "not a database, but somebody's notes".repeat(100)).unwrap();
    let error = Store::open(&format!("sqlite://{}", path.display()), "prod", "platform").await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("not a database"));
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let path = format!("sqlite://{}", store.path().display());
    store.close().await;
    let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'later', 1, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    for error in [
        Store::open(&path, "prod", "platform").await.unwrap_err(),
        Store::open_reading(&path, "prod", "platform").await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NewerSchema { found: 9000, known: 1, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_reader_beside_the_writer_sees_what_is_committed_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let absent = Store::open_reading(&url(folder.path()), "prod", "platform").await.unwrap_err();
    assert!(matches!(absent, StoreError::Absent { .. }));
    let store = open(folder.path()).await;
    let reader = Store::open_reading(&url(folder.path()), "prod", "platform").await.unwrap();
    store.upsert_mirror(&mirror_row("deny")).await.unwrap();
    assert_eq!(reader.mirror().await.unwrap().len(), 1);
    let refused = reader.upsert_mirror(&mirror_row("warn")).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly));
}

#[tokio::test]
async fn two_processes_may_open_a_new_database_at_once_and_number_runs_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = tokio::join!(open(folder.path()), open(folder.path()));
    let mut numbers = Vec::new();
    for _ in 0..10 {
        let (a, b) = tokio::join!(
            one.begin_run(Cause::Schedule, true, at(0)),
            other.begin_run(Cause::Manual, false, at(0))
        );
        numbers.extend([a.unwrap().0, b.unwrap().0]);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

#[test]
fn every_table_is_keyed_by_cluster_and_instance_and_holds_plain_types() {
    let schema = include_str!("../../migrations/0001_store.sql");
    let tables: Vec<_> = schema.split("CREATE TABLE ").skip(1).collect();
    assert!(tables.len() > 15);
    for table in tables {
        let name = table.split_whitespace().next().unwrap();
        assert!(table.contains("PRIMARY KEY (cluster, instance"), "{name}");
        for line in table.lines().skip(1).take_while(|line| !line.starts_with(')')) {
            let line = line.trim();
            if !line.starts_with("PRIMARY") && !line.starts_with("FOREIGN") {
                let kind = line.split_whitespace().nth(1).unwrap().trim_end_matches(',');
                assert!(["TEXT", "BIGINT", "REAL"].contains(&kind), "{name}: {line}");
            }
        }
    }
}

#[tokio::test]
async fn times_are_kept_to_the_millisecond() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let precise = at(1) + SignedDuration::from_millis(234);
    store.set_accepted(&Revision::new("c"), None::<&Value>, precise).await.unwrap();
    assert_eq!(store.accepted().await.unwrap().unwrap().at, precise);
}
