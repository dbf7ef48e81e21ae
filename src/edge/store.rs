//! The store: history and evidence, the outbox, and a mirror of the rollout state, in a SQLite file.
//!
//! Everything is keyed by the cluster and the instance, so that one database can serve several. The
//! statements suit SQLite and PostgreSQL alike. A write that has returned is on the disk.

mod action;
mod content;
mod delivery;
mod error;
mod evidence;
mod finding;
mod history;
mod intent;
mod mirror;
mod open;
mod outbox;
mod report;
mod retention;
mod run;
mod settle;
mod sync;

pub use action::{Action, PendingAction};
pub use delivery::{Attempt, AttemptTime, Delivery, DeliveryRow, DeliveryState, NewDelivery, OutboxDepth};
pub use error::StoreError;
pub use evidence::{EvidenceRow, EvidenceRun, EvidenceSpan, NewEvidence};
pub use finding::{Known, RunFinding, Tracked};
pub use intent::{Decision, DecisionRow, Intent, MirrorChange, OpenIntent, Outcome};
pub use mirror::MirrorRow;
pub use report::{ReportBody, ReportRecord, ReportRow};
pub use retention::Pruned;
pub use run::{Cause, RunId, RunRecord, RunRow, RunState};
pub use settle::{ClosedSink, Next, Settlement};
pub use sync::{Accepted, SyncRecord};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::watch;

/// A handle on the store of one cluster and instance; clones share the same connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// One connection: SQLite has one writer, and waiting here is cheaper than waiting there.
    writer: Option<SqlitePool>,
    reader: SqlitePool,
    cluster: String,
    instance: String,
    path: PathBuf,
    outbox: watch::Sender<u64>,
}

impl Store {
    /// The cluster whose rows this handle sees.
    pub fn cluster(&self) -> &str {
        &self.inner.cluster
    }

    /// The instance whose rows this handle sees.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// Whether it was opened to read only.
    pub fn is_reading(&self) -> bool {
        self.inner.writer.is_none()
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The same database through the eyes of another cluster or instance.
    #[must_use]
    pub fn scoped(&self, cluster: &str, instance: &str) -> Self {
        Self {
            inner: Arc::new(Inner {
                writer: self.inner.writer.clone(),
                reader: self.inner.reader.clone(),
                cluster: cluster.to_owned(),
                instance: instance.to_owned(),
                path: self.inner.path.clone(),
                outbox: self.inner.outbox.clone(),
            }),
        }
    }

    /// Changes whenever this process puts something into the outbox or gives something back to it.
    pub fn outbox_changed(&self) -> watch::Receiver<u64> {
        self.inner.outbox.subscribe()
    }

    fn wake_outbox(&self) {
        self.inner.outbox.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Closes the connections, after which the file is complete without its log.
    pub async fn close(&self) {
        self.inner.reader.close().await;
        if let Some(writer) = &self.inner.writer {
            writer.close().await;
        }
    }

    /// A transaction that holds the right to write from its start, so that it cannot fail half way
    /// because another process wrote in between.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        let writer = self.inner.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        Ok(writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    fn reader(&self) -> &SqlitePool {
        &self.inner.reader
    }

    /// The next number of a sequence, counted from 1 and never given out twice.
    async fn next_number(&self, tx: &mut SqliteConnection, name: &str) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "INSERT INTO counters (cluster, instance, name, value) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (cluster, instance, name) DO UPDATE SET value = counters.value + 1 RETURNING value",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(name)
        .fetch_one(tx)
        .await?)
    }
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A count as the database keeps it.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count as it was kept.
fn uncount(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn to_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Json { what, source })
}

fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Json { what, source })
}
