//! The daemon: waits until it may write, then runs its tasks side by side until it is told to stop.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use jiff::Timestamp;
use portcullis_core::schedule::Schedule;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{NotificationEvent, Report},
    edge::{
        cluster::Leadership,
        http::{Part, Readiness},
        store::Cause,
    },
    pipeline::{
        apply::error_line,
        audit::{AuditError, AuditRun, audit},
        deliver::{Deliverer, NamedSink},
        notify::Event,
        ports::Ports,
        report,
        sync::{SyncOutcome, Verdict, sync},
    },
};

/// How often a standby asks whether it may lead.
const STANDBY_MILLIS: i64 = 1_000;
/// The longest pause between two passes while the remote cannot be reached.
const LONGEST_BACKOFF_MILLIS: i64 = 15 * 60_000;
/// How long the tasks may take to come to an end.
const GRACE: Duration = Duration::from_secs(10);
/// An hour.
const HOUR_MILLIS: i64 = 3_600_000;

/// The tasks of a daemon that leads, and the bells between them.
#[derive(Clone, Debug)]
pub struct Daemon {
    ports: Ports,
    readiness: Readiness,
    cancel: CancellationToken,
    synced: Arc<Notify>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// A daemon over open ports; it stops soon after `cancel`.
    pub fn new(ports: Ports, readiness: Readiness, cancel: CancellationToken) -> Self {
        Self { ports, readiness, cancel, synced: Arc::new(Notify::new()), said: Arc::default() }
    }

    /// Runs until told to stop. While another leads it waits, and says so once.
    pub async fn run(&self) {
        let Some(_leadership) = self.lead().await else { return };
        self.prepare().await;
        self.readiness.ready(Part::Store);
        let tasks = TaskTracker::new();
        let deliverer = self.deliverer();
        let cancel = self.cancel.clone();
        tasks.spawn(async move { deliverer.run(cancel).await });
        let this = self.clone();
        tasks.spawn(async move { this.sync_loop().await });
        let this = self.clone();
        tasks.spawn(async move { this.audit_loop().await });
        for rule in self.ports.config.reports.clone() {
            let this = self.clone();
            tasks.spawn(async move { this.report_loop(rule).await });
        }
        let this = self.clone();
        tasks.spawn(async move { this.housekeeping_loop().await });
        tasks.close();
        self.cancel.cancelled().await;
        if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
            tracing::warn!(
                "some work did not come to an end in time; it is taken up again at the next start"
            );
        }
    }

    /// The worker of the outbox.
    pub fn deliverer(&self) -> Deliverer {
        let sinks = self.ports.config.sinks.iter().map(NamedSink::from_config).collect();
        let Ports { store, clock, chance, .. } = self.ports.clone();
        Deliverer::new(store, sinks, clock, chance)
    }

    async fn lead(&self) -> Option<Box<dyn Leadership>> {
        let mut said = false;
        loop {
            match self.ports.cluster.lead().await {
                Ok(Some(leadership)) => return Some(leadership),
                Ok(None) if !said => {
                    tracing::info!("standby: another process writes to this cluster; waiting until it stops");
                    said = true;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(error = %error_line(&error), "cannot ask for leadership"),
            }
            if !self.pause(STANDBY_MILLIS).await {
                return None;
            }
        }
    }

    /// Clears what an earlier process left behind.
    async fn prepare(&self) {
        match self.ports.store.abandon_unfinished_runs().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "audit runs that were cut short are abandoned"),
            Err(error) => {
                tracing::warn!(error = %error_line(&error), "cannot look for audit runs that were cut short");
            }
        }
    }

    /// Waits so long, or until told to stop: then `false`.
    async fn pause(&self, millis: i64) -> bool {
        self.until(after(self.ports.now(), millis)).await
    }

    async fn until(&self, at: Timestamp) -> bool {
        tokio::select! {
            () = self.ports.clock.sleep_until(at) => !self.cancel.is_cancelled(),
            () = self.cancel.cancelled() => false,
        }
    }

    async fn sync_loop(&self) {
        let mut failures: u32 = 0;
        while !self.cancel.is_cancelled() {
            let outcome = self.sync_pass().await;
            failures = if outcome.verdict == Verdict::Failed { failures.saturating_add(1) } else { 0 };
            if !self.pause(self.sync_pause(failures)).await {
                return;
            }
        }
    }

    /// One pass of the sync task, as the loop makes it.
    pub async fn sync_pass(&self) -> SyncOutcome {
        let outcome = sync(&self.ports, None, &self.cancel).await;
        self.say(&outcome);
        self.readiness.ready(Part::Sync);
        match self.ports.store.last_sync().await {
            Ok(_) => self.readiness.ready(Part::Store),
            Err(error) => self.readiness.not_ready(Part::Store, error_line(&error)),
        }
        self.tell_expiring().await;
        if outcome.changed() && self.ports.config.audit.on_sync {
            self.synced.notify_one();
        }
        outcome
    }

    /// A line for what a pass changed, and for what newly stands in the way; what was said is not repeated.
    fn say(&self, outcome: &SyncOutcome) {
        for done in &outcome.applied.done {
            tracing::info!(object = %done.key, reason = %done.reason, "{}", done.word);
        }
        let revision =
            outcome.revision.as_ref().map(|revision| revision.short().to_owned()).unwrap_or_default();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for reason in outcome.reasons.iter().filter(|reason| !said.contains(reason)) {
            tracing::warn!(%revision, "{}: {reason}", outcome.verdict.words());
        }
        let mended = !said.is_empty() && outcome.reasons.is_empty();
        if outcome.verdict == Verdict::InStep && (outcome.changed() || mended) {
            tracing::info!(%revision, "in step");
        } else {
            tracing::debug!(%revision, "{}", outcome.verdict.words());
        }
        said.clone_from(&outcome.reasons);
    }

    /// The interval with a tenth of jitter; doubled with each failure in a row, up to a quarter of an hour.
    fn sync_pause(&self, failures: u32) -> i64 {
        let interval = self.ports.config.source.interval.millis();
        let doubled = interval.saturating_mul(1_i64.checked_shl(failures.min(20)).unwrap_or(i64::MAX));
        let base = if failures == 0 { interval } else { doubled.min(LONGEST_BACKOFF_MILLIS.max(interval)) };
        jittered(base, self.ports.chance.fraction())
    }

    async fn audit_loop(&self) {
        let schedule = &self.ports.config.audit.schedule;
        loop {
            let Some(next) = schedule.next_after(self.ports.now()) else { return };
            let cause = tokio::select! {
                () = self.ports.clock.sleep_until(next) => Cause::Schedule,
                () = self.synced.notified() => Cause::Sync,
                () = self.cancel.cancelled() => return,
            };
            self.audit_pass(cause).await;
            self.count_skipped(schedule, next);
        }
    }

    /// One audit as the loop runs it.
    pub async fn audit_pass(&self, cause: Cause) {
        match audit(&self.ports, cause, true, Arc::new(AtomicU64::new(0)), &self.cancel).await {
            Ok(run) => say_audit(&run),
            Err(AuditError::Stopped) => {}
            Err(error) => tracing::error!(error = %error_line(&error), "the audit failed"),
        }
    }

    /// Slots that went by while a run was going on are skipped, and said to be.
    fn count_skipped(&self, schedule: &Schedule, slot: Timestamp) {
        let now = self.ports.now();
        let mut skipped = 0_u64;
        let mut at = slot;
        while let Some(next) = schedule.next_after(at).filter(|next| *next <= now) {
            skipped += 1;
            at = next;
            if skipped >= 1_000 {
                break;
            }
        }
        if skipped > 0 {
            tracing::warn!(
                skipped,
                "audit slots were skipped, since the run before took longer than its interval"
            );
        }
    }

    async fn report_loop(&self, rule: Report) {
        let Some(schedule) = rule.schedule.clone() else { return };
        loop {
            let now = self.ports.now();
            let last = match self.ports.store.last_slot(&rule.name).await {
                Ok(last) => last,
                Err(error) => {
                    tracing::warn!(report = %rule.name, error = %error_line(&error), "cannot read the last slot of a report");
                    None
                }
            };
            // A slot that was missed while we were down is caught up once.
            let due =
                schedule.previous_at_or_before(now).filter(|slot| last.is_some_and(|last| *slot > last));
            if let Some(slot) = due {
                if !self.report_pass(&rule, slot).await && !self.pause(60_000).await {
                    return;
                }
                continue;
            }
            if last.is_none() {
                // The first start: the schedule begins now.
                if let Err(error) = self.ports.store.set_slot(&rule.name, now).await {
                    tracing::warn!(report = %rule.name, error = %error_line(&error), "cannot begin the schedule of a report");
                }
            }
            let Some(next) = schedule.next_after(now) else { return };
            if !self.until(next).await {
                return;
            }
        }
    }

    /// Sends one report for a slot; `false` where it has to be tried again.
    pub async fn report_pass(&self, rule: &Report, slot: Timestamp) -> bool {
        match report::send(&self.ports, rule, Some(slot)).await {
            Ok(record) => {
                tracing::info!(report = %rule.name, id = %record.id, "a report is in the outbox");
                true
            }
            Err(error) => {
                tracing::warn!(report = %rule.name, error = %error_line(&error), "a report could not be made; it is tried again");
                false
            }
        }
    }

    async fn housekeeping_loop(&self) {
        let mut hours = 0_u32;
        loop {
            if hours.is_multiple_of(24) {
                let keep = self.ports.config.storage.retention.millis();
                let before = after(self.ports.now(), -keep);
                if let Err(error) = self.ports.store.prune(before).await {
                    tracing::warn!(error = %error_line(&error), "old history could not be removed");
                }
            }
            if !self.pause(HOUR_MILLIS).await {
                return;
            }
            hours = hours.wrapping_add(1);
            self.say_alive().await;
        }
    }

    /// The one line an hour of a quiet day.
    async fn say_alive(&self) {
        let (sync, run) = (self.ports.store.last_sync().await, self.ports.store.newest_run(false).await);
        if let (Ok(sync), Ok(run)) = (sync, run) {
            let revision = sync.as_ref().and_then(|sync| sync.revision.as_ref());
            tracing::info!(
                sync = sync.as_ref().map_or("none yet", |sync| sync.outcome.as_str()),
                revision = revision.map_or("", |revision| revision.short()),
                audit = run.as_ref().map_or(0, |run| run.id.0),
                complete = run.as_ref().is_some_and(|run| run.complete),
                findings = run.as_ref().map_or(0, |run| run.findings),
                "alive"
            );
        }
    }

    /// Tells of exemptions that end in 30, 7 or 1 days, once each.
    async fn tell_expiring(&self) {
        let now = self.ports.now();
        let Ok(Some(prepared)) = report::in_force(&self.ports).await else { return };
        for exemption in &prepared.bundle.exemptions {
            let Some(ends) = exemption.rule.ends() else { continue };
            let left = report::days_left(ends, now);
            let Some(step) = [1, 7, 30].into_iter().find(|step| left >= 0 && left <= *step) else { continue };
            let mark = format!("told/exemption/{}/{ends}/{step}", exemption.name);
            match self.ports.store.last_slot(&mark).await {
                Ok(None) => {}
                _ => continue,
            }
            let noun = if left == 1 { "day" } else { "days" };
            let event = Event {
                object: Some(format!("Exemption/{}", exemption.name)),
                details: serde_json::json!({"endsAt": ends, "daysLeft": left, "owner": exemption.spec.owner,
                    "namespaces": exemption.spec.namespaces, "constraints": exemption.spec.constraints}),
                ..Event::new(
                    NotificationEvent::ExemptionExpiring,
                    format!(
                        "exemption {} ends in {left} {noun}; what it excuses counts again then",
                        exemption.name
                    ),
                    now,
                )
            };
            let told = self.ports.notifier.deliveries(&event, &self.ports.store, &self.ports.chance);
            let stored = match self.ports.store.enqueue(&told, now).await {
                Ok(()) => self.ports.store.set_slot(&mark, now).await,
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                tracing::warn!(error = %error_line(&error), "an ending exemption could not be announced");
            }
        }
    }
}

/// So many milliseconds later (or earlier), kept within what a timestamp can say.
fn after(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(at)
}

/// A tenth more or less; `fraction` is in `0.0..1.0`.
fn jittered(millis: i64, fraction: f64) -> i64 {
    let tenth = millis / 10;
    #[expect(clippy::cast_possible_truncation, reason = "thousandths of a fraction below one")]
    let thousandths = (fraction * 1_000.0) as i64;
    millis - tenth + tenth * 2 * thousandths / 1_000
}

/// A line for a run that found something new or is incomplete; a quiet one is for those who debug.
fn say_audit(run: &AuditRun) {
    let (new, fixed, regressed) = run.changes;
    let (run_id, objects, findings, complete) = (run.id.0, run.objects, run.findings.len(), run.complete);
    if new + fixed + regressed > 0 || !complete {
        tracing::info!(run = run_id, complete, objects, findings, new, fixed, regressed, "audited");
    } else {
        tracing::debug!(run = run_id, complete, objects, findings, "audited");
    }
}
