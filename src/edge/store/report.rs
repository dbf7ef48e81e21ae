//! Reports, the slots of their schedules, and their way into the outbox.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{NewDelivery, RunId, Store, StoreError, millis, timestamp};

/// One rendering of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBody {
    /// `html`, `json`, `markdown`, …
    pub format: String,
    /// The whole text.
    pub body: String,
}

/// A report with all its renderings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRecord {
    /// Identity, made by the caller.
    pub id: String,
    /// The report's name in the configuration.
    pub name: String,
    /// The run it is about.
    pub run: Option<RunId>,
    /// When it was made.
    pub created: Timestamp,
    /// Its renderings, one a format.
    pub bodies: Vec<ReportBody>,
}

/// A report of the past, without its renderings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportRow {
    /// Identity.
    pub id: String,
    /// The report's name in the configuration.
    pub name: String,
    /// The run it is about.
    pub run: Option<RunId>,
    /// When it was made.
    pub created: Timestamp,
}

impl Store {
    /// Commits a report, its deliveries and, where its schedule asked for it, the slot it serves: all or
    /// nothing. A report whose id is known already is left as it is, and so are its deliveries.
    pub async fn put_report(
        &self,
        report: &ReportRecord,
        deliveries: &[NewDelivery],
        slot: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let inserted = sqlx::query(
            "INSERT INTO reports (cluster, instance, id, name, run, created) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (cluster, instance, id) DO NOTHING",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(&report.id)
        .bind(&report.name)
        .bind(report.run.map(|run| run.0))
        .bind(millis(report.created))
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() > 0 {
            for body in &report.bodies {
                let hash = self.put_body(&mut tx, &body.body).await?;
                sqlx::query(
                    "INSERT INTO report_bodies (cluster, instance, report, format, body_hash) \
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(self.cluster())
                .bind(self.instance())
                .bind(&report.id)
                .bind(&body.format)
                .bind(hash)
                .execute(&mut *tx)
                .await?;
            }
            self.put_deliveries(&mut tx, deliveries, Some(&report.id), report.created).await?;
        }
        if let Some(slot) = slot {
            self.put_slot(&mut tx, &report.name, slot).await?;
        }
        tx.commit().await?;
        self.wake_outbox();
        Ok(())
    }

    /// The newest slot of a scheduled report that was served, `None` before the first.
    pub async fn last_slot(&self, report: &str) -> Result<Option<Timestamp>, StoreError> {
        let slot: Option<i64> =
            sqlx::query_scalar("SELECT slot FROM slots WHERE cluster = $1 AND instance = $2 AND name = $3")
                .bind(self.cluster())
                .bind(self.instance())
                .bind(report)
                .fetch_optional(self.reader())
                .await?;
        Ok(slot.map(timestamp))
    }

    /// Records a slot without a report: the first start counts from here.
    pub async fn set_slot(&self, report: &str, slot: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.put_slot(&mut tx, report, slot).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest reports, newest first, of one name where given.
    pub async fn reports(&self, name: Option<&str>, limit: u32) -> Result<Vec<ReportRow>, StoreError> {
        let rows: Vec<(String, String, Option<i64>, i64)> = sqlx::query_as(
            "SELECT id, name, run, created FROM reports WHERE cluster = $1 AND instance = $2 \
             AND ($3 = '' OR name = $3) ORDER BY created DESC, id DESC LIMIT $4",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(name.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        Ok(rows
            .into_iter()
            .map(|(id, name, run, created)| ReportRow {
                id,
                name,
                run: run.map(RunId),
                created: timestamp(created),
            })
            .collect())
    }

    /// The renderings of a report, by format.
    pub async fn report_bodies(&self, id: &str) -> Result<Vec<ReportBody>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT report_bodies.format, contents.body FROM report_bodies \
             JOIN contents ON contents.cluster = report_bodies.cluster \
             AND contents.instance = report_bodies.instance AND contents.hash = report_bodies.body_hash \
             WHERE report_bodies.cluster = $1 AND report_bodies.instance = $2 AND report_bodies.report = $3 \
             ORDER BY report_bodies.format",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .fetch_all(self.reader())
        .await?;
        Ok(rows.into_iter().map(|(format, body)| ReportBody { format, body }).collect())
    }

    /// A slot never goes back: a report made for an earlier one does not make later ones due again.
    async fn put_slot(
        &self,
        tx: &mut SqliteConnection,
        report: &str,
        slot: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO slots (cluster, instance, name, slot) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (cluster, instance, name) DO UPDATE SET slot = excluded.slot \
             WHERE excluded.slot > slots.slot",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(report)
        .bind(millis(slot))
        .execute(tx)
        .await?;
        Ok(())
    }
}
