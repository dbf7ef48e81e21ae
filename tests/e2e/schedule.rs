//! The daemon's tasks side by side on a clock that jumps: reports at their slots, and after an absence once.

use portcullis::{clock::Clock as _, daemon::Daemon, edge::http::Readiness};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::stage::{Stage, enforced};

/// A daemon that runs as `portcullis run` has it.
struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

async fn run(stage: &Stage) -> Running {
    let (cancel, readiness) = (CancellationToken::new(), Readiness::new());
    let daemon = Daemon::new(stage.ports.clone(), readiness.clone(), cancel.clone());
    let task = tokio::spawn(async move { daemon.run().await });
    readiness.wait().await;
    Running { cancel, task }
}

impl Running {
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// Waits until so many reports have arrived, in both renderings, and their slot is kept.
async fn reports(stage: &Stage, count: usize, slot: &str) {
    let slot = slot.parse().unwrap();
    loop {
        let arrived = ["json", "html"].map(|name| {
            let deliveries = stage.arrived(&format!("dev.portcullis.report.{name}.v1"));
            assert!(deliveries.len() <= count, "{} reports", deliveries.len());
            deliveries.len()
        });
        let last = stage.ports.store.last_slot("compliance").await.unwrap();
        if arrived == [count, count] && last == Some(slot) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_report_comes_at_its_slot_and_what_was_missed_is_caught_up_once() {
    let mut stage = enforced("").await;
    let running = run(&stage).await;
    assert!(stage.clock.now() < "2026-03-09T08:00:00Z".parse().unwrap());
    // The schedule begins with the first start: nothing is due before its next slot.
    while stage.ports.store.last_slot("compliance").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    stage.clock.set("2026-03-09T08:00:00Z".parse().unwrap());
    reports(&stage, 1, "2026-03-09T08:00:00Z").await;
    running.stop().await;

    // Away over three Mondays.
    stage.clock.set("2026-03-31T12:00:00Z".parse().unwrap());
    stage.restart().await;
    let running = run(&stage).await;
    reports(&stage, 2, "2026-03-30T08:00:00Z").await;
    stage.clock.set("2026-04-06T08:00:00Z".parse().unwrap());
    reports(&stage, 3, "2026-04-06T08:00:00Z").await;
    running.stop().await;
    assert_eq!(stage.ports.store.reports(Some("compliance"), 10).await.unwrap().len(), 3);
}
