//! Evidence: what each run says about each version of each constraint.

use jiff::Timestamp;
use portcullis_core::{
    audit::Subject,
    identity::{ConstraintId, PolicyHash},
};
use sqlx::{FromRow, SqliteConnection};

use super::{Cause, RunId, Store, StoreError, count, from_json, millis, timestamp, uncount};

/// What a run says about one version of one constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvidence {
    /// The constraint.
    pub constraint: ConstraintId,
    /// Which version: for example `current` or `candidate`.
    pub slot: String,
    /// The version's hash.
    pub hash: PolicyHash,
    /// The stage it stood at.
    pub stage: String,
    /// Whether it was judged everywhere.
    pub complete: bool,
    /// Objects whose match or evaluation failed.
    pub errors: u64,
    /// Distinct violating subjects that count in gates.
    pub violations: u64,
    /// Those subjects.
    pub subjects: Vec<Subject>,
}

/// What a finished run said about one version of one constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceRow {
    /// The run.
    pub run: RunId,
    /// When the run was begun.
    pub started: Timestamp,
    /// When it finished.
    pub finished: Timestamp,
    /// Why it took place.
    pub cause: Cause,
    /// Whether the daemon ran it.
    pub by_daemon: bool,
    /// Which version: for example `current` or `candidate`.
    pub slot: String,
    /// The stage it stood at.
    pub stage: String,
    /// Whether it was judged everywhere.
    pub complete: bool,
    /// Objects whose match or evaluation failed.
    pub errors: u64,
    /// Distinct violating subjects that count in gates.
    pub violations: u64,
    /// Those subjects.
    pub subjects: Vec<Subject>,
}

#[derive(FromRow)]
struct Row {
    run: i64,
    started: i64,
    finished: i64,
    cause: String,
    by_daemon: i64,
    slot: String,
    stage: String,
    complete: i64,
    errors: i64,
    violations: i64,
    body: String,
}

impl Store {
    /// What the runs that were begun at `since` or later say about this version of a constraint, at
    /// this stage where one is given, newest first.
    pub async fn evidence(
        &self,
        constraint: &ConstraintId,
        hash: &PolicyHash,
        stage: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<EvidenceRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT evidence.run, runs.started, runs.finished, runs.cause, runs.by_daemon, evidence.slot, \
             evidence.stage, evidence.complete, evidence.errors, evidence.violations, contents.body \
             FROM evidence \
             JOIN runs ON runs.cluster = evidence.cluster AND runs.instance = evidence.instance \
             AND runs.id = evidence.run \
             JOIN contents ON contents.cluster = evidence.cluster AND contents.instance = evidence.instance \
             AND contents.hash = evidence.subjects_hash \
             WHERE evidence.cluster = $1 AND evidence.instance = $2 AND evidence.kind = $3 \
             AND evidence.name = $4 AND evidence.hash = $5 AND ($6 = '' OR evidence.stage = $6) \
             AND runs.started >= $7 AND runs.state = 'finished' ORDER BY runs.seq DESC, evidence.slot",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(&constraint.kind)
        .bind(&constraint.name)
        .bind(hash.as_str())
        .bind(stage.unwrap_or_default())
        .bind(millis(since))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(EvidenceRow {
                    run: RunId(row.run),
                    started: timestamp(row.started),
                    finished: timestamp(row.finished),
                    cause: Cause::parse(&row.cause)?,
                    by_daemon: row.by_daemon != 0,
                    slot: row.slot,
                    stage: row.stage,
                    complete: row.complete != 0,
                    errors: uncount(row.errors),
                    violations: uncount(row.violations),
                    subjects: from_json("a list of subjects", &row.body)?,
                })
            })
            .collect()
    }

    pub(super) async fn put_evidence(
        &self,
        tx: &mut SqliteConnection,
        run: RunId,
        evidence: &[NewEvidence],
    ) -> Result<(), StoreError> {
        for row in evidence {
            let subjects = serde_json::to_value(&row.subjects)
                .map_err(|source| StoreError::Json { what: "a list of subjects", source })?;
            let subjects_hash = self.put_content(&mut *tx, &subjects).await?;
            sqlx::query(
                "INSERT INTO evidence (cluster, instance, run, kind, name, slot, hash, stage, complete, \
                 errors, violations, subjects_hash) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(self.cluster())
            .bind(self.instance())
            .bind(run.0)
            .bind(&row.constraint.kind)
            .bind(&row.constraint.name)
            .bind(&row.slot)
            .bind(row.hash.as_str())
            .bind(&row.stage)
            .bind(i64::from(row.complete))
            .bind(count(row.errors))
            .bind(count(row.violations))
            .bind(subjects_hash)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}
