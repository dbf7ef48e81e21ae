//! Retention: what is old enough to be forgotten.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Store, StoreError, millis};

/// How much was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Audit runs.
    pub runs: u64,
    /// Reports.
    pub reports: u64,
    /// Deliveries that had come to their end.
    pub deliveries: u64,
}

impl Store {
    /// Forgets what ended before `before`: runs with their evidence, fixed findings, reports, syncs,
    /// decisions, and deliveries that were delivered, dropped or expired. Kept whatever their age: the
    /// newest run, the newest sync, the newest decision about each object, open intents, manifests, and
    /// every delivery that is not at its end (dead letters and orphans too).
    pub async fn prune(&self, before: Timestamp) -> Result<Pruned, StoreError> {
        let mut tx = self.write().await?;
        let deliveries = self
            .forget(
                &mut tx,
                "DELETE FROM deliveries WHERE cluster = $1 AND instance = $2 AND ended < $3 \
                 AND state IN ('delivered', 'dropped', 'expired')",
                before,
            )
            .await?;
        let reports = self
            .forget(
                &mut tx,
                "DELETE FROM reports WHERE cluster = $1 AND instance = $2 AND created < $3",
                before,
            )
            .await?;
        let runs = self
            .forget(
                &mut tx,
                "DELETE FROM runs WHERE cluster = $1 AND instance = $2 AND state <> 'running' \
                 AND COALESCE(finished, started) < $3 AND (seq IS NULL OR seq < (SELECT MAX(newest.seq) \
                 FROM runs newest WHERE newest.cluster = $1 AND newest.instance = $2))",
                before,
            )
            .await?;
        // Those that do not depend on a time name the parameter all the same: all take the same three.
        for statement in [
            "DELETE FROM spans WHERE cluster = $1 AND instance = $2 AND CAST($3 AS BIGINT) IS NOT NULL AND to_seq < \
             COALESCE((SELECT MIN(seq) FROM runs WHERE runs.cluster = $1 AND runs.instance = $2), 0)",
            "DELETE FROM evidence WHERE cluster = $1 AND instance = $2 AND CAST($3 AS BIGINT) IS NOT NULL AND to_seq < \
             COALESCE((SELECT MIN(seq) FROM runs WHERE runs.cluster = $1 AND runs.instance = $2), 0)",
            "DELETE FROM known WHERE cluster = $1 AND instance = $2 AND status = 'fixed' AND last_seen < $3",
            "DELETE FROM syncs WHERE cluster = $1 AND instance = $2 AND at < $3 AND id < (SELECT \
             MAX(newest.id) FROM syncs newest WHERE newest.cluster = $1 AND newest.instance = $2)",
            "DELETE FROM decisions WHERE cluster = $1 AND instance = $2 AND at < $3 \
             AND outcome <> 'pending' AND EXISTS (SELECT 1 FROM decisions later \
             WHERE later.cluster = decisions.cluster AND later.instance = decisions.instance \
             AND later.kind = decisions.kind AND later.name = decisions.name AND later.id > decisions.id \
             AND later.outcome = 'done')",
            "DELETE FROM intents WHERE cluster = $1 AND instance = $2 AND ended < $3 AND state <> 'open'",
            "DELETE FROM actions WHERE cluster = $1 AND instance = $2 AND ended < $3 \
             AND state = 'consumed'",
            "DELETE FROM contents WHERE cluster = $1 AND instance = $2 AND CAST($3 AS BIGINT) IS NOT NULL AND hash NOT IN (\
             SELECT bundle_hash FROM accepted WHERE cluster = $1 AND instance = $2 \
             AND bundle_hash IS NOT NULL \
             UNION SELECT ledger_hash FROM runs WHERE cluster = $1 AND instance = $2 \
             AND ledger_hash IS NOT NULL \
             UNION SELECT hash FROM spans WHERE cluster = $1 AND instance = $2 \
             UNION SELECT subjects_hash FROM evidence WHERE cluster = $1 AND instance = $2 \
             UNION SELECT body_hash FROM report_bodies WHERE cluster = $1 AND instance = $2 \
             UNION SELECT body_hash FROM deliveries WHERE cluster = $1 AND instance = $2)",
        ] {
            self.forget(&mut tx, statement, before).await?;
        }
        tx.commit().await?;
        Ok(Pruned { runs, reports, deliveries })
    }

    async fn forget(
        &self,
        tx: &mut SqliteConnection,
        statement: &'static str,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        Ok(sqlx::query(statement)
            .bind(self.cluster())
            .bind(self.instance())
            .bind(millis(before))
            .execute(tx)
            .await?
            .rows_affected())
    }
}
