//! When deliveries are tried, given up, and set aside.

use jiff::SignedDuration;
use portcullis::{
    cli::outbox::OutboxCommand,
    clock::Clock as _,
    config::{Secret, SinkUrl},
    edge::{
        sink::{Sink, WebhookSink},
        store::DeliveryState,
    },
    pipeline::deliver::{MAX_ATTEMPTS, Summary},
};

use super::{Bench, named, webhook};
use crate::support::receiver::{Receiver, answer};

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
    let got = receiver.received();
    assert_eq!(got.len(), 10);
    for other in &got[1..] {
        assert_eq!(other.body, got[0].body);
        assert_eq!(other.header("webhook-id"), got[0].header("webhook-id"));
    }
    assert_ne!(got[9].header("webhook-timestamp"), got[0].header("webhook-timestamp"));

    let shown = bench.cli(OutboxCommand::Show { id, body: false }).await.unwrap();
    assert!(shown.contains(&format!("portcullis outbox replay {id}")), "{shown}");
    bench.cli(OutboxCommand::Replay { id }).await.unwrap();
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(receiver.received()[10].header("webhook-id"), got[0].header("webhook-id"));
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
