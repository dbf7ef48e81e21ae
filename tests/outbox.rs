//! The outbox against real receivers, on a clock that stands still until it is moved.

use std::{path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use portcullis::{
    chance::Chance,
    cli::outbox::{self, Format, OutboxArgs, OutboxCommand},
    clock::{Clock, ManualClock},
    config::{Secret, SinkUrl},
    edge::{
        sink::{FileSink, Sink, WebhookSink},
        store::{DeliveryState, NewDelivery, Store},
    },
    pipeline::deliver::{Deliverer, MAX_ATTEMPTS, NamedSink, Summary},
};
use standardwebhooks::Webhook;
use tokio_util::sync::CancellationToken;

use crate::support::{
    git_server::{Behaviour, GitServer},
    receiver::{Answer, Received, Receiver, answer},
};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

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

fn verifies(received: &Received, key: &Webhook) -> bool {
    key.verify(&received.body, &received.headers).is_ok()
}

#[tokio::test]
async fn a_delivery_is_a_signed_cloud_event() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let key = bench.write("key", KEY);
    let sink = WebhookSink::new(given(&receiver.url("/hook"))).signed(Secret::File(key));
    let id = bench.enqueue("hook", r#"{"open":3}"#).await;
    let summary = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]).deliver_due().await.unwrap();
    assert_eq!(summary, Summary { delivered: 1, ..Summary::default() });
    assert_eq!(bench.state(id).await, DeliveryState::Delivered);

    let received = receiver.received();
    assert_eq!(received.len(), 1);
    let one = &received[0];
    assert_eq!(&one.body[..], br#"{"open":3}"#);
    assert_eq!(one.path, "/hook");
    assert!(verifies(one, &Webhook::new(KEY).unwrap()));
    let row = bench.store.delivery(id).await.unwrap().unwrap().row;
    assert_eq!(one.header("webhook-id"), row.webhook_id);
    assert_eq!(one.header("ce-id"), row.webhook_id);
    assert_eq!(one.header("ce-specversion"), "1.0");
    assert_eq!(one.header("ce-type"), "dev.portcullis.report.v1");
    assert_eq!(one.header("ce-source"), "/clusters/prod/instances/platform");
    assert_eq!(one.header("ce-time"), row.created.to_string());
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.header("user-agent"), concat!("portcullis/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn attempts_follow_the_schedule_and_end_as_a_dead_letter_that_can_be_replayed() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let id = bench.enqueue("hook", "{}").await;
    receiver.then(vec![answer(503).body("come back\nlater"); 10]);

    let mut waits = Vec::new();
    for _ in 1..MAX_ATTEMPTS {
        assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
        assert_eq!(deliverer.deliver_due().await.unwrap(), Summary::default(), "nothing is due before");
        waits.push(bench.wait(id).await);
        bench.to_next_attempt(id).await;
    }
    for (wait, planned) in waits.iter().zip([5, 300, 1800, 7200, 18_000, 36_000, 36_000, 36_000, 36_000]) {
        assert!((planned..=planned + planned / 5 + 1).contains(wait), "{waits:?}");
    }
    assert_eq!(deliverer.deliver_due().await.unwrap().dead, 1);
    assert_eq!(bench.state(id).await, DeliveryState::Dead);

    let attempts = bench.store.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 10);
    assert!(attempts.iter().all(|attempt| attempt.outcome == "failed" && attempt.status == Some(503)));
    assert!(attempts[0].error.ends_with("answered 503 Service Unavailable: come back later"));
    let received = receiver.received();
    assert_eq!(received.len(), 10);
    for other in &received[1..] {
        assert_eq!(other.body, received[0].body);
        assert_eq!(other.header("webhook-id"), received[0].header("webhook-id"));
    }
    assert_ne!(received[9].header("webhook-timestamp"), received[0].header("webhook-timestamp"));

    let shown = bench.cli(OutboxCommand::Show { id, body: false }).await.unwrap();
    assert!(shown.contains(&format!("portcullis outbox replay {id}")), "{shown}");
    bench.cli(OutboxCommand::Replay { id }).await.unwrap();
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(receiver.received()[10].header("webhook-id"), received[0].header("webhook-id"));
    assert_eq!(bench.state(id).await, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let id = bench.enqueue("hook", "{}").await;
    let date = (bench.clock.now() + SignedDuration::from_hours(2)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    receiver.then([
        answer(503).header("retry-after", &date.to_string()),
        answer(429).header("retry-after", "1200"),
    ]);
    deliverer.deliver_due().await.unwrap();
    assert!((7199..=7200).contains(&bench.wait(id).await));
    bench.to_next_attempt(id).await;
    deliverer.deliver_due().await.unwrap();
    assert_eq!(bench.wait(id).await, 1200, "longer than the five minutes of the schedule");
    bench.clock.advance_millis(1_199_000);
    assert_eq!(deliverer.deliver_due().await.unwrap(), Summary::default());
    bench.clock.advance_millis(1_000);
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
}

#[tokio::test]
async fn a_body_refused_for_good_is_dead_after_three_attempts() {
    for status in [400, 413, 422] {
        let bench = Bench::new().await;
        let receiver = Receiver::start().await;
        let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
        let id = bench.enqueue("hook", "{}").await;
        receiver.then(vec![answer(status); 3]);
        for _ in 0..3 {
            assert_eq!(bench.state(id).await, DeliveryState::Waiting);
            deliverer.deliver_due().await.unwrap();
            bench.to_next_attempt(id).await;
        }
        assert_eq!(bench.state(id).await, DeliveryState::Dead);
        assert_eq!(deliverer.deliver_due().await.unwrap(), Summary::default());
        assert_eq!(receiver.received().len(), 3);
    }
}

#[tokio::test]
async fn a_sink_that_is_gone_is_closed_until_it_is_enabled() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let (one, other) = (bench.enqueue("hook", "1").await, bench.enqueue("hook", "2").await);
    receiver.then([answer(410)]);
    assert_eq!(deliverer.deliver_due().await.unwrap(), Summary { closed: 1, ..Summary::default() });
    bench.clock.advance_millis(86_400_000);
    assert_eq!(deliverer.deliver_due().await.unwrap(), Summary::default());
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(bench.state(one).await, DeliveryState::Waiting);
    let list = bench.cli(OutboxCommand::List { state: None, limit: 9 }).await.unwrap();
    assert!(list.contains("portcullis outbox enable hook"), "{list}");

    let enable = OutboxCommand::Enable { sink: "hook".to_owned() };
    assert_eq!(bench.cli(enable).await.unwrap(), "sink hook is open again\n");
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 2);
    assert_eq!(bench.state(other).await, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_new_address_opens_a_closed_sink() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let address = bench.write("url", &receiver.url("/services/old"));
    let sink = WebhookSink::new(SinkUrl::Secret(Secret::File(address)));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    bench.enqueue("hook", "{}").await;
    receiver.then([answer(410)]);
    deliverer.deliver_due().await.unwrap();
    assert_eq!(deliverer.deliver_due().await.unwrap(), Summary::default());
    bench.write("url", &receiver.url("/services/new"));
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(receiver.received()[1].path, "/services/new");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let bench = Bench::new().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let id = bench.enqueue("hook", "{}").await;
    receiver.then([answer(307).header("location", &elsewhere.url("/token-of-somebody"))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    assert_eq!(elsewhere.received().len(), 0);
    let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
    assert!(error.contains("redirects are not followed"), "{error}");
    assert!(!error.contains("token-of-somebody"), "{error}");
}

#[tokio::test]
async fn while_keys_are_rotated_every_key_signs() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let key = bench.write("key", KEY);
    let sink = WebhookSink::new(given(&receiver.url("/hook"))).signed(Secret::File(key));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    let (old, new) = (Webhook::new(KEY).unwrap(), Webhook::from_bytes(b"a plain new key".to_vec()).unwrap());

    let steps = [(KEY.to_owned(), [true, false]), (format!("{KEY}\na plain new key\n"), [true, true])];
    for (number, (keys, expected)) in
        steps.into_iter().chain([("a plain new key".to_owned(), [false, true])]).enumerate()
    {
        bench.write("key", &keys);
        bench.enqueue("hook", "{}").await;
        assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
        let received = receiver.received();
        assert_eq!([verifies(&received[number], &old), verifies(&received[number], &new)], expected);
    }
}

#[tokio::test]
async fn nothing_is_sent_unsigned_where_a_key_is_missing() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    for keys in ["", "whsec_not base64!"] {
        let key = bench.write("key", keys);
        let sink = WebhookSink::new(given(&receiver.url("/hook"))).signed(Secret::File(key));
        let id = bench.enqueue("hook", "{}").await;
        let summary = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]).deliver_due().await.unwrap();
        assert_eq!(summary.retried, 1);
        let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
        assert!(error.contains("nothing is sent unsigned"), "{error}");
        assert!(!error.contains("not base64!"), "{error}");
        bench.store.drop_delivery(id, bench.clock.now()).await.unwrap();
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_certificate_is_verified_and_ca_file_adds_an_authority() {
    let bench = Bench::new().await;
    let taken = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let behaviour =
        Behaviour { tls: true, answer: Some(Box::new(|_| Some(taken.to_vec()))), ..Behaviour::default() };
    let server = GitServer::start(bench.folder.path(), behaviour);
    let mut sink = WebhookSink::new(given(&server.url("hook")));
    let id = bench.enqueue("hook", "{}").await;
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink.clone()))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    let error = bench.store.delivery(id).await.unwrap().unwrap().row.last_error;
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(server.asked(), [], "nothing is sent to a stranger");

    bench.to_next_attempt(id).await;
    sink.ca_file = Some(bench.write("ca.pem", server.authority()));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn one_slow_sink_holds_no_other() {
    let bench = Bench::new().await;
    let (slow, fast) = (Receiver::stuck().await, Receiver::start().await);
    let first = bench.enqueue("slow", "{}").await;
    let second = bench.enqueue("fast", "{}").await;
    let deliverer = bench.deliverer(vec![webhook("slow", &slow), webhook("fast", &fast)]);
    let stop = CancellationToken::new();
    let running = {
        let (deliverer, stop) = (deliverer.clone(), stop.clone());
        tokio::spawn(async move { deliverer.run(stop).await })
    };
    slow.arrival().await;
    fast.arrival().await;
    let third = bench.enqueue("fast", "{}").await;
    fast.arrival().await;
    assert_eq!(bench.state(first).await, DeliveryState::Delivering);

    slow.release();
    stop.cancel();
    running.await.unwrap();
    for id in [first, second, third] {
        assert_eq!(bench.state(id).await, DeliveryState::Delivered, "{id}");
    }
}

#[tokio::test]
async fn the_worker_wakes_when_the_next_attempt_is_due() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.then([answer(500)]);
    let deliverer =
        bench.deliverer(vec![webhook("hook", &receiver)]).polling(SignedDuration::from_hours(100));
    let id = bench.enqueue("hook", "{}").await;
    let stop = CancellationToken::new();
    let running = {
        let (deliverer, stop) = (deliverer.clone(), stop.clone());
        tokio::spawn(async move { deliverer.run(stop).await })
    };
    receiver.arrival().await;
    let soon = bench.clock.now() + SignedDuration::from_secs(7);
    while bench.clock.next_wake().is_none_or(|wake| wake > soon) {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.received().len(), 1);
    bench.clock.set(soon);
    receiver.arrival().await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_crash_between_claim_and_answer_repeats_the_delivery_under_its_identity() {
    let mut bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let id = bench.enqueue("hook", "{}").await;
    let lease = SignedDuration::from_mins(2);
    let claimed = bench.store.claim("hook", "gone", bench.clock.now(), lease).await.unwrap().unwrap();
    bench.reopen().await;

    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    assert_eq!(deliverer.deliver_due().await.unwrap(), Summary::default(), "the lease still runs");
    bench.clock.advance_millis(120_000);
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(bench.state(id).await, DeliveryState::Delivered);
    assert_eq!(receiver.received()[0].header("webhook-id"), claimed.row.webhook_id);
}

#[tokio::test]
async fn claims_left_behind_are_given_back_at_the_start() {
    let mut bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let id = bench.enqueue("hook", "{}").await;
    let lease = SignedDuration::from_mins(2);
    bench.store.claim("hook", "gone", bench.clock.now(), lease).await.unwrap().unwrap();
    bench.reopen().await;

    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let stop = CancellationToken::new();
    let running = {
        let stop = stop.clone();
        tokio::spawn(async move { deliverer.run(stop).await })
    };
    receiver.arrival().await;
    stop.cancel();
    running.await.unwrap();
    let row = bench.store.delivery(id).await.unwrap().unwrap().row;
    assert_eq!((row.state, row.attempts), (DeliveryState::Delivered, 1), "the lost attempt does not count");
    let outcomes: Vec<_> =
        bench.store.attempts(id).await.unwrap().into_iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, ["interrupted", "delivered"]);
}

#[tokio::test]
async fn two_workers_never_claim_the_same_delivery() {
    let bench = Bench::new().await;
    let other = open(bench.folder.path()).await;
    for _ in 0..20 {
        bench.enqueue("hook", "{}").await;
    }
    let now = bench.clock.now();
    let take = |store: Store, worker: &'static str| async move {
        let mut ids = Vec::new();
        while let Some(delivery) =
            store.claim("hook", worker, now, SignedDuration::from_mins(2)).await.unwrap()
        {
            ids.push(delivery.row.id);
        }
        ids
    };
    let (one, two) =
        tokio::join!(tokio::spawn(take(bench.store.clone(), "one")), tokio::spawn(take(other, "two")));
    let mut all: Vec<_> = one.unwrap().into_iter().chain(two.unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_removed_sink_should_have_had_is_orphaned_and_comes_back_with_it() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let id = bench.enqueue("hook", "{}").await;
    let summary = bench.deliverer(Vec::new()).deliver_due().await.unwrap();
    assert_eq!(summary, Summary { orphaned: 1, ..Summary::default() });
    assert_eq!(bench.state(id).await, DeliveryState::Orphaned);
    let list = bench.cli(OutboxCommand::List { state: Some(DeliveryState::Orphaned), limit: 9 }).await;
    assert!(list.unwrap().contains("orphaned"));
    bench.clock.advance_millis(86_400_000);
    let summary = bench.deliverer(vec![webhook("hook", &receiver)]).deliver_due().await.unwrap();
    assert_eq!(summary, Summary { delivered: 1, ..Summary::default() });
}

#[tokio::test]
async fn what_is_not_delivered_in_time_expires() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let id = bench.enqueue("hook", "{}").await;
    bench.clock.advance_millis(7 * 86_400_000);
    let summary = bench.deliverer(vec![webhook("hook", &receiver)]).deliver_due().await.unwrap();
    assert_eq!(summary, Summary { expired: 1, ..Summary::default() });
    assert_eq!(bench.state(id).await, DeliveryState::Expired);
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn no_secret_reaches_the_database() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let secrets = ["T0PSECRETPATH", "q-token-777", "hunter2hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let url = receiver
        .url("/services/T0PSECRETPATH?key=q-token-777")
        .replace("http://", "http://me:hunter2hunter2@");
    let address = bench.write("url", &url);
    let key = bench.write("key", KEY);
    let sink = WebhookSink::new(SinkUrl::Secret(Secret::File(address.clone()))).signed(Secret::File(key));
    let deliverer = bench.deliverer(vec![named("hook", Sink::Webhook(sink))]);
    let id = bench.enqueue("hook", "{}").await;
    let echo = secrets.join(" and ");
    receiver.then([answer(500).body(&echo), answer(400).body(&echo), answer(410).body(&echo)]);
    for _ in 0..2 {
        deliverer.deliver_due().await.unwrap();
        bench.to_next_attempt(id).await;
    }
    // Nobody listens there: the error is the client's own.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.write("url", &url.replace(&receiver.url("").replace("http://", ""), &closed.to_string()));
    assert_eq!(deliverer.deliver_due().await.unwrap().retried, 1);
    bench.to_next_attempt(id).await;
    bench.write("url", &url);
    assert_eq!(deliverer.deliver_due().await.unwrap().closed, 1);

    let attempts = bench.store.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 4);
    assert!(attempts[2].error.starts_with("cannot reach http://127.0.0.1:"), "{}", attempts[2].error);
    bench.store.close().await;
    let mut scanned = 0;
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("portcullis.db") {
            let bytes = std::fs::read(&path).unwrap();
            scanned += bytes.len();
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {}", path.display());
            }
        }
    }
    assert!(scanned > 0);
}

#[tokio::test]
async fn a_file_sink_writes_each_delivery_once() {
    let bench = Bench::new().await;
    let folder = bench.folder.path().join("reports");
    let deliverer = bench.deliverer(vec![named("files", Sink::File(FileSink { path: folder.clone() }))]);
    let first = bench.enqueue("files", r#"{"n":1}"#).await;
    bench.enqueue("files", r#"{"n":2}"#).await;
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 2);
    bench.store.replay(first, bench.clock.now()).await.unwrap();
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    let mut bodies: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.starts_with("weekly-") && name.ends_with(".json"), "{name}");
            std::fs::read_to_string(path).unwrap()
        })
        .collect();
    bodies.sort();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":2}"#]);
}

#[tokio::test]
async fn a_person_can_drop_what_waits_and_only_that() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let dropped = bench.enqueue("hook", "{}").await;
    bench.cli(OutboxCommand::Drop { id: dropped }).await.unwrap();
    let delivered = bench.enqueue("hook", "{}").await;
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(bench.state(dropped).await, DeliveryState::Dropped);
    let error = bench.cli(OutboxCommand::Drop { id: delivered }).await.unwrap_err();
    assert!(error.message.starts_with(&format!("delivery {delivered} is delivered;")), "{error}");
    let error = bench.cli(OutboxCommand::Replay { id: 99 }).await.unwrap_err();
    assert!(error.message.contains("no delivery 99"), "{error}");
}

#[tokio::test]
async fn tables_fit_a_terminal_and_are_whole_elsewhere() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let long: Answer = answer(500).body(&"no such thing ".repeat(12));
    receiver.then([long]);
    bench.enqueue("hook", "{}").await;
    bench.deliverer(vec![webhook("hook", &receiver)]).deliver_due().await.unwrap();
    let args = |output| OutboxArgs { command: OutboxCommand::List { state: None, limit: 9 }, output };
    let text = async |output, terminal| {
        outbox::answer(&args(output), &bench.store, bench.clock.now(), terminal).await.unwrap()
    };
    let wide = text(Format::Text, false).await;
    assert_eq!(wide.lines().count(), 2, "{wide}");
    assert!(wide.contains(&"no such thing ".repeat(12).trim()), "{wide}");
    let narrow = text(Format::Text, true).await;
    assert!(narrow.lines().all(|line| line.chars().count() <= 100), "{narrow}");
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json, false).await).unwrap();
    assert_eq!(json[0]["state"], "waiting");
    assert_eq!(json[0]["attempts"], 1);
}
