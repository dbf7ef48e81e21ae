//! Findings: those of one run, and what is known of each across runs.
//!
//! A finding that stays the same is kept once, with the first and the last of the unbroken row of
//! finished runs that saw it; a run that changes nothing adds nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use portcullis_core::{
    audit::{self, Finding, Status},
    identity::{ConstraintId, Fingerprint},
};
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{RunId, Store, StoreError, content, from_json, millis, timestamp, to_json};

/// Rows written by one statement; SQLite and PostgreSQL take 32,766 parameters.
const CHUNK: usize = 500;

/// Rows read at once.
const PAGE: i64 = 2_000;

/// How a fingerprint compares with what was known before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The finding's identity.
    pub fingerprint: Fingerprint,
    /// New, open, fixed or regressed.
    pub status: Status,
}

/// What is known of a finding across runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// The finding's identity.
    pub fingerprint: Fingerprint,
    /// The constraint.
    pub constraint: ConstraintId,
    /// When a run first saw it.
    pub first_seen: Timestamp,
    /// When a run last saw it.
    pub last_seen: Timestamp,
    /// How the newest run that could tell found it.
    pub status: Status,
    /// The finding, as it was when it appeared.
    pub finding: Finding,
}

/// A finding of one run, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// New, open or regressed in that run.
    pub status: Status,
    /// When a run first saw it.
    pub first_seen: Timestamp,
    /// When a run last saw it.
    pub last_seen: Timestamp,
}

/// A content hash without the words around it: there can be hundreds of thousands at once.
type Digest = [u8; 32];

fn digest(hash: &str) -> Option<Digest> {
    let hex = hash.strip_prefix("sha256:")?;
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn hash_of_digest(digest: Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::from("sha256:"), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::New => "new",
        Status::Open => "open",
        Status::Fixed => "fixed",
        Status::Regressed => "regressed",
    }
}

fn parse_status(text: &str) -> Result<Status, StoreError> {
    match text {
        "new" => Ok(Status::New),
        "open" => Ok(Status::Open),
        "fixed" => Ok(Status::Fixed),
        "regressed" => Ok(Status::Regressed),
        _ => Err(StoreError::Word { what: "status of a finding", found: text.to_owned() }),
    }
}

/// The part of a finding that says what it is about.
#[derive(Deserialize)]
struct About {
    object: AboutObject,
}

#[derive(Deserialize)]
struct AboutObject {
    group: String,
    kind: String,
}

type KnownColumns = (String, String, String, i64, i64, String, String);

fn into_known(row: KnownColumns) -> Result<Known, StoreError> {
    let (fingerprint, kind, name, first_seen, last_seen, status, finding) = row;
    Ok(Known {
        fingerprint: Fingerprint::new(fingerprint),
        constraint: ConstraintId::new(kind, name),
        first_seen: timestamp(first_seen),
        last_seen: timestamp(last_seen),
        status: parse_status(&status)?,
        finding: from_json("a finding", &finding)?,
    })
}

impl Store {
    /// Everything known across runs, fixed findings included, by fingerprint.
    pub async fn known(&self) -> Result<Vec<Known>, StoreError> {
        let rows: Vec<KnownColumns> = sqlx::query_as(
            "SELECT fingerprint, constraint_kind, constraint_name, first_seen, last_seen, status, finding \
             FROM known WHERE cluster = $1 AND instance = $2 ORDER BY fingerprint",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(into_known).collect()
    }

    /// As much of what is known as telling new findings from old ones needs, by fingerprint. There can be
    /// hundreds of thousands: they are read in pieces, and their bodies are not kept.
    pub async fn remembered(&self) -> Result<Vec<audit::Known>, StoreError> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let rows: Vec<KnownColumns> = sqlx::query_as(
                "SELECT fingerprint, constraint_kind, constraint_name, first_seen, last_seen, status, finding \
                 FROM known WHERE cluster = $1 AND instance = $2 AND fingerprint > $3 \
                 ORDER BY fingerprint LIMIT $4",
            )
            .bind(self.cluster())
            .bind(self.instance())
            .bind(&after)
            .bind(PAGE)
            .fetch_all(self.reader())
            .await?;
            let Some(last) = rows.last() else { return Ok(all) };
            after.clone_from(&last.0);
            all.reserve(rows.len());
            for (fingerprint, kind, name, first_seen, last_seen, status, finding) in rows {
                let About { object } = from_json("a finding", &finding)?;
                all.push(audit::Known {
                    fingerprint: Fingerprint::new(fingerprint),
                    constraint: ConstraintId::new(kind, name),
                    group: object.group,
                    kind: object.kind,
                    first_seen: timestamp(first_seen),
                    last_seen: timestamp(last_seen),
                    status: parse_status(&status)?,
                });
            }
        }
    }

    /// The findings that are gone since the run before this one.
    pub async fn fixed_in(&self, run: RunId) -> Result<Vec<Known>, StoreError> {
        let rows: Vec<KnownColumns> = sqlx::query_as(
            "SELECT known.fingerprint, constraint_kind, constraint_name, first_seen, last_seen, known.status, \
             finding FROM changes JOIN known ON known.cluster = changes.cluster \
             AND known.instance = changes.instance AND known.fingerprint = changes.fingerprint \
             WHERE changes.cluster = $1 AND changes.instance = $2 AND changes.run = $3 \
             AND changes.status = 'fixed' ORDER BY known.fingerprint",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(run.0)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(into_known).collect()
    }

    /// The findings that went after `since` and are still gone.
    pub async fn fixed_since(&self, since: Timestamp) -> Result<Vec<Known>, StoreError> {
        let rows: Vec<KnownColumns> = sqlx::query_as(
            "SELECT DISTINCT known.fingerprint, constraint_kind, constraint_name, first_seen, last_seen, \
             known.status, finding FROM changes JOIN known ON known.cluster = changes.cluster \
             AND known.instance = changes.instance AND known.fingerprint = changes.fingerprint \
             JOIN runs ON runs.cluster = changes.cluster AND runs.instance = changes.instance \
             AND runs.id = changes.run \
             WHERE changes.cluster = $1 AND changes.instance = $2 AND runs.finished > $3 \
             AND changes.status = 'fixed' AND known.status = 'fixed' ORDER BY known.fingerprint",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(millis(since))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(into_known).collect()
    }

    /// The findings of a finished run, ordered by constraint, object and message.
    pub async fn findings(&self, run: RunId) -> Result<Vec<RunFinding>, StoreError> {
        let seq: Option<Option<i64>> =
            sqlx::query_scalar("SELECT seq FROM runs WHERE cluster = $1 AND instance = $2 AND id = $3")
                .bind(self.cluster())
                .bind(self.instance())
                .bind(run.0)
                .fetch_optional(self.reader())
                .await?;
        let Some(seq) = seq.flatten() else { return Ok(Vec::new()) };
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT contents.body FROM spans JOIN contents ON contents.cluster = spans.cluster \
             AND contents.instance = spans.instance AND contents.hash = spans.hash \
             WHERE spans.cluster = $1 AND spans.instance = $2 AND spans.from_seq <= $3 AND spans.to_seq >= $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(seq)
        .fetch_all(self.reader())
        .await?;
        let changed: HashMap<String, String> = sqlx::query_as(
            "SELECT fingerprint, status FROM changes WHERE cluster = $1 AND instance = $2 AND run = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(run.0)
        .fetch_all(self.reader())
        .await?
        .into_iter()
        .collect();
        let seen: HashMap<String, (i64, i64)> = sqlx::query_as(
            "SELECT fingerprint, first_seen, last_seen FROM known WHERE cluster = $1 AND instance = $2",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?
        .into_iter()
        .map(|(fingerprint, first, last): (String, i64, i64)| (fingerprint, (first, last)))
        .collect();
        let mut findings = bodies
            .into_iter()
            .map(|body| {
                let finding: Finding = from_json("a finding", &body)?;
                let fingerprint = finding.fingerprint.as_str();
                let status = changed.get(fingerprint).map_or(Ok(Status::Open), |word| parse_status(word))?;
                let (first, last) = seen.get(fingerprint).copied().unwrap_or_default();
                Ok(RunFinding { status, first_seen: timestamp(first), last_seen: timestamp(last), finding })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        findings.sort_by(|a, b| {
            let key = |row: &RunFinding| (row.finding.constraint.clone(), row.finding.object.clone());
            key(a).cmp(&key(b)).then_with(|| a.finding.message.cmp(&b.finding.message))
        });
        Ok(findings)
    }

    pub(super) async fn put_spans(
        &self,
        tx: &mut SqliteConnection,
        seq: i64,
        findings: &[Finding],
    ) -> Result<(), StoreError> {
        let before: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT hash, copy, from_seq FROM spans WHERE cluster = $1 AND instance = $2 AND to_seq = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(seq - 1)
        .fetch_all(&mut *tx)
        .await?;
        let before: HashMap<(Digest, i64), i64> = before
            .into_iter()
            .filter_map(|(hash, copy, from_seq)| Some(((digest(&hash)?, copy), from_seq)))
            .collect();

        let mut copies: HashMap<Digest, i64> = HashMap::new();
        let mut present: HashSet<(Digest, i64)> = HashSet::new();
        let mut fresh: Vec<(String, i64, String)> = Vec::new();
        for finding in findings {
            let value = serde_json::to_value(finding)
                .map_err(|source| StoreError::Json { what: "a finding", source })?;
            let body = content::canonical(&value);
            let hash = content::hash_of(&body);
            let Some(digest) = digest(&hash) else { continue };
            let copy = *copies.entry(digest).and_modify(|copy| *copy += 1).or_insert(0);
            if before.contains_key(&(digest, copy)) {
                present.insert((digest, copy));
            } else {
                fresh.push((hash, copy, body));
                if fresh.len() == CHUNK {
                    self.put_fresh(&mut *tx, seq, &fresh).await?;
                    fresh.clear();
                }
            }
        }
        if !fresh.is_empty() {
            self.put_fresh(&mut *tx, seq, &fresh).await?;
        }

        // All rows go on by one run; those that end here are set back.
        sqlx::query("UPDATE spans SET to_seq = $1 WHERE cluster = $2 AND instance = $3 AND to_seq = $4")
            .bind(seq)
            .bind(self.cluster())
            .bind(self.instance())
            .bind(seq - 1)
            .execute(&mut *tx)
            .await?;
        for ((digest, copy), from_seq) in before.iter().filter(|(key, _)| !present.contains(key)) {
            sqlx::query(
                "UPDATE spans SET to_seq = $1 WHERE cluster = $2 AND instance = $3 AND hash = $4 AND copy = $5 \
                 AND from_seq = $6",
            )
            .bind(seq - 1)
            .bind(self.cluster())
            .bind(self.instance())
            .bind(hash_of_digest(*digest))
            .bind(copy)
            .bind(from_seq)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }

    async fn put_fresh(
        &self,
        tx: &mut SqliteConnection,
        seq: i64,
        fresh: &[(String, i64, String)],
    ) -> Result<(), StoreError> {
        let mut bodies = QueryBuilder::<Sqlite>::new("INSERT INTO contents (cluster, instance, hash, body) ");
        bodies.push_values(fresh, |mut row, (hash, _, body)| {
            row.push_bind(self.cluster()).push_bind(self.instance()).push_bind(hash).push_bind(body);
        });
        bodies.push(" ON CONFLICT (cluster, instance, hash) DO NOTHING");
        bodies.build().execute(&mut *tx).await?;
        let mut spans = QueryBuilder::<Sqlite>::new(
            "INSERT INTO spans (cluster, instance, hash, copy, from_seq, to_seq) ",
        );
        spans.push_values(fresh, |mut row, (hash, copy, _)| {
            row.push_bind(self.cluster())
                .push_bind(self.instance())
                .push_bind(hash)
                .push_bind(copy)
                .push_bind(seq)
                .push_bind(seq);
        });
        spans.build().execute(&mut *tx).await?;
        Ok(())
    }

    pub(super) async fn put_changes(
        &self,
        tx: &mut SqliteConnection,
        run: RunId,
        tracked: &[Tracked],
    ) -> Result<(), StoreError> {
        let changed: BTreeMap<&Fingerprint, Status> = tracked
            .iter()
            .filter(|tracked| tracked.status != Status::Open)
            .map(|tracked| (&tracked.fingerprint, tracked.status))
            .collect();
        let changed: Vec<_> = changed.into_iter().collect();
        for chunk in changed.chunks(CHUNK) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO changes (cluster, instance, run, fingerprint, status) ",
            );
            insert.push_values(chunk, |mut row, (fingerprint, status)| {
                row.push_bind(self.cluster())
                    .push_bind(self.instance())
                    .push_bind(run.0)
                    .push_bind(fingerprint.as_str())
                    .push_bind(status_word(*status));
            });
            insert.build().execute(&mut *tx).await?;
        }
        Ok(())
    }

    pub(super) async fn put_known(
        &self,
        tx: &mut SqliteConnection,
        tracked: &[Tracked],
        findings: &[Finding],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut first: HashMap<&Fingerprint, &Finding> = HashMap::new();
        for finding in findings {
            first.entry(&finding.fingerprint).or_insert(finding);
        }
        let tracked: BTreeMap<&Fingerprint, Status> =
            tracked.iter().map(|tracked| (&tracked.fingerprint, tracked.status)).collect();

        let mut seen: Vec<(&Fingerprint, Status, &Finding)> = Vec::new();
        let mut by_status: BTreeMap<Status, Vec<&Fingerprint>> = BTreeMap::new();
        for (fingerprint, status) in tracked {
            match (status, first.get(fingerprint)) {
                (Status::New | Status::Regressed, Some(finding)) => {
                    seen.push((fingerprint, status, finding));
                }
                _ => by_status.entry(status).or_default().push(fingerprint),
            }
        }
        for chunk in seen.chunks(CHUNK) {
            let bodies = chunk
                .iter()
                .map(|(.., finding)| to_json("a finding", finding))
                .collect::<Result<Vec<_>, _>>()?;
            let mut upsert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO known (cluster, instance, fingerprint, constraint_kind, constraint_name, \
                 first_seen, last_seen, status, finding) ",
            );
            upsert.push_values(
                chunk.iter().zip(bodies),
                |mut row, ((fingerprint, status, finding), body)| {
                    row.push_bind(self.cluster())
                        .push_bind(self.instance())
                        .push_bind(fingerprint.as_str())
                        .push_bind(&finding.constraint.kind)
                        .push_bind(&finding.constraint.name)
                        .push_bind(millis(at))
                        .push_bind(millis(at))
                        .push_bind(status_word(*status))
                        .push_bind(body);
                },
            );
            upsert.push(
                " ON CONFLICT (cluster, instance, fingerprint) DO UPDATE SET last_seen = excluded.last_seen, \
                 status = excluded.status, finding = excluded.finding",
            );
            upsert.build().execute(&mut *tx).await?;
        }
        for (status, fingerprints) in by_status {
            for chunk in fingerprints.chunks(CHUNK) {
                let mut update = QueryBuilder::<Sqlite>::new("UPDATE known SET status = ");
                update.push_bind(status_word(status));
                if status != Status::Fixed {
                    update.push(", last_seen = ").push_bind(millis(at));
                }
                update.push(" WHERE cluster = ").push_bind(self.cluster());
                update.push(" AND instance = ").push_bind(self.instance());
                update.push(" AND fingerprint IN (");
                let mut list = update.separated(", ");
                for fingerprint in chunk {
                    list.push_bind(fingerprint.as_str());
                }
                update.push(")");
                update.build().execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
}
