//! The worker's side of the outbox: claims with a lease, and what became of them.
//!
//! A claim is a conditional update, so that of two workers one gets it. A worker that dies leaves a
//! claim whose lease runs out; the delivery is then made again under the same identity.

use jiff::{SignedDuration, Timestamp};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{Delivery, Store, StoreError, count, millis, timestamp};

/// What happens to a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The receiver has it.
    Delivered,
    /// Another attempt at this time; `rejected` where the receiver refused it for good.
    Retry {
        /// When.
        at: Timestamp,
        /// Whether the answer was a refusal (400, 413, 422).
        rejected: bool,
    },
    /// No more attempts.
    Dead,
    /// The receiver has closed the sink (410); the delivery waits until it is open again.
    Closed(ClosedSink),
}

/// A sink that its receiver has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedSink {
    /// The sink's name.
    pub sink: String,
    /// Random text the URL was hashed with.
    pub salt: String,
    /// SHA-256 over salt and URL; the URL itself is not kept.
    pub url_hash: String,
    /// What the receiver said.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// When the attempt began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why it failed, without secrets; empty for a success.
    pub error: String,
    /// What happens next.
    pub next: Next,
}

impl Store {
    /// Claims the delivery of a sink that has been due longest, `None` where none is due or the sink is
    /// closed. The claim is the worker's until it is settled or `lease` has passed.
    pub async fn claim(
        &self,
        sink: &str,
        worker: &str,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Option<Delivery>, StoreError> {
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let mut tx = self.write().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "UPDATE deliveries SET state = 'delivering', claimed_by = $1, lease_until = $2, \
             attempts = attempts + 1 \
             WHERE cluster = $3 AND instance = $4 AND id = (SELECT due.id FROM deliveries due \
             WHERE due.cluster = $3 AND due.instance = $4 AND due.sink = $5 AND due.expires > $6 \
             AND ((due.state = 'waiting' AND due.next_at <= $6) \
             OR (due.state = 'delivering' AND due.lease_until <= $6)) \
             AND NOT EXISTS (SELECT 1 FROM closed_sinks \
             WHERE closed_sinks.cluster = $3 AND closed_sinks.instance = $4 AND closed_sinks.sink = $5) \
             ORDER BY due.next_at, due.id LIMIT 1) \
             AND (state = 'waiting' OR (state = 'delivering' AND lease_until <= $6)) RETURNING id",
        )
        .bind(worker)
        .bind(millis(until))
        .bind(self.cluster())
        .bind(self.instance())
        .bind(sink)
        .bind(millis(now))
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        match id {
            Some(id) => self.delivery(id).await,
            None => Ok(None),
        }
    }

    /// Commits what came of a claimed delivery's attempt. Where the claim was lost meanwhile, the
    /// attempt is recorded all the same, and a success still counts. Returns whether the claim held.
    pub async fn settle(&self, id: i64, worker: &str, settlement: &Settlement) -> Result<bool, StoreError> {
        let outcome = if settlement.next == Next::Delivered { "delivered" } else { "failed" };
        let mut tx = self.write().await?;
        self.put_attempt(&mut tx, id, outcome, settlement).await?;
        let ended = millis(settlement.at).saturating_add(count(settlement.millis));
        let (state, next_at, rejected, ended) = match &settlement.next {
            Next::Delivered => ("delivered", millis(settlement.at), false, Some(ended)),
            Next::Retry { at, rejected } => ("waiting", millis(*at), *rejected, None),
            Next::Dead => ("dead", millis(settlement.at), false, Some(ended)),
            Next::Closed(_) => ("waiting", millis(settlement.at), false, None),
        };
        let updated = sqlx::query(
            "UPDATE deliveries SET state = $1, next_at = $2, rejections = rejections + $3, ended = $4, \
             last_error = $5, claimed_by = NULL, lease_until = NULL \
             WHERE cluster = $6 AND instance = $7 AND id = $8 \
             AND ((state = 'delivering' AND claimed_by = $9) OR ($1 = 'delivered' AND state = 'waiting'))",
        )
        .bind(state)
        .bind(next_at)
        .bind(i64::from(rejected))
        .bind(ended)
        .bind(&settlement.error)
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .bind(worker)
        .execute(&mut *tx)
        .await?;
        if let Next::Closed(closed) = &settlement.next {
            sqlx::query(
                "INSERT INTO closed_sinks (cluster, instance, sink, salt, url_hash, reason, at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (cluster, instance, sink) DO UPDATE SET \
                 salt = excluded.salt, url_hash = excluded.url_hash, reason = excluded.reason, \
                 at = excluded.at",
            )
            .bind(self.cluster())
            .bind(self.instance())
            .bind(&closed.sink)
            .bind(&closed.salt)
            .bind(&closed.url_hash)
            .bind(&closed.reason)
            .bind(millis(closed.at))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(updated.rows_affected() > 0)
    }

    /// Gives back the claims of a worker, or of every worker where none is named, because it ended
    /// before it knew the answer: they are due at once, and the attempt does not count. For the end of
    /// a worker, and for the start of the one process that delivers. Returns how many there were.
    pub async fn release_claims(&self, worker: Option<&str>, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let released: Vec<i64> = sqlx::query_scalar(
            "UPDATE deliveries SET state = 'waiting', next_at = $1, claimed_by = NULL, lease_until = NULL, \
             attempts = attempts - 1 WHERE cluster = $2 AND instance = $3 AND state = 'delivering' \
             AND ($4 = '' OR claimed_by = $4) RETURNING id",
        )
        .bind(millis(now))
        .bind(self.cluster())
        .bind(self.instance())
        .bind(worker.unwrap_or_default())
        .fetch_all(&mut *tx)
        .await?;
        for id in &released {
            let settlement = Settlement {
                at: now,
                millis: 0,
                status: None,
                error: "the attempt was under way when its process ended; it is made again".to_owned(),
                next: Next::Retry { at: now, rejected: false },
            };
            self.put_attempt(&mut tx, *id, "interrupted", &settlement).await?;
        }
        tx.commit().await?;
        if !released.is_empty() {
            self.wake_outbox();
        }
        Ok(released.len() as u64)
    }

    /// When a sink has something to do next, `None` where nothing waits that has not expired, or the
    /// sink is closed.
    pub async fn next_due(&self, sink: &str, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(CASE WHEN state = 'waiting' THEN next_at ELSE lease_until END) FROM deliveries \
             WHERE cluster = $1 AND instance = $2 AND sink = $3 AND state IN ('waiting', 'delivering') \
             AND expires > $4 AND NOT EXISTS (SELECT 1 FROM closed_sinks WHERE closed_sinks.cluster = $1 \
             AND closed_sinks.instance = $2 AND closed_sinks.sink = $3)",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(sink)
        .bind(millis(now))
        .fetch_one(self.reader())
        .await?;
        Ok(due.map(timestamp))
    }

    /// Ends what was not delivered in time; returns number and sink of each.
    pub async fn expire(&self, now: Timestamp) -> Result<Vec<(i64, String)>, StoreError> {
        let mut tx = self.write().await?;
        let expired = sqlx::query_as(
            "UPDATE deliveries SET state = 'expired', ended = $1, claimed_by = NULL, lease_until = NULL \
             WHERE cluster = $2 AND instance = $3 AND expires <= $1 \
             AND (state = 'waiting' OR (state = 'delivering' AND lease_until <= $1)) RETURNING id, sink",
        )
        .bind(millis(now))
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(expired)
    }

    /// Sets aside what waits for a sink that is not configured, and takes back what waited for one that
    /// is again. Returns how many were orphaned and how many came back.
    pub async fn sort_orphans(&self, sinks: &[&str], now: Timestamp) -> Result<(u64, u64), StoreError> {
        let mut tx = self.write().await?;
        let mut orphan = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET state = 'orphaned'");
        self.push_sinks(&mut orphan, "waiting", "NOT IN", sinks);
        let orphaned = orphan.build().execute(&mut *tx).await?.rows_affected();
        let mut adopt = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET state = 'waiting', next_at = ");
        adopt.push_bind(millis(now));
        self.push_sinks(&mut adopt, "orphaned", "IN", sinks);
        let adopted = adopt.build().execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok((orphaned, adopted))
    }

    fn push_sinks(
        &self,
        query: &mut QueryBuilder<Sqlite>,
        state: &'static str,
        membership: &'static str,
        sinks: &[&str],
    ) {
        query.push(" WHERE cluster = ").push_bind(self.cluster().to_owned());
        query.push(" AND instance = ").push_bind(self.instance().to_owned());
        query.push(" AND state = ").push_bind(state);
        // No sink has an empty name: the list is never empty.
        query.push(" AND sink ").push(membership).push(" (''");
        for sink in sinks {
            query.push(", ").push_bind((*sink).to_owned());
        }
        query.push(")");
    }

    /// The sinks their receivers have closed, by name.
    pub async fn closed_sinks(&self) -> Result<Vec<ClosedSink>, StoreError> {
        let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
            "SELECT sink, salt, url_hash, reason, at FROM closed_sinks \
             WHERE cluster = $1 AND instance = $2 ORDER BY sink",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?;
        Ok(rows
            .into_iter()
            .map(|(sink, salt, url_hash, reason, at)| ClosedSink {
                sink,
                salt,
                url_hash,
                reason,
                at: timestamp(at),
            })
            .collect())
    }

    /// Opens a closed sink; what waited for it is due at once. Returns whether it was closed.
    pub async fn enable_sink(&self, sink: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let opened =
            sqlx::query("DELETE FROM closed_sinks WHERE cluster = $1 AND instance = $2 AND sink = $3")
                .bind(self.cluster())
                .bind(self.instance())
                .bind(sink)
                .execute(&mut *tx)
                .await?;
        if opened.rows_affected() > 0 {
            sqlx::query(
                "UPDATE deliveries SET next_at = $1 \
                 WHERE cluster = $2 AND instance = $3 AND sink = $4 AND state = 'waiting'",
            )
            .bind(millis(now))
            .bind(self.cluster())
            .bind(self.instance())
            .bind(sink)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        self.wake_outbox();
        Ok(opened.rows_affected() > 0)
    }

    async fn put_attempt(
        &self,
        tx: &mut SqliteConnection,
        delivery: i64,
        outcome: &str,
        settlement: &Settlement,
    ) -> Result<(), StoreError> {
        let id = self.next_number(&mut *tx, "attempt").await?;
        sqlx::query(
            "INSERT INTO attempts (cluster, instance, id, delivery, at, outcome, status, error, millis) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .bind(delivery)
        .bind(millis(settlement.at))
        .bind(outcome)
        .bind(settlement.status.map(i64::from))
        .bind(&settlement.error)
        .bind(count(settlement.millis))
        .execute(tx)
        .await?;
        Ok(())
    }
}
