//! The store on real files.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use portcullis::edge::store::{
    Action, Cause, Decision, Intent, MirrorChange, MirrorRow, NewDelivery, NewEvidence, Outcome, ReportBody,
    ReportRecord, RunRecord, RunState, Store, StoreError, SyncRecord, Tracked,
};
use portcullis_core::{
    audit::{Class, Finding, Hole, HoleClass, LedgerRow, ObjectRef, Status, Subject},
    identity::{ConstraintId, Fingerprint, PolicyHash, Revision},
};
use serde_json::{Value, json};
use sqlx::Connection as _;

fn url(folder: &Path) -> String {
    format!("sqlite://{}/state/portcullis.db", folder.display())
}

async fn open(folder: &Path) -> Store {
    Store::open(&url(folder), "prod", "platform").await.unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + seconds).unwrap()
}

fn finding(constraint: &str, subject: &str, message: &str) -> Finding {
    Finding {
        constraint: ConstraintId::new("K8sThing", constraint),
        enforcement_action: "dryrun".to_owned(),
        class: Class::Violation,
        operation: String::new(),
        via: String::new(),
        object: ObjectRef {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: subject.to_owned(),
            uid: String::new(),
        },
        subject: subject_of(subject),
        message: message.to_owned(),
        details: json!({"container": "web"}),
        severity: "medium".to_owned(),
        fingerprint: Fingerprint::new(format!("f1:{constraint}-{subject}")),
        exempt_by: String::new(),
        uncounted: false,
        source: String::new(),
    }
}

fn subject_of(name: &str) -> Subject {
    Subject {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn tracked(finding: &Finding, status: Status) -> Tracked {
    Tracked { fingerprint: finding.fingerprint.clone(), status }
}

fn record<'a>(finished: Timestamp, findings: &'a [Finding], tracked: &'a [Tracked]) -> RunRecord<'a> {
    RunRecord {
        complete: true,
        finished,
        objects: 10,
        findings,
        ledger: &[],
        evidence: &[],
        tracked,
        summary: json!({"score": 96.2}),
    }
}

fn decision(seconds: i64) -> Decision {
    Decision {
        at: at(seconds),
        kind: "K8sThing".to_owned(),
        name: "all".to_owned(),
        revision: Some(Revision::new("a".repeat(40))),
        from: Some("dryrun".to_owned()),
        to: Some("deny".to_owned()),
        hash: Some(PolicyHash::new("v1:0")),
        who: "portcullis".to_owned(),
        reason: "soak 14d of 14d".to_owned(),
        evidence: json!({"audits": 31}),
    }
}

fn intent(id: &str, seconds: i64) -> Intent {
    Intent {
        id: id.to_owned(),
        kind: "K8sThing".to_owned(),
        name: "all".to_owned(),
        action: json!({"write": "constraint"}),
        decision: decision(seconds),
    }
}

fn mirror_row(stage: &str) -> MirrorRow {
    MirrorRow {
        kind: "K8sThing".to_owned(),
        name: "all".to_owned(),
        is_template: false,
        state: json!({"stage": stage}),
        manifest_hash: None,
        decided_at: at(0),
    }
}

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
async fn an_intent_carries_its_decision_and_changes_the_mirror_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let manifest = json!({"kind": "K8sThing", "spec": {"enforcementAction": "deny"}});
    let hash = store
        .begin(&intent("i1", 1), &MirrorChange::Upsert(mirror_row("deny")), Some(&manifest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.mirror().await.unwrap(), [], "not acknowledged yet");
    assert_eq!(store.manifest(&hash).await.unwrap(), Some(manifest));
    std::mem::forget(store);

    let store = open(folder.path()).await;
    let left = store.open_intents().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].intent, intent("i1", 1));
    let history = store.decisions(Some("K8sThing"), Some("all"), 10).await.unwrap();
    assert_eq!((history.len(), history[0].outcome), (1, Outcome::Pending));
    assert_eq!(history[0].decision, decision(1));

    store.done("i1", at(2), &[]).await.unwrap();
    store.done("i1", at(3), &[]).await.unwrap();
    assert_eq!(store.open_intents().await.unwrap(), []);
    let expected = MirrorRow { manifest_hash: Some(hash), ..mirror_row("deny") };
    assert_eq!(store.mirror().await.unwrap(), [expected]);
    assert_eq!(store.decisions(None, None, 10).await.unwrap()[0].outcome, Outcome::Done);
}

#[tokio::test]
async fn a_dropped_intent_leaves_the_mirror_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.upsert_mirror(&mirror_row("dryrun")).await.unwrap();
    store.begin(&intent("i1", 1), &MirrorChange::Delete, None).await.unwrap();
    store.dropped("i1", "the cluster refused it", at(2)).await.unwrap();
    assert_eq!(store.mirror().await.unwrap(), [mirror_row("dryrun")]);
    let decision = store.decisions(None, None, 1).await.unwrap().remove(0);
    assert_eq!((decision.outcome, decision.why.as_str()), (Outcome::Dropped, "the cluster refused it"));
    let unknown = store.done("i2", at(3), &[]).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no intent i2");
}

#[tokio::test]
async fn an_intent_that_cannot_be_kept_keeps_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.begin(&intent("i1", 1), &MirrorChange::Keep, None).await.unwrap();
    let again = store.begin(&intent("i1", 2), &MirrorChange::Keep, Some(&json!({"a": 1}))).await;
    assert!(again.is_err(), "an id is good for one intent");
    assert_eq!(store.decisions(None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn findings_are_followed_across_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (a, b, c) = (finding("one", "a", "no"), finding("one", "b", "no"), finding("two", "c", "no"));

    let runs: [(&[Finding], Vec<Tracked>); 3] = [
        (&[a.clone(), b.clone()], vec![tracked(&a, Status::New), tracked(&b, Status::New)]),
        (
            &[a.clone(), c.clone()],
            vec![tracked(&a, Status::Open), tracked(&b, Status::Fixed), tracked(&c, Status::New)],
        ),
        (
            &[b.clone(), a.clone(), a.clone()],
            vec![tracked(&a, Status::Open), tracked(&b, Status::Regressed), tracked(&c, Status::Fixed)],
        ),
    ];
    let mut ids = Vec::new();
    for (number, (findings, tracked)) in (0..).zip(&runs) {
        let id = store.begin_run(Cause::Schedule, true, at(number * 100)).await.unwrap();
        store.finish_run(id, &record(at(number * 100 + 5), findings, tracked)).await.unwrap();
        ids.push(id);
    }

    let seen = async |run: usize| {
        let findings = store.findings(ids[run]).await.unwrap();
        findings.into_iter().map(|row| (row.finding.object.name, row.status)).collect::<Vec<_>>()
    };
    let pair = |name: &str, status| (name.to_owned(), status);
    assert_eq!(seen(0).await, [pair("a", Status::New), pair("b", Status::New)]);
    assert_eq!(seen(1).await, [pair("a", Status::Open), pair("c", Status::New)]);
    assert_eq!(
        seen(2).await,
        [pair("a", Status::Open), pair("a", Status::Open), pair("b", Status::Regressed)],
        "the same finding twice is there twice"
    );
    let fixed = store.fixed_in(ids[1]).await.unwrap();
    assert_eq!(fixed.iter().map(|known| &known.fingerprint).collect::<Vec<_>>(), [&b.fingerprint]);

    let known = store.known().await.unwrap();
    let of = |finding: &Finding| known.iter().find(|known| known.fingerprint == finding.fingerprint).unwrap();
    assert_eq!((of(&a).first_seen, of(&a).last_seen, of(&a).status), (at(5), at(205), Status::Open));
    assert_eq!((of(&b).first_seen, of(&b).last_seen, of(&b).status), (at(5), at(205), Status::Regressed));
    assert_eq!((of(&c).last_seen, of(&c).status), (at(105), Status::Fixed));

    let trend = store.trend(2).await.unwrap();
    assert_eq!(
        trend.iter().map(|run| (run.findings, run.new, run.fixed, run.regressed)).collect::<Vec<_>>(),
        [(2, 1, 1, 0), (3, 0, 1, 1)]
    );
    assert_eq!(trend[1].summary, json!({"score": 96.2}));
}

#[tokio::test]
async fn a_run_that_changes_nothing_adds_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let findings: Vec<_> = (0..1200).map(|number| finding("one", &format!("p{number:04}"), "no")).collect();
    let first: Vec<_> = findings.iter().map(|finding| tracked(finding, Status::New)).collect();
    let later: Vec<_> = findings.iter().map(|finding| tracked(finding, Status::Open)).collect();
    for (number, tracked) in (0..).zip([&first, &later, &later]) {
        let id = store.begin_run(Cause::Schedule, true, at(number)).await.unwrap();
        store.finish_run(id, &record(at(number), &findings, tracked)).await.unwrap();
        assert_eq!(store.findings(id).await.unwrap().len(), 1200);
    }
    assert_eq!(rows(&store, "spans").await, 1200);
}

async fn rows(store: &Store, table: &str) -> i64 {
    let mut connection =
        sqlx::SqliteConnection::connect(&format!("sqlite://{}", store.path().display())).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn evidence_is_of_one_hash_one_stage_and_since_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let constraint = ConstraintId::new("K8sThing", "all");
    let ledger = [LedgerRow {
        constraint: constraint.clone(),
        group: String::new(),
        kind: "Pod".to_owned(),
        evaluated: 9,
        violated: 1,
        exempt: 0,
        errors: 0,
        holes: vec![Hole { class: HoleClass::Unknown, reason: "a.yaml: not readable".to_owned(), count: 1 }],
    }];
    for (number, (cause, hash, stage)) in (0..).zip([
        (Cause::Schedule, "v1:old", "dryrun"),
        (Cause::Schedule, "v1:new", "dryrun"),
        (Cause::Manual, "v1:new", "dryrun"),
        (Cause::Sync, "v1:new", "warn"),
    ]) {
        let evidence = [NewEvidence {
            constraint: constraint.clone(),
            slot: "current".to_owned(),
            hash: PolicyHash::new(hash),
            stage: stage.to_owned(),
            complete: number != 1,
            errors: 0,
            violations: 1,
            subjects: vec![subject_of("a")],
        }];
        let id = store.begin_run(cause, cause != Cause::Manual, at(number * 10)).await.unwrap();
        let record = RunRecord {
            complete: number != 3,
            ledger: &ledger,
            evidence: &evidence,
            ..record(at(number * 10 + 1), &[], &[])
        };
        store.finish_run(id, &record).await.unwrap();
    }
    let unfinished = store.begin_run(Cause::Schedule, true, at(100)).await.unwrap();

    let new = PolicyHash::new("v1:new");
    let rows = store.evidence(&constraint, &new, None, at(0)).await.unwrap();
    let short: Vec<_> = rows.iter().map(|row| (row.run.0, row.cause, row.complete, row.by_daemon)).collect();
    assert_eq!(
        short,
        [(4, Cause::Sync, true, true), (3, Cause::Manual, true, false), (2, Cause::Schedule, false, true)]
    );
    assert_eq!((rows[0].violations, &rows[0].subjects), (1, &vec![subject_of("a")]));
    assert_eq!(store.evidence(&constraint, &new, Some("dryrun"), at(0)).await.unwrap().len(), 2);
    assert_eq!(store.evidence(&constraint, &new, Some("dryrun"), at(15)).await.unwrap().len(), 1);

    assert_eq!(store.newest_run(false).await.unwrap().unwrap().id.0, 4);
    assert_eq!(store.newest_run(true).await.unwrap().unwrap().id.0, 3);
    assert_eq!(store.ledger(store.newest_run(true).await.unwrap().unwrap().id).await.unwrap(), ledger);
    assert_eq!(store.abandon_unfinished_runs().await.unwrap(), 1);
    assert_eq!(store.run(unfinished).await.unwrap().unwrap().state, RunState::Abandoned);
}

#[tokio::test]
async fn a_run_is_finished_once_and_wholly() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let one = finding("one", "a", "no");
    let findings = [one.clone()];
    let tracked = [tracked(&one, Status::New)];
    let id = store.begin_run(Cause::Schedule, true, at(0)).await.unwrap();
    let twice = NewEvidence {
        constraint: ConstraintId::new("K8sThing", "all"),
        slot: "current".to_owned(),
        hash: PolicyHash::new("v1:0"),
        stage: "deny".to_owned(),
        complete: true,
        errors: 0,
        violations: 0,
        subjects: Vec::new(),
    };
    let evidence = [twice.clone(), twice];
    let torn = RunRecord { evidence: &evidence, ..record(at(1), &findings, &tracked) };
    assert!(store.finish_run(id, &torn).await.is_err());
    assert_eq!(store.run(id).await.unwrap().unwrap().state, RunState::Running);
    assert_eq!(store.known().await.unwrap(), []);

    store.finish_run(id, &record(at(1), &findings, &tracked)).await.unwrap();
    assert_eq!(store.findings(id).await.unwrap().len(), 1);
    let again = store.finish_run(id, &record(at(2), &[], &[])).await.unwrap_err();
    assert!(matches!(again, StoreError::Missing { .. }));
}

fn report(id: &str, run: Option<portcullis::edge::store::RunId>) -> ReportRecord {
    ReportRecord {
        id: id.to_owned(),
        name: "weekly".to_owned(),
        run,
        created: at(10),
        bodies: vec![
            ReportBody { format: "html".to_owned(), body: "<p>all well</p>".to_owned() },
            ReportBody { format: "json".to_owned(), body: "{}".to_owned() },
        ],
    }
}

fn delivery(webhook_id: &str) -> NewDelivery {
    NewDelivery {
        sink: "hook".to_owned(),
        webhook_id: webhook_id.to_owned(),
        event_type: "dev.portcullis.report.v1".to_owned(),
        source: "/clusters/prod".to_owned(),
        content_type: "application/json".to_owned(),
        file_name: "weekly".to_owned(),
        body: "{}".to_owned(),
        expires: None,
    }
}

#[tokio::test]
async fn a_report_its_deliveries_and_its_slot_come_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut torn = report("r1", None);
    torn.bodies.push(ReportBody { format: "json".to_owned(), body: "again".to_owned() });
    assert!(store.put_report(&torn, &[delivery("m1")], Some(at(9))).await.is_err());
    assert_eq!(store.reports(None, 10).await.unwrap(), []);
    assert_eq!(store.deliveries(None, 10).await.unwrap(), []);
    assert_eq!(store.last_slot("weekly").await.unwrap(), None);

    store.put_report(&report("r1", None), &[delivery("m1"), delivery("m2")], Some(at(9))).await.unwrap();
    // The same again, as after a crash between writing and noticing that it was written.
    store.put_report(&report("r1", None), &[delivery("m3")], Some(at(9))).await.unwrap();
    assert_eq!(store.reports(Some("weekly"), 10).await.unwrap().len(), 1);
    let deliveries = store.deliveries(None, 10).await.unwrap();
    assert_eq!(deliveries.iter().map(|row| row.webhook_id.as_str()).collect::<Vec<_>>(), ["m2", "m1"]);
    assert!(deliveries.iter().all(|row| row.report.as_deref() == Some("r1")));
    assert_eq!(store.last_slot("weekly").await.unwrap(), Some(at(9)));
    assert_eq!(store.report_bodies("r1").await.unwrap(), report("r1", None).bodies);

    store.set_slot("weekly", at(3)).await.unwrap();
    assert_eq!(store.last_slot("weekly").await.unwrap(), Some(at(9)), "a slot never goes back");
}

#[tokio::test]
async fn an_action_is_carried_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let action = Action::AllowPrune { count: 6, revision: Revision::new("3f9c2ab") };
    let id = store.request_action(&action, "mara", at(1)).await.unwrap();
    let pending = store.pending_actions().await.unwrap();
    assert_eq!((pending.len(), &pending[0].action, pending[0].by.as_str()), (1, &action, "mara"));
    assert!(store.consume_action(id, "pruned 6", at(2)).await.unwrap());
    assert!(!store.consume_action(id, "pruned 6", at(2)).await.unwrap());
    assert_eq!(store.pending_actions().await.unwrap(), []);
}

#[tokio::test]
async fn retention_forgets_what_is_old_and_keeps_what_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (old, kept) = (finding("one", "old", "no"), finding("one", "kept", "no"));
    let steps: [(&[Finding], Vec<Tracked>); 3] = [
        (&[old.clone(), kept.clone()], vec![tracked(&old, Status::New), tracked(&kept, Status::New)]),
        (&[kept.clone()], vec![tracked(&old, Status::Fixed), tracked(&kept, Status::Open)]),
        (&[kept.clone()], vec![tracked(&kept, Status::Open)]),
    ];
    let mut runs = Vec::new();
    for (number, (findings, tracked)) in (0..).zip(&steps) {
        let id = store.begin_run(Cause::Schedule, true, at(number * 10)).await.unwrap();
        store.finish_run(id, &record(at(number * 10), findings, tracked)).await.unwrap();
        runs.push(id);
    }
    store.put_report(&report("r1", Some(runs[0])), &[delivery("m1"), delivery("m2")], None).await.unwrap();
    store.drop_delivery(1, at(12)).await.unwrap();
    let hash = store.put_manifest(&json!({"kind": "K8sThing"})).await.unwrap();
    store.begin(&intent("i1", 1), &MirrorChange::Keep, None).await.unwrap();
    store.done("i1", at(2), &[]).await.unwrap();

    let pruned = store.prune(at(1000)).await.unwrap();
    assert_eq!((pruned.runs, pruned.reports, pruned.deliveries), (2, 1, 1));
    assert_eq!(store.run(runs[0]).await.unwrap(), None);
    assert_eq!(store.findings(runs[2]).await.unwrap().len(), 1, "the newest run keeps its findings");
    assert_eq!(store.known().await.unwrap().len(), 1);
    let waiting = store.delivery(2).await.unwrap().unwrap();
    assert_eq!(waiting.body, "{}", "a delivery that waits keeps its body");
    assert!(store.manifest(&hash).await.unwrap().is_some());
    assert_eq!(store.decisions(None, None, 10).await.unwrap().len(), 1, "the newest decision stands");
    assert_eq!(rows(&store, "spans").await, 1);
    assert_eq!(rows(&store, "contents").await, 3, "one finding, one ledger, one body");
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
    let schema = include_str!("../migrations/0001_store.sql");
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
