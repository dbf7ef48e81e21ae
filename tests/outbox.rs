//! The outbox against real receivers, on a clock that stands still until it is moved.

mod attempts;
mod people;
mod sinks;
mod worker;

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use portcullis::{
    chance::Chance,
    cli::outbox::{self, Format, OutboxArgs, OutboxCommand},
    clock::{Clock, ManualClock},
    config::SinkUrl,
    edge::{
        sink::{Sink, WebhookSink},
        store::{DeliveryState, NewDelivery, Store},
    },
    pipeline::deliver::{Deliverer, NamedSink},
};

use crate::support::receiver::Receiver;

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    chance: Arc<Chance>,
    store: Store,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        Self {
            folder,
            // The library that verifies signatures looks at the system's clock.
            clock: Arc::new(ManualClock::new(Timestamp::now())),
            chance: Arc::new(Chance::from_seed(7)),
            store,
        }
    }

    async fn reopen(&mut self) {
        self.store = open(self.folder.path()).await;
    }

    fn deliverer(&self, sinks: Vec<NamedSink>) -> Deliverer {
        Deliverer::new(self.store.clone(), sinks, self.clock.clone(), Arc::clone(&self.chance))
    }

    async fn enqueue(&self, sink: &str, body: &str) -> i64 {
        let new = NewDelivery::new(
            &self.store,
            &self.chance,
            sink,
            "dev.portcullis.report.v1",
            "application/json",
            body,
        )
        .named("weekly");
        self.store.enqueue(&[new], self.clock.now()).await.unwrap();
        self.store.deliveries(None, 1).await.unwrap()[0].id
    }

    async fn state(&self, id: i64) -> DeliveryState {
        self.store.delivery(id).await.unwrap().unwrap().row.state
    }

    /// Seconds until the next attempt.
    async fn wait(&self, id: i64) -> i64 {
        let next = self.store.delivery(id).await.unwrap().unwrap().row.next_at;
        next.as_second() - self.clock.now().as_second()
    }

    async fn to_next_attempt(&self, id: i64) {
        self.clock.set(self.store.delivery(id).await.unwrap().unwrap().row.next_at);
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn cli(&self, command: OutboxCommand) -> Result<String, portcullis::cli::CliError> {
        let args = OutboxArgs { command, output: Format::Text };
        outbox::answer(&args, &self.store, self.clock.now(), false).await
    }
}

async fn open(folder: &Path) -> Store {
    let url = format!("sqlite://{}/portcullis.db", folder.display());
    Store::open(&url, "prod", "platform").await.unwrap()
}

fn given(url: &str) -> SinkUrl {
    SinkUrl::Given(url.parse().unwrap())
}

fn webhook(name: &str, receiver: &Receiver) -> NamedSink {
    named(name, Sink::Webhook(WebhookSink::new(given(&receiver.url("/hook")))))
}

fn named(name: &str, sink: Sink) -> NamedSink {
    NamedSink { name: name.to_owned(), sink }
}
