//! Decisions and intents: what is about to be written to the cluster, committed before it is written.
//!
//! `begin` commits decision, evidence and intent; then the caller writes to the cluster; then `done`
//! commits that it was acknowledged and brings the mirror up to date, or `dropped` that it never came
//! to be. After a crash the intents that are still open are read back from the cluster.

use jiff::Timestamp;
use portcullis_core::identity::{PolicyHash, Revision};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, SqliteConnection};

use super::{MirrorRow, NewDelivery, Store, StoreError, from_json, millis, timestamp, to_json};

/// One decision about one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When it was taken.
    pub at: Timestamp,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The commit it follows from.
    pub revision: Option<Revision>,
    /// The stage before, where there was one.
    pub from: Option<String>,
    /// The stage after, where there is one.
    pub to: Option<String>,
    /// The policy's hash.
    pub hash: Option<PolicyHash>,
    /// Who decided: a person, or `portcullis`.
    pub who: String,
    /// Why, in words.
    pub reason: String,
    /// The evidence it rests on.
    pub evidence: Value,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its intent is open.
    Pending,
    /// It was carried out, or needed nothing to be.
    Done,
    /// Its intent was dropped.
    Dropped,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }

    pub(super) fn parse(text: String) -> Result<Self, StoreError> {
        match text.as_str() {
            "pending" => Ok(Self::Pending),
            "done" => Ok(Self::Done),
            "dropped" => Ok(Self::Dropped),
            _ => Err(StoreError::Word { what: "outcome of a decision", found: text }),
        }
    }
}

/// A decision of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// Its number.
    pub id: i64,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was dropped, else empty.
    pub why: String,
}

/// What is about to be written to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// Identity, made by the caller.
    pub id: String,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The write, as the caller describes it.
    pub action: Value,
    /// The decision it carries out.
    pub decision: Decision,
}

/// What the mirror says once the intent is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MirrorChange {
    /// Nothing changes.
    Keep,
    /// This row.
    Upsert(MirrorRow),
    /// The object's row goes.
    Delete,
}

/// An intent that is neither done nor dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIntent {
    /// The intent.
    pub intent: Intent,
    /// What the mirror will say once it is done.
    pub mirror: MirrorChange,
    /// Hash of the manifest it writes.
    pub manifest_hash: Option<String>,
    /// When it was begun.
    pub begun: Timestamp,
}

#[derive(FromRow)]
struct IntentRow {
    id: String,
    kind: String,
    name: String,
    action: String,
    decision: String,
    mirror: String,
    manifest_hash: Option<String>,
    begun: i64,
}

impl Store {
    /// Commits the decision, the intent and the manifest it writes, all or nothing, and returns the
    /// manifest's hash. The mirror follows when the intent is done.
    pub async fn begin(
        &self,
        intent: &Intent,
        mirror: &MirrorChange,
        manifest: Option<&Value>,
    ) -> Result<Option<String>, StoreError> {
        let mut tx = self.write().await?;
        let manifest_hash = match manifest {
            Some(manifest) => Some(self.put_manifest_in(&mut tx, manifest).await?),
            None => None,
        };
        let mut mirror = mirror.clone();
        if let MirrorChange::Upsert(row) = &mut mirror {
            row.manifest_hash = row.manifest_hash.take().or_else(|| manifest_hash.clone());
        }
        let position = self.next_number(&mut tx, "intent").await?;
        sqlx::query(
            "INSERT INTO intents (cluster, instance, id, position, kind, name, action, decision, mirror, \
             manifest_hash, state, why, begun) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'open', '', $11)",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(&intent.id)
        .bind(position)
        .bind(&intent.kind)
        .bind(&intent.name)
        .bind(to_json("an action", &intent.action)?)
        .bind(to_json("a decision", &intent.decision)?)
        .bind(to_json("a mirror change", &mirror)?)
        .bind(&manifest_hash)
        .bind(millis(intent.decision.at))
        .execute(&mut *tx)
        .await?;
        self.put_decision(&mut tx, &intent.decision, Some(&intent.id), Outcome::Pending).await?;
        tx.commit().await?;
        Ok(manifest_hash)
    }

    /// Commits that the intent was carried out and acknowledged: its mirror change takes effect, and
    /// `deliveries` that tell of it go into the outbox. Doing it twice is doing it once.
    pub async fn done(&self, id: &str, at: Timestamp, deliveries: &[NewDelivery]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let Some(mirror) = self.end_intent(&mut tx, id, Outcome::Done, "", at).await? else { return Ok(()) };
        match mirror.1 {
            MirrorChange::Keep => {}
            MirrorChange::Upsert(row) => self.put_mirror(&mut tx, &row).await?,
            MirrorChange::Delete => {
                let (kind, name) = mirror.0;
                self.drop_mirror(&mut tx, &kind, &name).await?;
            }
        }
        self.put_deliveries(&mut tx, deliveries, None, at).await?;
        tx.commit().await?;
        self.wake_outbox();
        Ok(())
    }

    /// Commits that the intent never came to be; its decision counts no more.
    pub async fn dropped(&self, id: &str, why: &str, at: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.end_intent(&mut tx, id, Outcome::Dropped, why, at).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The intents that are neither done nor dropped, oldest first.
    pub async fn open_intents(&self) -> Result<Vec<OpenIntent>, StoreError> {
        let rows: Vec<IntentRow> = sqlx::query_as(
            "SELECT id, kind, name, action, decision, mirror, manifest_hash, begun FROM intents \
             WHERE cluster = $1 AND instance = $2 AND state = 'open' ORDER BY position",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(OpenIntent {
                    intent: Intent {
                        id: row.id,
                        kind: row.kind,
                        name: row.name,
                        action: from_json("an action", &row.action)?,
                        decision: from_json("a decision", &row.decision)?,
                    },
                    mirror: from_json("a mirror change", &row.mirror)?,
                    manifest_hash: row.manifest_hash,
                    begun: timestamp(row.begun),
                })
            })
            .collect()
    }

    /// Records a decision that writes nothing to the cluster (a hold, a refusal).
    pub async fn record_decision(&self, decision: &Decision) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.put_decision(&mut tx, decision, None, Outcome::Done).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn put_decision(
        &self,
        tx: &mut SqliteConnection,
        decision: &Decision,
        intent: Option<&str>,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let id = self.next_number(&mut *tx, "decision").await?;
        sqlx::query(
            "INSERT INTO decisions (cluster, instance, id, intent, at, kind, name, revision, from_stage, \
             to_stage, hash, who, reason, evidence, outcome, why) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '')",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .bind(intent)
        .bind(millis(decision.at))
        .bind(&decision.kind)
        .bind(&decision.name)
        .bind(decision.revision.as_ref().map(Revision::as_str))
        .bind(&decision.from)
        .bind(&decision.to)
        .bind(decision.hash.as_ref().map(PolicyHash::as_str))
        .bind(&decision.who)
        .bind(&decision.reason)
        .bind(to_json("the evidence of a decision", &decision.evidence)?)
        .bind(outcome.as_str())
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Closes an open intent and its decision; `None` where it was closed already.
    async fn end_intent(
        &self,
        tx: &mut SqliteConnection,
        id: &str,
        outcome: Outcome,
        why: &str,
        at: Timestamp,
    ) -> Result<Option<((String, String), MirrorChange)>, StoreError> {
        let row: Option<(String, String, String)> = sqlx::query_as(
            "UPDATE intents SET state = $1, why = $2, ended = $3 \
             WHERE cluster = $4 AND instance = $5 AND id = $6 AND state = 'open' RETURNING kind, name, mirror",
        )
        .bind(outcome.as_str())
        .bind(why)
        .bind(millis(at))
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((kind, name, mirror)) = row else {
            let known: Option<i64> = sqlx::query_scalar(
                "SELECT position FROM intents WHERE cluster = $1 AND instance = $2 AND id = $3",
            )
            .bind(self.cluster())
            .bind(self.instance())
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
            return match known {
                Some(_) => Ok(None),
                None => Err(StoreError::Missing { what: format!("intent {id}") }),
            };
        };
        sqlx::query(
            "UPDATE decisions SET outcome = $1, why = $2 WHERE cluster = $3 AND instance = $4 AND intent = $5",
        )
        .bind(outcome.as_str())
        .bind(why)
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .execute(tx)
        .await?;
        Ok(Some(((kind, name), from_json("a mirror change", &mirror)?)))
    }
}
