//! The history: decisions that were taken, and those that were carried out since a time.

use jiff::Timestamp;
use portcullis_core::identity::{PolicyHash, Revision};
use sqlx::FromRow;

use super::{Decision, DecisionRow, Outcome, Store, StoreError, from_json, millis, timestamp};

#[derive(FromRow)]
struct HistoryRow {
    id: i64,
    at: i64,
    kind: String,
    name: String,
    revision: Option<String>,
    from_stage: Option<String>,
    to_stage: Option<String>,
    hash: Option<String>,
    who: String,
    reason: String,
    evidence: String,
    outcome: String,
    why: String,
}

impl Store {
    /// The newest decisions, newest first, of one kind or one object where given.
    pub async fn decisions(
        &self,
        kind: Option<&str>,
        name: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        let rows: Vec<HistoryRow> = sqlx::query_as(
            "SELECT id, at, kind, name, revision, from_stage, to_stage, hash, who, reason, evidence, outcome, \
             why FROM decisions WHERE cluster = $1 AND instance = $2 \
             AND ($3 = '' OR kind = $3) AND ($4 = '' OR name = $4) ORDER BY id DESC LIMIT $5",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(kind.unwrap_or_default())
        .bind(name.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(HistoryRow::decision).collect()
    }

    /// The decisions that were carried out after `since`, newest first: what was decided before and
    /// acknowledged after counts, so that no report misses it and no two tell it.
    pub async fn carried_out_since(
        &self,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        let rows: Vec<HistoryRow> = sqlx::query_as(
            "SELECT decisions.id, at, decisions.kind, decisions.name, revision, from_stage, to_stage, hash, who, \
             reason, evidence, outcome, decisions.why FROM decisions LEFT JOIN intents \
             ON intents.cluster = decisions.cluster AND intents.instance = decisions.instance \
             AND intents.id = decisions.intent \
             WHERE decisions.cluster = $1 AND decisions.instance = $2 AND outcome = 'done' \
             AND COALESCE(intents.ended, at) > $3 ORDER BY decisions.id DESC LIMIT $4",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(since.map_or(i64::MIN, millis))
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(HistoryRow::decision).collect()
    }
}

impl HistoryRow {
    fn decision(self) -> Result<DecisionRow, StoreError> {
        Ok(DecisionRow {
            id: self.id,
            decision: Decision {
                at: timestamp(self.at),
                kind: self.kind,
                name: self.name,
                revision: self.revision.map(Revision::new),
                from: self.from_stage,
                to: self.to_stage,
                hash: self.hash.map(PolicyHash::new),
                who: self.who,
                reason: self.reason,
                evidence: from_json("the evidence of a decision", &self.evidence)?,
            },
            outcome: Outcome::parse(self.outcome)?,
            why: self.why,
        })
    }
}
