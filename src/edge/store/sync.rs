//! The revision in force, and what each sync came to.

use jiff::Timestamp;
use portcullis_core::identity::Revision;
use serde_json::Value;

use super::{Store, StoreError, from_json, millis, timestamp, to_json};

/// The revision that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The commit.
    pub revision: Revision,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What one sync came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRecord {
    /// The commit it was about; `None` where the remote gave none.
    pub revision: Option<Revision>,
    /// One word, for example `inStep`, `held`, `partial`, `refused`, `failed`.
    pub outcome: String,
    /// Why, in words, one line each.
    pub reasons: Vec<String>,
    /// When it ended.
    pub at: Timestamp,
}

impl Store {
    /// Records the revision in force, with the bundle as it was loaded where that is wanted.
    pub async fn set_accepted(
        &self,
        revision: &Revision,
        bundle: Option<&Value>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let hash = match bundle {
            Some(bundle) => Some(self.put_content(&mut tx, bundle).await?),
            None => None,
        };
        sqlx::query(
            "INSERT INTO accepted (cluster, instance, revision, bundle_hash, at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (cluster, instance) DO UPDATE SET revision = excluded.revision, \
             bundle_hash = excluded.bundle_hash, at = excluded.at",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(revision.as_str())
        .bind(hash)
        .bind(millis(at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The revision in force, `None` before the first one was accepted.
    pub async fn accepted(&self) -> Result<Option<Accepted>, StoreError> {
        let row: Option<(String, i64)> =
            sqlx::query_as("SELECT revision, at FROM accepted WHERE cluster = $1 AND instance = $2")
                .bind(self.cluster())
                .bind(self.instance())
                .fetch_optional(self.reader())
                .await?;
        Ok(row.map(|(revision, at)| Accepted { revision: Revision::new(revision), at: timestamp(at) }))
    }

    /// The bundle that was recorded with the revision in force.
    pub async fn accepted_bundle(&self) -> Result<Option<Value>, StoreError> {
        let hash: Option<Option<String>> =
            sqlx::query_scalar("SELECT bundle_hash FROM accepted WHERE cluster = $1 AND instance = $2")
                .bind(self.cluster())
                .bind(self.instance())
                .fetch_optional(self.reader())
                .await?;
        match hash.flatten() {
            Some(hash) => self.content(&hash).await,
            None => Ok(None),
        }
    }

    /// Adds what a sync came to.
    pub async fn record_sync(&self, record: &SyncRecord) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let id = self.next_number(&mut tx, "sync").await?;
        sqlx::query(
            "INSERT INTO syncs (cluster, instance, id, revision, outcome, reasons, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .bind(record.revision.as_ref().map(Revision::as_str))
        .bind(&record.outcome)
        .bind(to_json("the reasons of a sync", &record.reasons)?)
        .bind(millis(record.at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest sync.
    pub async fn last_sync(&self) -> Result<Option<SyncRecord>, StoreError> {
        Ok(self.syncs(1).await?.into_iter().next())
    }

    /// The newest syncs, newest first.
    pub async fn syncs(&self, limit: u32) -> Result<Vec<SyncRecord>, StoreError> {
        let rows: Vec<(Option<String>, String, String, i64)> = sqlx::query_as(
            "SELECT revision, outcome, reasons, at FROM syncs WHERE cluster = $1 AND instance = $2 \
             ORDER BY id DESC LIMIT $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(revision, outcome, reasons, at)| {
                Ok(SyncRecord {
                    revision: revision.map(Revision::new),
                    outcome,
                    reasons: from_json("the reasons of a sync", &reasons)?,
                    at: timestamp(at),
                })
            })
            .collect()
    }
}
