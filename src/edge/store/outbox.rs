//! The outbox: putting deliveries in, looking at them, and what a person may do about them.

use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, SqliteConnection};

use super::{
    Attempt, Delivery, DeliveryRow, DeliveryState, NewDelivery, OutboxDepth, Store, StoreError, millis,
    timestamp, uncount,
};

/// How long a delivery is tried before it expires, where nothing else is said.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(FromRow)]
struct Columns {
    id: i64,
    sink: String,
    webhook_id: String,
    event_type: String,
    source: String,
    content_type: String,
    file_name: String,
    report: Option<String>,
    created: i64,
    expires: i64,
    state: String,
    attempts: i64,
    rejections: i64,
    next_at: i64,
    last_error: String,
    ended: Option<i64>,
}

impl Columns {
    fn into_row(self) -> Result<DeliveryRow, StoreError> {
        let state = DeliveryState::parse(&self.state)
            .ok_or(StoreError::Word { what: "state of a delivery", found: self.state })?;
        Ok(DeliveryRow {
            id: self.id,
            sink: self.sink,
            webhook_id: self.webhook_id,
            event_type: self.event_type,
            source: self.source,
            content_type: self.content_type,
            file_name: self.file_name,
            report: self.report,
            created: timestamp(self.created),
            expires: timestamp(self.expires),
            state,
            attempts: uncount(self.attempts),
            rejections: uncount(self.rejections),
            next_at: timestamp(self.next_at),
            last_error: self.last_error,
            ended: self.ended.map(timestamp),
        })
    }
}

impl Store {
    /// Puts deliveries into the outbox, all or none; one whose `webhook_id` is known is left as it is.
    pub async fn enqueue(&self, deliveries: &[NewDelivery], at: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.put_deliveries(&mut tx, deliveries, None, at).await?;
        tx.commit().await?;
        self.wake_outbox();
        Ok(())
    }

    /// The newest deliveries, newest first, in one state where given.
    pub async fn deliveries(
        &self,
        state: Option<DeliveryState>,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT id, sink, webhook_id, event_type, source, content_type, file_name, report, created, \
             expires, state, attempts, rejections, next_at, last_error, ended FROM deliveries \
             WHERE cluster = $1 AND instance = $2 AND ($3 = '' OR state = $3) ORDER BY id DESC LIMIT $4",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(state.map_or("", DeliveryState::as_str))
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Columns::into_row).collect()
    }

    /// One delivery with its body.
    pub async fn delivery(&self, id: i64) -> Result<Option<Delivery>, StoreError> {
        let row: Option<Columns> = sqlx::query_as(
            "SELECT id, sink, webhook_id, event_type, source, content_type, file_name, report, created, \
             expires, state, attempts, rejections, next_at, last_error, ended FROM deliveries \
             WHERE cluster = $1 AND instance = $2 AND id = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .fetch_optional(self.reader())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let body: String = sqlx::query_scalar(
            "SELECT contents.body FROM deliveries JOIN contents ON contents.cluster = deliveries.cluster \
             AND contents.instance = deliveries.instance AND contents.hash = deliveries.body_hash \
             WHERE deliveries.cluster = $1 AND deliveries.instance = $2 AND deliveries.id = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .fetch_one(self.reader())
        .await?;
        Ok(Some(Delivery { row: row.into_row()?, body }))
    }

    /// The attempts at a delivery, oldest first.
    pub async fn attempts(&self, delivery: i64) -> Result<Vec<Attempt>, StoreError> {
        Ok(sqlx::query_as(
            "SELECT at, outcome, status, error, millis FROM attempts \
             WHERE cluster = $1 AND instance = $2 AND delivery = $3 ORDER BY id",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(delivery)
        .fetch_all(self.reader())
        .await?)
    }

    /// How much is in the outbox.
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT state, COUNT(*), MIN(created), MAX(id) FROM deliveries \
             WHERE cluster = $1 AND instance = $2 GROUP BY state",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?;
        let mut depth = OutboxDepth::default();
        for (state, number, oldest, newest) in rows {
            let number = uncount(number);
            match DeliveryState::parse(&state) {
                Some(DeliveryState::Waiting | DeliveryState::Delivering) => {
                    depth.waiting += number;
                    let oldest = timestamp(oldest);
                    depth.oldest_waiting =
                        Some(depth.oldest_waiting.map_or(oldest, |before| before.min(oldest)));
                }
                Some(DeliveryState::Delivered) => depth.delivered = number,
                Some(DeliveryState::Dead) => {
                    depth.dead = number;
                    depth.newest_dead = Some(newest);
                }
                Some(DeliveryState::Orphaned) => depth.orphaned = number,
                Some(DeliveryState::Dropped) => depth.dropped = number,
                Some(DeliveryState::Expired) => depth.expired = number,
                None => return Err(StoreError::Word { what: "state of a delivery", found: state }),
            }
        }
        Ok(depth)
    }

    /// Sends a delivery again from the start, with the body and the identity it had.
    ///
    /// # Errors
    ///
    /// `Missing`; `NotNow` where it waits already or is on its way.
    pub async fn replay(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        let expires = now.checked_add(MAX_AGE).unwrap_or(Timestamp::MAX);
        let mut tx = self.write().await?;
        let updated = sqlx::query(
            "UPDATE deliveries SET state = 'waiting', attempts = 0, rejections = 0, next_at = $1, \
             expires = $2, claimed_by = NULL, lease_until = NULL, ended = NULL \
             WHERE cluster = $3 AND instance = $4 AND id = $5 AND state NOT IN ('waiting', 'delivering')",
        )
        .bind(millis(now))
        .bind(millis(expires))
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(self.refusal(&mut tx, id, "it is delivered without being asked again").await?);
        }
        tx.commit().await?;
        self.wake_outbox();
        Ok(())
    }

    /// Gives a delivery up.
    ///
    /// # Errors
    ///
    /// `Missing`; `NotNow` where it is on its way or has come to an end already.
    pub async fn drop_delivery(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let updated = sqlx::query(
            "UPDATE deliveries SET state = 'dropped', ended = $1, claimed_by = NULL, lease_until = NULL \
             WHERE cluster = $2 AND instance = $3 AND id = $4 AND (state IN ('waiting', 'dead', 'orphaned') \
             OR (state = 'delivering' AND lease_until <= $1))",
        )
        .bind(millis(now))
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() == 0 {
            let advice = "only what waits, is dead or is orphaned can be dropped";
            return Err(self.refusal(&mut tx, id, advice).await?);
        }
        tx.commit().await?;
        Ok(())
    }

    async fn refusal(
        &self,
        tx: &mut SqliteConnection,
        id: i64,
        advice: &'static str,
    ) -> Result<StoreError, StoreError> {
        let state: Option<String> = sqlx::query_scalar(
            "SELECT state FROM deliveries WHERE cluster = $1 AND instance = $2 AND id = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(id)
        .fetch_optional(tx)
        .await?;
        Ok(match state.as_deref().map(DeliveryState::parse) {
            Some(Some(state)) => StoreError::NotNow { id, state: state.as_str(), advice },
            _ => StoreError::Missing { what: format!("delivery {id}; portcullis outbox list shows them") },
        })
    }

    pub(super) async fn put_deliveries(
        &self,
        tx: &mut SqliteConnection,
        deliveries: &[NewDelivery],
        report: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for new in deliveries {
            let expires = new.expires.unwrap_or_else(|| at.checked_add(MAX_AGE).unwrap_or(Timestamp::MAX));
            let body_hash = self.put_body(&mut *tx, &new.body).await?;
            let id = self.next_number(&mut *tx, "delivery").await?;
            sqlx::query(
                "INSERT INTO deliveries (cluster, instance, id, sink, webhook_id, event_type, source, \
                 content_type, file_name, body_hash, report, created, expires, state, attempts, rejections, \
                 next_at, last_error) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'waiting', 0, 0, $12, '') \
                 ON CONFLICT (cluster, instance, webhook_id) DO NOTHING",
            )
            .bind(self.cluster())
            .bind(self.instance())
            .bind(id)
            .bind(&new.sink)
            .bind(&new.webhook_id)
            .bind(&new.event_type)
            .bind(&new.source)
            .bind(&new.content_type)
            .bind(&new.file_name)
            .bind(body_hash)
            .bind(report)
            .bind(millis(at))
            .bind(millis(expires))
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}
