//! Audit runs: begun, finished in one transaction with all they found, read back.

use std::fmt;

use jiff::Timestamp;
use portcullis_core::audit::{Class, Finding, LedgerRow, Status};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;

use super::{NewEvidence, Store, StoreError, Tracked, count, from_json, millis, timestamp, to_json, uncount};

/// The number of a run, counted from 1 in its cluster and instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a run took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its schedule.
    Schedule,
    /// A sync that changed something.
    Sync,
    /// A person; counts for no `minAudits`.
    Manual,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Sync => "sync",
            Self::Manual => "manual",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "schedule" => Ok(Self::Schedule),
            "sync" => Ok(Self::Sync),
            "manual" => Ok(Self::Manual),
            _ => Err(StoreError::Word { what: "cause of a run", found: text.to_owned() }),
        }
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Begun, not finished.
    Running,
    /// Finished, complete or not.
    Finished,
    /// Its process ended before it did.
    Abandoned,
}

impl RunState {
    fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "running" => Ok(Self::Running),
            "finished" => Ok(Self::Finished),
            "abandoned" => Ok(Self::Abandoned),
            _ => Err(StoreError::Word { what: "state of a run", found: text.to_owned() }),
        }
    }
}

/// All that a run found.
#[derive(Clone, Debug)]
pub struct RunRecord<'a> {
    /// Whether every constraint was judged everywhere.
    pub complete: bool,
    /// When it finished.
    pub finished: Timestamp,
    /// Objects read, matched or not.
    pub objects: u64,
    /// The findings.
    pub findings: &'a [Finding],
    /// What was and was not evaluated.
    pub ledger: &'a [LedgerRow],
    /// What it says about each version of each constraint.
    pub evidence: &'a [NewEvidence],
    /// How the findings compare with what was known.
    pub tracked: &'a [Tracked],
    /// Whatever a report's trend wants to know of the run later (a score, counts by severity).
    pub summary: Value,
}

/// One run, without its findings.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// Its number.
    pub id: RunId,
    /// Why it took place.
    pub cause: Cause,
    /// Whether the daemon ran it.
    pub by_daemon: bool,
    /// How far it came.
    pub state: RunState,
    /// When it was begun.
    pub started: Timestamp,
    /// When it finished.
    pub finished: Option<Timestamp>,
    /// Whether every constraint was judged everywhere.
    pub complete: bool,
    /// Objects read.
    pub objects: u64,
    /// Findings, exempt ones included, errors apart.
    pub findings: u64,
    /// Findings of class error.
    pub errors: u64,
    /// Findings that an Exemption excuses.
    pub exempt: u64,
    /// Fingerprints never seen before.
    pub new: u64,
    /// Fingerprints that are gone.
    pub fixed: u64,
    /// Fingerprints that came back.
    pub regressed: u64,
    /// As it was given to `finish_run`.
    pub summary: Value,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    cause: String,
    by_daemon: i64,
    state: String,
    started: i64,
    finished: Option<i64>,
    complete: i64,
    objects: i64,
    findings: i64,
    errors: i64,
    exempt: i64,
    appeared: i64,
    fixed: i64,
    regressed: i64,
    summary: String,
}

impl Row {
    fn into_run(self) -> Result<RunRow, StoreError> {
        Ok(RunRow {
            id: RunId(self.id),
            cause: Cause::parse(&self.cause)?,
            by_daemon: self.by_daemon != 0,
            state: RunState::parse(&self.state)?,
            started: timestamp(self.started),
            finished: self.finished.map(timestamp),
            complete: self.complete != 0,
            objects: uncount(self.objects),
            findings: uncount(self.findings),
            errors: uncount(self.errors),
            exempt: uncount(self.exempt),
            new: uncount(self.appeared),
            fixed: uncount(self.fixed),
            regressed: uncount(self.regressed),
            summary: from_json("the summary of a run", &self.summary)?,
        })
    }
}

impl Store {
    /// Begins a run and gives it its number.
    pub async fn begin_run(
        &self,
        cause: Cause,
        by_daemon: bool,
        started: Timestamp,
    ) -> Result<RunId, StoreError> {
        let mut tx = self.write().await?;
        let id = self.next_number(&mut tx, "run").await?;
        sqlx::query(
            "INSERT INTO runs (cluster, instance, id, cause, by_daemon, state, started, complete, objects, \
             findings, errors, exempt, appeared, fixed, regressed, summary) \
             VALUES ($1, $2, $3, $4, $5, 'running', $6, 0, 0, 0, 0, 0, 0, 0, 0, 'null')",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .bind(cause.as_str())
        .bind(i64::from(by_daemon))
        .bind(millis(started))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(RunId(id))
    }

    /// Commits all that a run found, all or nothing.
    ///
    /// # Errors
    ///
    /// `Missing` where there is no such run, or it is finished already.
    pub async fn finish_run(&self, run: RunId, record: &RunRecord<'_>) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let seq = self.next_number(&mut tx, "seq").await?;
        let ledger = serde_json::to_value(record.ledger)
            .map_err(|source| StoreError::Json { what: "a ledger", source })?;
        let ledger_hash = self.put_content(&mut tx, &ledger).await?;
        let errors = record.findings.iter().filter(|finding| finding.class == Class::Error).count() as u64;
        let exempt = record.findings.iter().filter(|finding| !finding.exempt_by.is_empty()).count() as u64;
        let having =
            |status| count(record.tracked.iter().filter(|tracked| tracked.status == status).count() as u64);
        let updated = sqlx::query(
            "UPDATE runs SET state = 'finished', finished = $1, seq = $2, complete = $3, objects = $4, \
             findings = $5, errors = $6, exempt = $7, appeared = $8, fixed = $9, regressed = $10, \
             ledger_hash = $11, summary = $12 \
             WHERE cluster = $13 AND instance = $14 AND id = $15 AND state <> 'finished'",
        )
        .bind(millis(record.finished))
        .bind(seq)
        .bind(i64::from(record.complete))
        .bind(count(record.objects))
        .bind(count(record.findings.len() as u64 - errors))
        .bind(count(errors))
        .bind(count(exempt))
        .bind(having(Status::New))
        .bind(having(Status::Fixed))
        .bind(having(Status::Regressed))
        .bind(ledger_hash)
        .bind(to_json("the summary of a run", &record.summary)?)
        .bind(self.cluster())
        .bind(self.instance())
        .bind(run.0)
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(StoreError::Missing { what: format!("unfinished run {run}") });
        }
        self.put_spans(&mut tx, seq, record.findings).await?;
        self.put_changes(&mut tx, run, record.tracked).await?;
        self.put_known(&mut tx, record.tracked, record.findings, record.finished).await?;
        self.put_evidence(&mut tx, seq, record.evidence).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks the runs whose process has ended before they finished; for the start of the one process
    /// that may write. Returns how many there were.
    pub async fn abandon_unfinished_runs(&self) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        let marked = sqlx::query(
            "UPDATE runs SET state = 'abandoned' WHERE cluster = $1 AND instance = $2 AND state = 'running'",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(marked.rows_affected())
    }

    /// One run.
    pub async fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, cause, by_daemon, state, started, finished, complete, objects, findings, errors, \
             exempt, appeared, fixed, regressed, summary FROM runs \
             WHERE cluster = $1 AND instance = $2 AND id = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(run.0)
        .fetch_optional(self.reader())
        .await?;
        row.map(Row::into_run).transpose()
    }

    /// The run that finished last; with `complete_only` the last one that was complete.
    pub async fn newest_run(&self, complete_only: bool) -> Result<Option<RunRow>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, cause, by_daemon, state, started, finished, complete, objects, findings, errors, \
             exempt, appeared, fixed, regressed, summary FROM runs \
             WHERE cluster = $1 AND instance = $2 AND state = 'finished' AND complete >= $3 \
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(i64::from(complete_only))
        .fetch_optional(self.reader())
        .await?;
        row.map(Row::into_run).transpose()
    }

    /// The last `limit` finished runs, oldest first.
    pub async fn trend(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, cause, by_daemon, state, started, finished, complete, objects, findings, errors, \
             exempt, appeared, fixed, regressed, summary FROM runs \
             WHERE cluster = $1 AND instance = $2 AND state = 'finished' ORDER BY seq DESC LIMIT $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().rev().map(Row::into_run).collect()
    }

    /// The ledger of a finished run, empty where there is none.
    pub async fn ledger(&self, run: RunId) -> Result<Vec<LedgerRow>, StoreError> {
        let body: Option<String> = sqlx::query_scalar(
            "SELECT contents.body FROM runs JOIN contents ON contents.cluster = runs.cluster \
             AND contents.instance = runs.instance AND contents.hash = runs.ledger_hash \
             WHERE runs.cluster = $1 AND runs.instance = $2 AND runs.id = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(run.0)
        .fetch_optional(self.reader())
        .await?;
        body.map_or(Ok(Vec::new()), |body| from_json("a ledger", &body))
    }
}
