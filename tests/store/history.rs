//! Decisions, intents, reports and actions: all or nothing, once.

use portcullis::edge::store::{Action, MirrorChange, MirrorRow, Outcome, ReportBody};
use portcullis_core::identity::Revision;
use serde_json::json;

use super::{at, decision, delivery, intent, mirror_row, open, report};

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
