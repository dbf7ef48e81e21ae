//! Events that are told at once: who hears of what, and in which words.

use jiff::Timestamp;
use portcullis_core::{
    identity::{Revision, Stage},
    plan::ObjectKey,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    chance::Chance,
    config::{Notification, NotificationEvent},
    edge::store::{Decision, NewDelivery, Store},
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

    /// What a decision that was carried out has to tell: a constraint moved up or down, else nothing.
    pub fn of_decision(decision: &Decision, key: &ObjectKey, at: Timestamp) -> Option<Self> {
        let stage = |text: &Option<String>| text.as_deref().and_then(Stage::parse);
        let (from, to) = (stage(&decision.from)?, stage(&decision.to)?);
        let (change, reason) = decision.reason.split_once(": ")?;
        let (event, word) = match change {
            "promoted" => (NotificationEvent::Promotion, "promoted"),
            // Whatever else it is, a new version or a lower target: it is enforced less.
            _ if to < from => (NotificationEvent::Demotion, "put back"),
            _ => return None,
        };
        Some(Self {
            revision: decision.revision.clone(),
            object: Some(key.to_string()),
            details: json!({"from": from, "to": to, "reason": reason, "hash": decision.hash}),
            ..Self::new(event, format!("{key} {word} from {from} to {to}: {reason}"), at)
        })
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
