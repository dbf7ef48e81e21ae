//! What people see of the outbox and do with it.

use portcullis::{
    cli::outbox::{self, Format, OutboxArgs, OutboxCommand},
    clock::Clock as _,
    edge::store::DeliveryState,
};

use super::{Bench, webhook};
use crate::support::receiver::{Answer, Receiver, answer};

#[tokio::test]
async fn a_person_can_drop_what_waits_and_only_that() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let deliverer = bench.deliverer(vec![webhook("hook", &receiver)]);
    let dropped = bench.enqueue("hook", "{}").await;
    bench.cli(OutboxCommand::Drop { id: dropped }).await.unwrap();
    let taken = bench.enqueue("hook", "{}").await;
    assert_eq!(deliverer.deliver_due().await.unwrap().delivered, 1);
    assert_eq!(bench.state(dropped).await, DeliveryState::Dropped);
    let error = bench.cli(OutboxCommand::Drop { id: taken }).await.unwrap_err();
    assert!(error.message.starts_with(&format!("delivery {taken} is delivered;")), "{error}");
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
    assert!(wide.contains("no such thing ".repeat(12).trim()), "{wide}");
    let narrow = text(Format::Text, true).await;
    assert!(narrow.lines().all(|line| line.chars().count() <= 100), "{narrow}");
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json, false).await).unwrap();
    assert_eq!(json[0]["state"], "waiting");
    assert_eq!(json[0]["attempts"], 1);
}
