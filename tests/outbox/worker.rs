//! The worker: sinks side by side, crashes, the end.

use jiff::SignedDuration;
use portcullis::{
    clock::Clock as _,
    edge::store::{DeliveryState, Store},
    pipeline::deliver::Summary,
};
use tokio_util::sync::CancellationToken;

use super::{Bench, open, webhook};
use crate::support::receiver::{Receiver, answer};

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
async fn a_worker_that_must_stop_gives_back_what_it_cannot_finish() {
    let bench = Bench::new().await;
    let receiver = Receiver::stuck().await;
    let id = bench.enqueue("hook", "{}").await;
    let deliverer = bench
        .deliverer(vec![webhook("hook", &receiver)])
        .finishing_within(std::time::Duration::from_millis(50));
    let stop = CancellationToken::new();
    let running = {
        let stop = stop.clone();
        tokio::spawn(async move { deliverer.run(stop).await })
    };
    receiver.arrival().await;
    stop.cancel();
    running.await.unwrap();
    let row = bench.store.delivery(id).await.unwrap().unwrap().row;
    assert_eq!((row.state, row.attempts), (DeliveryState::Waiting, 0));
    assert_eq!(row.next_at.as_millisecond(), bench.clock.now().as_millisecond(), "due at once");
}
