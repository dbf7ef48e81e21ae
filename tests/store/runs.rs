//! Audit runs, their findings and evidence, and what is forgotten of them.

use portcullis::edge::store::{Cause, MirrorChange, NewEvidence, RunRecord, RunState, StoreError, Tracked};
use portcullis_core::{
    audit::{Finding, Hole, HoleClass, LedgerRow, Status},
    identity::{ConstraintId, PolicyHash},
};
use serde_json::json;

use super::{at, delivery, finding, intent, open, record, report, rows, subject_of, tracked};

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

#[tokio::test]
async fn runs_that_say_the_same_add_no_evidence_and_each_of_them_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let constraint = ConstraintId::new("K8sThing", "all");
    for (number, subject) in (0..).zip(["a", "a", "b", "b", "a"]) {
        let evidence = [NewEvidence {
            constraint: constraint.clone(),
            slot: "current".to_owned(),
            hash: PolicyHash::new("v1:0"),
            stage: "dryrun".to_owned(),
            complete: true,
            errors: 0,
            violations: 1,
            subjects: vec![subject_of(subject)],
        }];
        let id = store.begin_run(Cause::Schedule, true, at(number)).await.unwrap();
        let record = RunRecord { evidence: &evidence, ..record(at(number), &[], &[]) };
        store.finish_run(id, &record).await.unwrap();
    }
    assert_eq!(rows(&store, "evidence").await, 3);
    let spans = store.evidence_spans(2).await.unwrap();
    let ranges: Vec<_> = spans.iter().map(|span| (span.from, span.to)).collect();
    assert_eq!(ranges, [(1, 2), (3, 4), (5, 5)]);
    assert_eq!(store.subjects(&spans[1].subjects_hash).await.unwrap(), [subject_of("b")]);
    let runs = store.evidence_runs(at(1)).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.seq).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let each = store.evidence(&constraint, &PolicyHash::new("v1:0"), None, at(0)).await.unwrap();
    let said: Vec<_> = each.iter().map(|row| (row.run.0, row.subjects[0].name.as_str())).collect();
    assert_eq!(said, [(5, "a"), (4, "b"), (3, "b"), (2, "a"), (1, "a")]);
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

#[tokio::test]
async fn retention_forgets_what_is_old_and_keeps_what_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (old, kept) = (finding("one", "old", "no"), finding("one", "kept", "no"));
    let steps: [(&[Finding], Vec<Tracked>); 3] = [
        (&[old.clone(), kept.clone()], vec![tracked(&old, Status::New), tracked(&kept, Status::New)]),
        (std::slice::from_ref(&kept), vec![tracked(&old, Status::Fixed), tracked(&kept, Status::Open)]),
        (std::slice::from_ref(&kept), vec![tracked(&kept, Status::Open)]),
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
