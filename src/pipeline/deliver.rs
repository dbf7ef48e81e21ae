//! Delivers what is in the outbox: each sink on its own, at least once, until it is taken or given up.
//!
//! claim → attempt → settle. The claim is committed before anything is sent, what came of it after; a
//! process that dies in between leaves a claim that is given back, and the delivery is made again with
//! the same body and identity.

mod schedule;

pub use schedule::{MAX_ATTEMPTS, MAX_REJECTIONS};

use std::{ops::AddAssign, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance,
    clock::Clock,
    config,
    edge::{
        sink::{DeliveryFailure, Sink},
        store::{ClosedSink, Delivery, Next, Settlement, Store, StoreError},
    },
};
use schedule::Verdict;

/// Longer than any attempt takes: whoever holds a claim longer is gone.
const LEASE: SignedDuration = SignedDuration::from_mins(2);

/// How long an attempt under way may go on once the worker is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How often the outbox is looked at for what other processes (the command line) changed.
const POLL: SignedDuration = SignedDuration::from_secs(5);

/// A sink under the name the configuration gives it.
#[derive(Clone, Debug)]
pub struct NamedSink {
    /// The name.
    pub name: String,
    /// The sink.
    pub sink: Sink,
}

impl NamedSink {
    /// The sink that the configuration describes.
    pub fn from_config(sink: &config::Sink) -> Self {
        Self { name: sink.name().to_owned(), sink: Sink::from_config(sink) }
    }
}

/// What one pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Taken by their receivers.
    pub delivered: u64,
    /// Failed, to be tried again.
    pub retried: u64,
    /// Failed for the last time.
    pub dead: u64,
    /// Not delivered in time.
    pub expired: u64,
    /// Set aside because their sink is not configured.
    pub orphaned: u64,
    /// Sinks that their receivers closed.
    pub closed: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.retried += other.retried;
        self.dead += other.dead;
        self.expired += other.expired;
        self.orphaned += other.orphaned;
        self.closed += other.closed;
    }
}

/// The worker of the outbox; clones are the same worker.
#[derive(Clone, Debug)]
pub struct Deliverer {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    store: Store,
    sinks: Vec<NamedSink>,
    clock: Arc<dyn Clock>,
    chance: Arc<Chance>,
    worker: String,
    poll: SignedDuration,
    grace: Duration,
}

impl Deliverer {
    /// A worker for these sinks.
    pub fn new(store: Store, sinks: Vec<NamedSink>, clock: Arc<dyn Clock>, chance: Arc<Chance>) -> Self {
        let worker = chance.uuid();
        Self { inner: Arc::new(Inner { store, sinks, clock, chance, worker, poll: POLL, grace: GRACE }) }
    }

    /// The same, looking so often for what other processes changed; what this process puts into the
    /// outbox is noticed at once in any case. Every 5 seconds by default.
    #[must_use]
    pub fn polling(self, every: SignedDuration) -> Self {
        Self { inner: Arc::new(Inner { poll: every, ..(*self.inner).clone() }) }
    }

    /// The same, giving an attempt under way so long to finish when it is told to stop. 5 seconds by
    /// default.
    #[must_use]
    pub fn finishing_within(self, grace: Duration) -> Self {
        Self { inner: Arc::new(Inner { grace, ..(*self.inner).clone() }) }
    }

    /// Delivers until it is told to stop; then an attempt under way is finished in time or its claim
    /// given back. For the one process that delivers: claims that an earlier one left behind
    /// are given back at the start.
    ///
    /// A store that cannot be read or written is logged and tried again.
    pub async fn run(&self, cancel: CancellationToken) {
        if let Err(error) = self.inner.store.release_claims(None, self.inner.clock.now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "claims left behind are not given back");
        }
        let mut tasks = JoinSet::new();
        for sink in self.inner.sinks.clone() {
            let (this, cancel) = (self.clone(), cancel.clone());
            tasks.spawn(async move { this.serve(&sink, &cancel).await });
        }
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be swept");
            }
            let again = self.later(self.inner.poll);
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.inner.clock.sleep_until(again) => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// One pass: everything that is due now is tried once, all sinks at the same time.
    pub async fn deliver_due(&self) -> Result<Summary, StoreError> {
        let mut summary = self.sweep().await?;
        let mut tasks = JoinSet::new();
        for sink in self.inner.sinks.clone() {
            let this = self.clone();
            tasks.spawn(async move { this.drain(&sink, &CancellationToken::new()).await });
        }
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(result) => summary += result?,
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
        Ok(summary)
    }

    fn later(&self, by: SignedDuration) -> Timestamp {
        self.inner.clock.now().checked_add(by).unwrap_or(Timestamp::MAX)
    }

    /// Serves one sink until it is told to stop.
    async fn serve(&self, sink: &NamedSink, cancel: &CancellationToken) {
        let mut changed = self.inner.store.outbox_changed();
        while !cancel.is_cancelled() {
            changed.mark_unchanged();
            let again = self.later(self.inner.poll);
            let wake = match self.drain(sink, cancel).await {
                Ok(_) => match self.inner.store.next_due(&sink.name, self.inner.clock.now()).await {
                    Ok(due) => due.map_or(again, |due| due.min(again)),
                    Err(_) => again,
                },
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(sink = sink.name, error, "the outbox cannot be read or written");
                    again
                }
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = changed.changed() => {}
                () = self.inner.clock.sleep_until(wake) => {}
            }
        }
    }

    /// Ends what has expired, sets aside what has no sink, opens sinks that have a new address.
    async fn sweep(&self) -> Result<Summary, StoreError> {
        let store = &self.inner.store;
        let now = self.inner.clock.now();
        let mut summary = Summary::default();
        for (id, sink) in store.expire(now).await? {
            tracing::warn!(delivery = id, sink, "a delivery expired before it was taken");
            summary.expired += 1;
        }
        let names: Vec<&str> = self.inner.sinks.iter().map(|sink| sink.name.as_str()).collect();
        let (orphaned, adopted) = store.sort_orphans(&names, now).await?;
        if orphaned > 0 {
            tracing::warn!(deliveries = orphaned, "deliveries are orphaned: their sink is not configured");
        }
        if adopted > 0 {
            tracing::info!(deliveries = adopted, "deliveries have their sink back");
        }
        summary.orphaned = orphaned;
        for closed in store.closed_sinks().await? {
            let Some(sink) = self.inner.sinks.iter().find(|sink| sink.name == closed.sink) else { continue };
            let address = sink.sink.fingerprint(&closed.salt);
            if address.is_some_and(|address| address != closed.url_hash) {
                tracing::info!(sink = closed.sink, "a closed sink has a new address and is open again");
                store.enable_sink(&closed.sink, now).await?;
            }
        }
        Ok(summary)
    }

    /// Tries everything that is due for one sink, one after the other.
    async fn drain(&self, sink: &NamedSink, cancel: &CancellationToken) -> Result<Summary, StoreError> {
        let mut summary = Summary::default();
        // One claim at a time: what is given back at the end is this sink's alone.
        let worker = format!("{}/{}", self.inner.worker, sink.name);
        while !cancel.is_cancelled() {
            let now = self.inner.clock.now();
            let Some(delivery) = self.inner.store.claim(&sink.name, &worker, now, LEASE).await? else {
                break;
            };
            let attempt = sink.sink.deliver(&delivery, now);
            let out_of_time = async {
                cancel.cancelled().await;
                tokio::time::sleep(self.inner.grace).await;
            };
            let result = tokio::select! {
                result = attempt => result,
                () = out_of_time => {
                    self.inner.store.release_claims(Some(&worker), self.inner.clock.now()).await?;
                    break;
                }
            };
            summary += self.settle(sink, &worker, &delivery, now, result).await?;
        }
        Ok(summary)
    }

    async fn settle(
        &self,
        sink: &NamedSink,
        worker: &str,
        delivery: &Delivery,
        began: Timestamp,
        result: Result<crate::edge::sink::Accepted, DeliveryFailure>,
    ) -> Result<Summary, StoreError> {
        let now = self.inner.clock.now();
        let id = delivery.row.id;
        let mut summary = Summary::default();
        let (status, error, next) = match result {
            Ok(accepted) => {
                summary.delivered = 1;
                tracing::info!(delivery = id, sink = sink.name, "delivered");
                (accepted.status, String::new(), Next::Delivered)
            }
            Err(failure) => {
                let next = self.after(sink, delivery, &failure, now, &mut summary);
                (failure.status, failure.message, next)
            }
        };
        let millis = now.as_millisecond().saturating_sub(began.as_millisecond());
        let settlement =
            Settlement { at: began, millis: u64::try_from(millis).unwrap_or(0), status, error, next };
        if !self.inner.store.settle(id, worker, &settlement).await? {
            tracing::warn!(delivery = id, sink = sink.name, "the claim ran out during the attempt");
        }
        Ok(summary)
    }

    fn after(
        &self,
        sink: &NamedSink,
        delivery: &Delivery,
        failure: &DeliveryFailure,
        now: Timestamp,
        summary: &mut Summary,
    ) -> Next {
        let row = &delivery.row;
        let rejected = failure.kind == crate::edge::sink::FailureKind::Rejected;
        let fraction = self.inner.chance.fraction();
        match schedule::verdict(failure, row.attempts, row.rejections, now, fraction) {
            Verdict::Retry(at) => {
                summary.retried = 1;
                let reason = failure.message.as_str();
                tracing::warn!(delivery = row.id, sink = sink.name, reason, again = %at, "not delivered");
                Next::Retry { at, rejected }
            }
            Verdict::Dead => {
                summary.dead = 1;
                let reason = failure.message.as_str();
                tracing::error!(
                    delivery = row.id,
                    sink = sink.name,
                    reason,
                    "a dead letter; portcullis outbox replay sends it again"
                );
                Next::Dead
            }
            Verdict::Closed => {
                summary.closed = 1;
                let reason = failure.message.as_str();
                tracing::error!(
                    sink = sink.name,
                    reason,
                    "the receiver has closed the sink; portcullis outbox enable or a new address opens it"
                );
                let salt = self.inner.chance.uuid();
                let url_hash = sink.sink.fingerprint(&salt).unwrap_or_default();
                let (sink, reason) = (sink.name.clone(), failure.message.clone());
                Next::Closed(ClosedSink { sink, salt, url_hash, reason, at: now })
            }
        }
    }
}
