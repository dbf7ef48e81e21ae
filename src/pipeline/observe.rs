//! What is there: the cluster's policies, the mirror of their state, and what a crash left half done.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_core::{
    identity::ConstraintId,
    plan::{MirrorObject, ObjectKey, Observed, Record, Standing, render},
    rollout::Intents,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chance::Chance,
    edge::{
        cluster::{Acknowledgement, Cluster, ClusterError},
        store::{MirrorChange, MirrorRow, Store, StoreError},
    },
    pipeline::{
        apply::error_line,
        notify::{Event, Notifier},
    },
};

/// What observing can fail at.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The cluster did not answer.
    #[error("cannot read the policies of the cluster")]
    Cluster(#[from] ClusterError),
    /// The store did not answer.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
}

/// A row of the mirror as we write it: which object, and its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mirrored {
    key: ObjectKey,
    record: Record,
}

/// Kind and name under which the store knows an object.
pub fn store_name(key: &ObjectKey) -> (&str, &str) {
    match key {
        ObjectKey::Template(kind) => ("ConstraintTemplate", kind),
        ObjectKey::Constraint(ConstraintId { kind, name }) => (kind, name),
    }
}

/// The mirror's row of an object.
pub fn mirror_row(
    key: &ObjectKey,
    record: &Record,
    manifest_hash: Option<String>,
    at: Timestamp,
) -> MirrorRow {
    let (kind, name) = store_name(key);
    let state = serde_json::to_value(Mirrored { key: key.clone(), record: record.clone() });
    MirrorRow {
        kind: kind.to_owned(),
        name: name.to_owned(),
        is_template: key.is_template(),
        state: state.unwrap_or(Value::Null),
        manifest_hash,
        decided_at: at,
    }
}

/// Reads cluster and mirror.
pub async fn observe(cluster: &dyn Cluster, store: &Store) -> Result<Observed, ObserveError> {
    let live = cluster.policies().await?;
    let mut mirror = BTreeMap::new();
    for (row, manifest) in store.mirror_with_manifests().await? {
        // A row in a form we do not know is no row: the object's own annotations speak then.
        let Ok(Mirrored { key, record }) = serde_json::from_value::<Mirrored>(row.state) else { continue };
        mirror.insert(key, MirrorObject { record, manifest });
    }
    Ok(Observed { live, mirror })
}

/// Finishes or drops what a crash left between intent and acknowledgement; what is finished is told to those
/// who would have heard of it. Returns a line for each.
pub async fn recover(
    cluster: &dyn Cluster,
    store: &Store,
    notifier: &Notifier,
    chance: &Chance,
    now: Timestamp,
) -> Result<Vec<String>, ObserveError> {
    let open = store.open_intents().await?;
    let mut lines = Vec::new();
    if open.is_empty() {
        return Ok(lines);
    }
    let live = cluster.policies().await?;
    for intent in open {
        let key =
            serde_json::from_value::<ObjectKey>(intent.intent.action.get("key").cloned().unwrap_or_default());
        let Ok(key) = key else {
            store.dropped(&intent.intent.id, "its object is not readable", now).await?;
            continue;
        };
        let wanted = match &intent.manifest_hash {
            Some(hash) => store.manifest(hash).await?,
            None => None,
        };
        let there = live.get(&key);
        let finished = match (&intent.mirror, &wanted, there) {
            (MirrorChange::Delete, _, None) => true,
            (_, Some(wanted), Some(live)) => render::differences(wanted, &live.manifest).is_empty(),
            _ => false,
        };
        if finished {
            let event = Event::of_decision(&intent.intent.decision, &key, now);
            let told = event.map(|event| notifier.deliveries(&event, store, chance)).unwrap_or_default();
            store.done(&intent.intent.id, now, &told).await?;
            lines.push(format!("{key}: a write that was interrupted had reached the cluster"));
        } else {
            store.dropped(&intent.intent.id, "interrupted before it reached the cluster", now).await?;
            lines.push(format!(
                "{key}: a write that was interrupted had not reached the cluster and is decided anew"
            ));
        }
    }
    Ok(lines)
}

/// Writes down the state of objects that carry it and that the store does not know, as after a lost database:
/// what is deleted by hand later can then come back at its stage, also where nothing else is to be written.
pub async fn remember(store: &Store, instance: &str, observed: &mut Observed, now: Timestamp) {
    let unknown: Vec<ObjectKey> =
        observed.live.keys().filter(|key| !observed.mirror.contains_key(*key)).cloned().collect();
    for key in unknown {
        let Standing::Known(known) = observed.standing(&key, instance) else { continue };
        write_down(store, &key, &known.record, &known.manifest, now).await;
        observed.mirror.insert(key, MirrorObject { record: known.record, manifest: Some(known.manifest) });
    }
}

/// Asks for the acknowledgement of what is written and not yet acknowledged, and records it; records holds too,
/// so that they outlive the object.
pub async fn acknowledge(
    cluster: &dyn Cluster,
    store: &Store,
    observed: &mut Observed,
    now: Timestamp,
) -> Result<(), ObserveError> {
    for (key, mirror) in &mut observed.mirror {
        let Some(manifest) = &mirror.manifest else { continue };
        if let Some(live) = observed.live.get(key) {
            let hold = Intents::read(&render::annotations(&live.manifest)).standing_hold().cloned();
            if live.manifest.is_object() && hold != mirror.record.hold {
                mirror.record.hold = hold;
                write_down(store, key, &mirror.record, manifest, now).await;
            }
        }
        let there = observed
            .live
            .get(key)
            .is_some_and(|live| render::differences(manifest, &live.manifest).is_empty());
        if mirror.record.acknowledged.is_some() || !there {
            continue;
        }
        if cluster.acknowledgement(key).await? == Acknowledgement::Done {
            mirror.record.acknowledged = Some(now);
            write_down(store, key, &mirror.record, manifest, now).await;
        }
    }
    Ok(())
}

/// Writes down what was seen of an object. Where the store takes nothing the pass goes on all the same, since it
/// may have enforcement to restore; it is seen and tried again at the next pass.
async fn write_down(store: &Store, key: &ObjectKey, record: &Record, manifest: &Value, now: Timestamp) {
    let written = match store.put_manifest(manifest).await {
        Ok(hash) => store.upsert_mirror(&mirror_row(key, record, Some(hash), now)).await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::warn!(object = %key, error = %error_line(&error), "its state could not be written down");
    }
}
