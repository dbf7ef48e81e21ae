//! What an operator asked for on the command line, for the process that may write to carry out.

use jiff::Timestamp;
use portcullis_core::identity::Revision;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, from_json, millis, timestamp, to_json};

/// Something a person asks for once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// Allow a prune of exactly so many objects at exactly this revision.
    AllowPrune {
        /// How many objects.
        count: u64,
        /// The revision, as the person gave it: all 40 digits or the first ones.
        revision: Revision,
    },
}

/// An action nobody has carried out yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingAction {
    /// Its number.
    pub id: i64,
    /// What is asked for.
    #[serde(flatten)]
    pub action: Action,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Asks for something and returns the number of the request.
    pub async fn request_action(&self, action: &Action, by: &str, at: Timestamp) -> Result<i64, StoreError> {
        let mut tx = self.write().await?;
        let id = self.next_number(&mut tx, "action").await?;
        sqlx::query(
            "INSERT INTO actions (cluster, instance, id, action, who, at, state, outcome) \
             VALUES ($1, $2, $3, $4, $5, $6, 'pending', '')",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .bind(to_json("an action", action)?)
        .bind(by)
        .bind(millis(at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// What was asked for and not carried out yet, oldest first.
    pub async fn pending_actions(&self) -> Result<Vec<PendingAction>, StoreError> {
        let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
            "SELECT id, action, who, at FROM actions WHERE cluster = $1 AND instance = $2 \
             AND state = 'pending' ORDER BY id",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(id, action, by, at)| {
                Ok(PendingAction { id, action: from_json("an action", &action)?, by, at: timestamp(at) })
            })
            .collect()
    }

    /// Says what became of a request; `false` where somebody else has done so before.
    pub async fn consume_action(&self, id: i64, outcome: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let updated = sqlx::query(
            "UPDATE actions SET state = 'consumed', outcome = $1, ended = $2 \
             WHERE cluster = $3 AND instance = $4 AND id = $5 AND state = 'pending'",
        )
        .bind(outcome)
        .bind(millis(at))
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(updated.rows_affected() > 0)
    }
}
