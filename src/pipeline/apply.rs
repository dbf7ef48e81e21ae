//! A plan carried out: tried dry, then written in order, each write committed to the store before it is made
//! and after it is acknowledged, and undone where the cluster cannot load it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use portcullis_core::{
    document::Duration,
    identity::{Revision, Stage},
    plan::{LiveObject, ObjectKey, Observed, Plan, Write},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance,
    clock::Clock,
    edge::{
        cluster::{Acknowledgement, Cluster},
        store::{Decision, Intent, MirrorChange, Store, StoreError},
    },
    pipeline::{
        notify::{Event, Notifier},
        observe::{mirror_row, store_name},
    },
};

/// How often an acknowledgement is asked for while it is waited for.
const POLL_MILLIS: i64 = 100;

/// What applying needs.
pub struct Applier<'a> {
    /// The cluster.
    pub cluster: &'a dyn Cluster,
    /// History and mirror.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Identifiers.
    pub chance: &'a Chance,
    /// Who is told of what.
    pub notifier: &'a Notifier,
    /// The bound of every wait for acknowledgement.
    pub timeout: Duration,
    /// The commit.
    pub revision: &'a Revision,
    /// Stop between two writes.
    pub cancel: &'a CancellationToken,
    /// What was undone, and when it may be tried again.
    pub undone: &'a Undone,
}

/// What came of a plan.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What was written or removed, in words.
    pub done: Vec<Done>,
    /// What was not, and why.
    pub failures: Vec<(ObjectKey, String)>,
}

/// One change that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which object.
    pub key: ObjectKey,
    /// `created`, `promoted`, `removed`, …
    pub word: &'static str,
    /// Stage before and after.
    pub stages: (Option<Stage>, Option<Stage>),
    /// Why.
    pub reason: String,
}

/// Writes that the cluster took and could not load: each was undone, and is not tried again at once, since every
/// try takes the old version away for a moment.
#[derive(Debug, Default)]
pub struct Undone(Mutex<BTreeMap<ObjectKey, Failure>>);

#[derive(Debug)]
struct Failure {
    content: Option<String>,
    times: u32,
    again: i64,
}

/// The first pause after an undone write; doubled each time, up to half an hour.
const FIRST_RETRY_MILLIS: i64 = 60_000;
const LAST_RETRY_MILLIS: i64 = 30 * 60_000;

impl Undone {
    /// Why a write has to wait, `None` where it may be tried.
    fn waits(&self, write: &Write, now: Timestamp) -> Option<String> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failures.get(&write.key).filter(|failure| failure.content == write.record.content)?;
        (now.as_millisecond() < failure.again).then(|| {
            "the cluster could not load it and it was undone; it is tried again within half an hour, or when git \
             changes it"
                .to_owned()
        })
    }

    fn note(&self, write: &Write, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failures
            .get(&write.key)
            .filter(|failure| failure.content == write.record.content)
            .map_or(0, |failure| failure.times);
        let pause = FIRST_RETRY_MILLIS.saturating_mul(1_i64 << times.min(5)).min(LAST_RETRY_MILLIS);
        let again = now.as_millisecond().saturating_add(pause);
        let content = write.record.content.clone();
        failures.insert(write.key.clone(), Failure { content, times: times + 1, again });
    }

    fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

struct Progress {
    /// What is on the cluster now, as far as this pass changed it.
    written: BTreeMap<ObjectKey, LiveObject>,
    failed_units: BTreeSet<String>,
    applied: Applied,
}

impl Applier<'_> {
    /// Carries out a plan. A failure stops its unit alone; nothing is pruned where anything failed.
    pub async fn apply(&self, plan: &Plan, observed: &Observed) -> Applied {
        let mut progress =
            Progress { written: BTreeMap::new(), failed_units: BTreeSet::new(), applied: Applied::default() };
        self.try_dry(plan, &mut progress).await;
        for write in &plan.writes {
            if self.cancel.is_cancelled() {
                progress.fail(write.key.clone(), "stopped before it was written".to_owned());
                continue;
            }
            if progress.failed_units.contains(write.key.unit()) && !write.change.restores() {
                if !progress.applied.failures.iter().any(|(key, _)| *key == write.key) {
                    let why = "left as it is, since another part of its policy failed".to_owned();
                    progress.applied.failures.push((write.key.clone(), why));
                }
                continue;
            }
            if let Err(why) = self.write(write, observed, &mut progress).await {
                progress.fail(write.key.clone(), why);
            }
        }
        self.prune(plan, observed, &mut progress).await;
        progress.applied
    }

    /// Asks the cluster about everything before anything is touched.
    async fn try_dry(&self, plan: &Plan, progress: &mut Progress) {
        let templates: BTreeMap<&str, &Value> = plan
            .writes
            .iter()
            .filter(|write| write.key.is_template())
            .map(|write| (write.key.unit(), &write.manifest))
            .collect();
        for write in &plan.writes {
            let template =
                if write.key.is_template() { None } else { templates.get(write.key.unit()).copied() };
            if let Err(error) = self.cluster.dry_run(&write.key, &write.manifest, template).await {
                progress.fail(write.key.clone(), error_line(&error));
            }
        }
    }

    async fn write(&self, write: &Write, observed: &Observed, progress: &mut Progress) -> Result<(), String> {
        if let Some(why) = self.undone.waits(write, self.clock.now()).filter(|_| !write.change.restores()) {
            return Err(why);
        }
        let earlier = progress.written.get(&write.key).map(|live| live.version.clone());
        let expected = earlier.or_else(|| write.expected.clone());
        // What this pass wrote before is what an undo goes back to.
        let before = progress.written.get(&write.key).or_else(|| observed.live.get(&write.key)).cloned();
        let admitted = self
            .cluster
            .dry_run(&write.key, &write.manifest, None)
            .await
            .map_err(|error| error_line(&error))?;
        let at = self.clock.now();
        let intent = self.intent(write, at);
        let mirror = MirrorChange::Upsert(mirror_row(&write.key, &write.record, None, at));
        let begun = self.store.begin(&intent, &mirror, Some(&admitted)).await;
        let manifest_hash = match begun {
            Ok(hash) => Some(hash),
            // What restores enforcement goes on while the store is down.
            Err(_) if write.change.restores() => None,
            Err(error) => {
                let why = error_line(&error);
                return Err(format!("the store cannot be written: {why}; nothing was changed"));
            }
        };
        let recorded = manifest_hash.is_some();

        let live = match self.cluster.apply(&write.key, &admitted, expected.as_deref()).await {
            Ok(live) => live,
            Err(error) => {
                let why = error_line(&error);
                self.drop_intent(recorded, &intent, &why).await;
                return Err(why);
            }
        };
        if let Err(why) = self.await_acknowledgement(&write.key).await {
            let undone = self.undo(&write.key, before.as_ref(), &live).await;
            self.undone.note(write, self.clock.now());
            let why = format!("{why}; {undone}");
            self.drop_intent(recorded, &intent, &why).await;
            return Err(why);
        }
        self.undone.forget(&write.key);
        progress.written.insert(write.key.clone(), live);
        if recorded {
            self.record_done(write, &intent, manifest_hash.flatten(), at).await?;
        }
        progress.applied.done.push(Done {
            key: write.key.clone(),
            word: write.change.word(),
            stages: (write.before.as_ref().and_then(|before| before.stage), write.record.stage),
            reason: write.reason.clone(),
        });
        Ok(())
    }

    async fn record_done(
        &self,
        write: &Write,
        intent: &Intent,
        manifest_hash: Option<String>,
        at: Timestamp,
    ) -> Result<(), String> {
        let now = self.clock.now();
        let mut record = write.record.clone();
        record.acknowledged = record.acknowledged.or(Some(now));
        let row = mirror_row(&write.key, &record, manifest_hash, at);
        let event = Event::of_decision(&intent.decision, &write.key, now);
        let told =
            event.map(|event| self.notifier.deliveries(&event, self.store, self.chance)).unwrap_or_default();
        let failed = |error: StoreError| {
            format!("it is in force, but the store could not say so: {}", error_line(&error))
        };
        self.store.done(&intent.id, now, &told).await.map_err(failed)?;
        self.store.upsert_mirror(&row).await.map_err(failed)
    }

    fn intent(&self, write: &Write, at: Timestamp) -> Intent {
        let (kind, name) = store_name(&write.key);
        let who = write.by.as_ref().map(|by| by.by.clone()).filter(|by| !by.is_empty());
        Intent {
            id: self.chance.uuid(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            action: json!({"key": write.key, "change": write.change.word(), "phase": write.phase}),
            decision: Decision {
                at,
                kind: kind.to_owned(),
                name: name.to_owned(),
                revision: Some(self.revision.clone()),
                from: write.before.as_ref().and_then(|before| before.stage).map(|stage| stage.to_string()),
                to: write.record.stage.map(|stage| stage.to_string()),
                hash: Some(write.record.hash.clone()),
                who: who.unwrap_or_else(|| {
                    if write.by.is_some() { "a person".to_owned() } else { "portcullis".to_owned() }
                }),
                reason: format!("{}: {}", write.change.word(), write.reason),
                evidence: write.evidence.clone(),
            },
        }
    }

    async fn drop_intent(&self, recorded: bool, intent: &Intent, why: &str) {
        if recorded && let Err(error) = self.store.dropped(&intent.id, why, self.clock.now()).await {
            tracing::warn!(intent = %intent.id, %error, "an intent that came to nothing stays open until the next start");
        }
    }

    async fn await_acknowledgement(&self, key: &ObjectKey) -> Result<(), String> {
        let start = self.clock.now().as_millisecond();
        loop {
            let waits_for = match self.cluster.acknowledgement(key).await {
                Ok(Acknowledgement::Done) => return Ok(()),
                Ok(Acknowledgement::Failed(why)) => return Err(format!("the cluster cannot load it: {why}")),
                Ok(Acknowledgement::Pending(what)) => what,
                Err(error) => error_line(&error),
            };
            let now = self.clock.now().as_millisecond();
            if now - start >= self.timeout.millis() {
                return Err(format!("not acknowledged within {}: {waits_for}", self.timeout));
            }
            let next = Timestamp::from_millisecond(now.saturating_add(POLL_MILLIS));
            tokio::select! {
                () = self.clock.sleep_until(next.unwrap_or(Timestamp::MAX)) => {}
                () = self.cancel.cancelled() => return Err(format!("stopped while waiting: {waits_for}")),
            }
        }
    }

    /// Puts back what was there before, at once.
    async fn undo(&self, key: &ObjectKey, before: Option<&LiveObject>, live: &LiveObject) -> String {
        let result = match before {
            Some(before) => self
                .cluster
                .apply(key, &before.manifest, Some(&live.version))
                .await
                .map(|_| "the previous version is back"),
            None => self.cluster.delete(key, &live.version).await.map(|()| "it was taken away again"),
        };
        match result {
            Ok(what) => what.to_owned(),
            Err(error) => format!("and it could not be undone: {}", error_line(&error)),
        }
    }

    /// Removes what git no longer has, after everything else succeeded.
    async fn prune(&self, plan: &Plan, observed: &Observed, progress: &mut Progress) {
        let prune = &plan.prune;
        for key in &prune.forgotten {
            let (kind, name) = store_name(key);
            if let Err(error) = self.store.delete_mirror(kind, name).await {
                tracing::warn!(object = %key, %error, "an object that is gone could not be forgotten");
            }
        }
        let failed = !progress.applied.failures.is_empty();
        if !prune.held.is_empty() || failed || self.cancel.is_cancelled() {
            return;
        }
        let renamed = prune
            .renamed
            .iter()
            .map(|(old, new)| (ObjectKey::Constraint(old.clone()), format!("renamed to {new}")));
        let removed = prune.objects.iter().map(|key| (key.clone(), "no longer in git".to_owned()));
        for (key, reason) in renamed.chain(removed) {
            if let Err(why) = self.remove(&key, &reason, observed, progress).await {
                progress.fail(key, why);
            }
        }
    }

    async fn remove(
        &self,
        key: &ObjectKey,
        reason: &str,
        observed: &Observed,
        progress: &mut Progress,
    ) -> Result<(), String> {
        let (kind, name) = store_name(key);
        let Some(live) = observed.live.get(key) else {
            // Somebody has deleted it by hand: only the store still knows it.
            let forgotten = self.store.delete_mirror(kind, name).await;
            return forgotten.map_err(|error| format!("it could not be forgotten: {}", error_line(&error)));
        };
        let at = self.clock.now();
        let stage = observed.mirror.get(key).and_then(|mirror| mirror.record.stage);
        let intent = Intent {
            id: self.chance.uuid(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            action: json!({"key": key, "change": "removed"}),
            decision: Decision {
                at,
                kind: kind.to_owned(),
                name: name.to_owned(),
                revision: Some(self.revision.clone()),
                from: stage.map(|stage| stage.to_string()),
                to: None,
                hash: observed.mirror.get(key).map(|mirror| mirror.record.hash.clone()),
                who: "portcullis".to_owned(),
                reason: format!("removed: {reason}"),
                evidence: Value::Null,
            },
        };
        self.store.begin(&intent, &MirrorChange::Delete, None).await.map_err(|error| {
            format!("the store cannot be written: {}; nothing was removed", error_line(&error))
        })?;
        if let Err(error) = self.cluster.delete(key, &live.version).await {
            let why = error_line(&error);
            self.drop_intent(true, &intent, &why).await;
            return Err(why);
        }
        self.store.done(&intent.id, self.clock.now(), &[]).await.map_err(|error| {
            format!("it is removed, but the store could not say so: {}", error_line(&error))
        })?;
        progress.applied.done.push(Done {
            key: key.clone(),
            word: "removed",
            stages: (stage, None),
            reason: reason.to_owned(),
        });
        Ok(())
    }
}

impl Progress {
    fn fail(&mut self, key: ObjectKey, why: String) {
        self.failed_units.insert(key.unit().to_owned());
        self.applied.failures.push((key, why));
    }
}

/// An error with its chain of causes on one line.
pub fn error_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
