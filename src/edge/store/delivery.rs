//! Deliveries: what is put into the outbox, and how it is read back.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::FromRow;

use super::{Store, timestamp};
use crate::chance::Chance;

/// Something to be delivered. Neither its body nor its identity ever change again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The sink's name in the configuration.
    pub sink: String,
    /// Identity for the receiver: the header `webhook-id` and the CloudEvents `id`.
    pub webhook_id: String,
    /// The CloudEvents `type`, for example `dev.portcullis.report.v1`.
    pub event_type: String,
    /// The CloudEvents `source`, a URI reference, for example `/clusters/prod-eu-1/instances/platform`.
    pub source: String,
    /// The body's media type, for example `application/json`.
    pub content_type: String,
    /// The stem of the file a file sink writes, for example `weekly-compliance`.
    pub file_name: String,
    /// The body.
    pub body: String,
    /// When it is not worth delivering any more; 7 days after it was put into the outbox by default.
    pub expires: Option<Timestamp>,
}

impl NewDelivery {
    /// A delivery with an identity of its own, which expires after 7 days.
    pub fn new(
        store: &Store,
        chance: &Chance,
        sink: impl Into<String>,
        event_type: impl Into<String>,
        content_type: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        let event_type = event_type.into();
        Self {
            sink: sink.into(),
            webhook_id: format!("msg_{}", chance.uuid()),
            source: format!("/clusters/{}/instances/{}", store.cluster(), store.instance()),
            content_type: content_type.into(),
            file_name: event_type.clone(),
            event_type,
            body: body.into(),
            expires: None,
        }
    }

    /// The same under another file name.
    #[must_use]
    pub fn named(mut self, stem: impl Into<String>) -> Self {
        self.file_name = stem.into();
        self
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It waits for its next attempt.
    Waiting,
    /// A worker has claimed it.
    Delivering,
    /// The receiver has taken it.
    Delivered,
    /// Given up: every attempt failed.
    Dead,
    /// Its sink is not in the configuration any more.
    Orphaned,
    /// A person gave it up.
    Dropped,
    /// It was not delivered in time.
    Expired,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Delivering,
        Self::Delivered,
        Self::Dead,
        Self::Orphaned,
        Self::Dropped,
        Self::Expired,
    ];

    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Orphaned => "orphaned",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
        }
    }

    /// The state that word means.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A delivery without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRow {
    /// Its number, by which people name it.
    pub id: i64,
    /// The sink's name.
    pub sink: String,
    /// Identity for the receiver.
    pub webhook_id: String,
    /// The CloudEvents `type`.
    pub event_type: String,
    /// The CloudEvents `source`.
    pub source: String,
    /// The body's media type.
    pub content_type: String,
    /// The stem of the file a file sink writes.
    pub file_name: String,
    /// The report it carries, by the report's id.
    pub report: Option<String>,
    /// When it was put into the outbox.
    pub created: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far, one under way included; starts anew with `replay`.
    pub attempts: u64,
    /// How many of them the receiver refused for good (400, 413, 422).
    pub rejections: u64,
    /// When the next attempt is due, where it waits.
    pub next_at: Timestamp,
    /// What the last failure was, else empty.
    pub last_error: String,
    /// When it came to its end, where it has.
    pub ended: Option<Timestamp>,
}

/// A delivery with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Everything else.
    pub row: DeliveryRow,
    /// The body.
    pub body: String,
}

/// One attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Attempt {
    /// When it began.
    #[sqlx(try_from = "i64")]
    pub at: AttemptTime,
    /// `delivered`, `failed` or `interrupted`.
    pub outcome: String,
    /// The HTTP status, where there was one.
    pub status: Option<i64>,
    /// Why it failed, else empty.
    pub error: String,
    /// How long it took.
    pub millis: i64,
}

/// The beginning of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AttemptTime(pub Timestamp);

impl From<i64> for AttemptTime {
    fn from(millis: i64) -> Self {
        Self(timestamp(millis))
    }
}

/// How much is in the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxDepth {
    /// Waiting for an attempt, or in the middle of one.
    pub waiting: u64,
    /// Delivered.
    pub delivered: u64,
    /// Given up.
    pub dead: u64,
    /// Without a sink.
    pub orphaned: u64,
    /// Given up by a person.
    pub dropped: u64,
    /// Not delivered in time.
    pub expired: u64,
    /// When the oldest that still waits was put in.
    pub oldest_waiting: Option<Timestamp>,
    /// The newest dead letter.
    pub newest_dead: Option<i64>,
}
