//! Evidence: what each run says about each version of each constraint.
//!
//! A thousand constraints audited every quarter of an hour would be a hundred thousand rows a day. What runs say
//! one after the other is mostly the same, and is kept once, with the first and the last run that said it.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use portcullis_core::{
    audit::Subject,
    identity::{ConstraintId, PolicyHash},
};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{Cause, RunId, Store, StoreError, count, from_json, millis, timestamp, to_json, uncount};

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

/// A finished run, as far as evidence needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceRun {
    /// The run.
    pub run: RunId,
    /// The order in which runs finished, without gaps.
    pub seq: i64,
    /// When it was begun.
    pub started: Timestamp,
    /// When it finished.
    pub finished: Timestamp,
    /// Whether the daemon ran it.
    pub by_daemon: bool,
}

/// What the finished runs `from..=to` all say about one version of one constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSpan {
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
    /// The violating subjects that count in gates, for `subjects`.
    pub subjects_hash: String,
    /// The first run that says so, by `seq`.
    pub from: i64,
    /// The last one.
    pub to: i64,
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
            "SELECT runs.id AS run, runs.started, runs.finished, runs.cause, runs.by_daemon, evidence.slot, \
             evidence.stage, evidence.complete, evidence.errors, evidence.violations, contents.body \
             FROM evidence \
             JOIN runs ON runs.cluster = evidence.cluster AND runs.instance = evidence.instance \
             AND runs.seq >= evidence.from_seq AND runs.seq <= evidence.to_seq \
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

    /// The finished runs that were begun at `since` or later, oldest first.
    pub async fn evidence_runs(&self, since: Timestamp) -> Result<Vec<EvidenceRun>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT id, seq, started, finished, by_daemon FROM runs WHERE cluster = $1 AND instance = $2 \
             AND state = 'finished' AND started >= $3 ORDER BY seq",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(millis(since))
        .fetch_all(self.reader())
        .await?;
        Ok(rows
            .into_iter()
            .map(|(run, seq, started, finished, by_daemon)| EvidenceRun {
                run: RunId(run),
                seq,
                started: timestamp(started),
                finished: timestamp(finished),
                by_daemon: by_daemon != 0,
            })
            .collect())
    }

    /// What the run `seq` and those that finished after it say about every version of every constraint.
    pub async fn evidence_spans(&self, seq: i64) -> Result<Vec<EvidenceSpan>, StoreError> {
        let rows: Vec<Span> = sqlx::query_as(
            "SELECT kind, name, slot, hash, stage, complete, errors, violations, subjects_hash, from_seq, to_seq \
             FROM evidence WHERE cluster = $1 AND instance = $2 AND to_seq >= $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(seq)
        .fetch_all(self.reader())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| EvidenceSpan {
                constraint: ConstraintId::new(row.kind, row.name),
                slot: row.slot,
                hash: PolicyHash::new(row.hash),
                stage: row.stage,
                complete: row.complete != 0,
                errors: uncount(row.errors),
                subjects_hash: row.subjects_hash,
                from: row.from_seq,
                to: row.to_seq,
            })
            .collect())
    }

    /// A list of subjects that evidence refers to, empty where it is no longer there.
    pub async fn subjects(&self, hash: &str) -> Result<Vec<Subject>, StoreError> {
        let body = self.body(hash).await?;
        body.map_or_else(|| Ok(Vec::new()), |body| from_json("a list of subjects", &body))
    }

    pub(super) async fn put_evidence(
        &self,
        tx: &mut SqliteConnection,
        seq: i64,
        evidence: &[NewEvidence],
    ) -> Result<(), StoreError> {
        let before: Vec<Span> = sqlx::query_as(
            "SELECT kind, name, slot, hash, stage, complete, errors, violations, subjects_hash, from_seq, to_seq \
             FROM evidence WHERE cluster = $1 AND instance = $2 AND to_seq = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(seq - 1)
        .fetch_all(&mut *tx)
        .await?;
        let before: BTreeMap<_, _> = before.iter().map(|span| (span.key(), span)).collect();

        let mut present = HashSet::new();
        let mut kept: HashMap<&[Subject], String> = HashMap::new();
        let mut fresh = Vec::new();
        for row in evidence {
            // Most lists are empty, and one hash serves them all.
            let subjects_hash = if let Some(hash) = kept.get(row.subjects.as_slice()) {
                hash.clone()
            } else {
                let subjects = to_json("a list of subjects", &row.subjects)?;
                let hash = self.put_body(&mut *tx, &subjects).await?;
                kept.insert(row.subjects.as_slice(), hash.clone());
                hash
            };
            let span = Span::new(row, subjects_hash, seq);
            let same = before.get(&span.key()).filter(|old| old.says_the_same(&span));
            match same {
                Some(old) if present.insert(old.key()) => {}
                _ => fresh.push(span),
            }
        }

        // All rows go on by one run; those that end here are set back.
        sqlx::query("UPDATE evidence SET to_seq = $1 WHERE cluster = $2 AND instance = $3 AND to_seq = $4")
            .bind(seq)
            .bind(self.cluster())
            .bind(self.instance())
            .bind(seq - 1)
            .execute(&mut *tx)
            .await?;
        for (key, old) in before {
            if !present.contains(&key) {
                sqlx::query(
                    "UPDATE evidence SET to_seq = $1 WHERE cluster = $2 AND instance = $3 AND kind = $4 \
                     AND name = $5 AND slot = $6 AND from_seq = $7",
                )
                .bind(seq - 1)
                .bind(self.cluster())
                .bind(self.instance())
                .bind(&old.kind)
                .bind(&old.name)
                .bind(&old.slot)
                .bind(old.from_seq)
                .execute(&mut *tx)
                .await?;
            }
        }
        for chunk in fresh.chunks(CHUNK) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO evidence (cluster, instance, kind, name, slot, hash, stage, complete, errors, \
                 violations, subjects_hash, from_seq, to_seq) ",
            );
            insert.push_values(chunk, |mut row, span| {
                row.push_bind(self.cluster())
                    .push_bind(self.instance())
                    .push_bind(&span.kind)
                    .push_bind(&span.name)
                    .push_bind(&span.slot)
                    .push_bind(&span.hash)
                    .push_bind(&span.stage)
                    .push_bind(span.complete)
                    .push_bind(span.errors)
                    .push_bind(span.violations)
                    .push_bind(&span.subjects_hash)
                    .push_bind(span.from_seq)
                    .push_bind(span.to_seq);
            });
            insert.build().execute(&mut *tx).await?;
        }
        Ok(())
    }
}

/// Rows written by one statement.
const CHUNK: usize = 500;

#[derive(FromRow)]
struct Span {
    kind: String,
    name: String,
    slot: String,
    hash: String,
    stage: String,
    complete: i64,
    errors: i64,
    violations: i64,
    subjects_hash: String,
    from_seq: i64,
    to_seq: i64,
}

impl Span {
    fn new(row: &NewEvidence, subjects_hash: String, seq: i64) -> Self {
        Self {
            kind: row.constraint.kind.clone(),
            name: row.constraint.name.clone(),
            slot: row.slot.clone(),
            hash: row.hash.as_str().to_owned(),
            stage: row.stage.clone(),
            complete: i64::from(row.complete),
            errors: count(row.errors),
            violations: count(row.violations),
            subjects_hash,
            from_seq: seq,
            to_seq: seq,
        }
    }

    fn key(&self) -> (String, String, String) {
        (self.kind.clone(), self.name.clone(), self.slot.clone())
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let said = |span: &Self| (span.complete, span.errors, span.violations);
        self.hash == other.hash
            && self.stage == other.stage
            && self.subjects_hash == other.subjects_hash
            && said(self) == said(other)
    }
}
