//! Events that are told at once: who hears of what, and in which words.

use jiff::Timestamp;
use portcullis_core::{
    identity::{Revision, Stage},
    plan::Write,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    chance::Chance,
    config::{Notification, NotificationEvent},
    edge::store::{NewDelivery, Store},
};

/// Something worth telling; the body of the delivery is its JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Version of this shape.
    pub schema: &'static str,
    /// What happened.
    pub event: NotificationEvent,
    /// One sentence for a person.
    pub summary: String,
    /// When.
    pub at: Timestamp,
    /// The commit, where there is one.
    pub revision: Option<Revision>,
    /// The object, `Kind/name`, where there is one.
    pub object: Option<String>,
    /// What belongs to this kind of event.
    pub details: Value,
}

impl Event {
    /// An event without an object.
    pub fn new(event: NotificationEvent, summary: impl Into<String>, at: Timestamp) -> Self {
        Self {
            schema: "portcullis.dev/event/v1alpha1",
            event,
            summary: summary.into(),
            at,
            revision: None,
            object: None,
            details: Value::Null,
        }
    }

    /// A constraint reached its next stage.
    pub fn promotion(write: &Write, from: Stage, to: Stage, revision: &Revision, at: Timestamp) -> Self {
        Self::moved(NotificationEvent::Promotion, "promoted", write, (from, to), revision, at)
    }

    /// A constraint was put back.
    pub fn demotion(write: &Write, from: Stage, to: Stage, revision: &Revision, at: Timestamp) -> Self {
        Self::moved(NotificationEvent::Demotion, "put back", write, (from, to), revision, at)
    }

    fn moved(
        event: NotificationEvent,
        word: &str,
        write: &Write,
        (from, to): (Stage, Stage),
        revision: &Revision,
        at: Timestamp,
    ) -> Self {
        Self {
            revision: Some(revision.clone()),
            object: Some(write.key.to_string()),
            details: json!({"from": from, "to": to, "reason": write.reason, "hash": write.record.hash}),
            ..Self::new(event, format!("{} {word} from {from} to {to}: {}", write.key, write.reason), at)
        }
    }
}

/// Who hears of what.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    rules: Vec<Notification>,
}

impl Notifier {
    /// The rules of the configuration.
    pub fn new(rules: Vec<Notification>) -> Self {
        Self { rules }
    }

    /// The deliveries of an event: one for each sink that hears of it, however many rules name it.
    pub fn deliveries(&self, event: &Event, store: &Store, chance: &Chance) -> Vec<NewDelivery> {
        let mut sinks: Vec<&String> = self
            .rules
            .iter()
            .filter(|rule| rule.on.contains(&event.event))
            .flat_map(|rule| &rule.to)
            .collect();
        sinks.sort();
        sinks.dedup();
        let mut body = json!(event);
        if let Some(body) = body.as_object_mut() {
            body.insert("cluster".to_owned(), json!(store.cluster()));
            body.insert("instance".to_owned(), json!(store.instance()));
        }
        let word = json!(event.event).as_str().unwrap_or("event").to_lowercase();
        sinks
            .into_iter()
            .map(|sink| {
                NewDelivery::new(
                    store,
                    chance,
                    sink,
                    format!("dev.portcullis.{word}.v1"),
                    "application/json",
                    body.to_string(),
                )
                .named(word.clone())
            })
            .collect()
    }
}
