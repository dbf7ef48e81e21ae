//! The clock as a port: the system's, or one that a test or the demo moves forward.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::oneshot;

/// A future that ends when the time has come.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where the time comes from. Everything that asks the time or waits for one takes this.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// Waits until `at`; returns at once where it has passed.
    fn sleep_until(&self, at: Timestamp) -> Sleep<'_>;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Milliseconds, as the store keeps them, so that times compare the same before and after.
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        Box::pin(async move {
            // In steps of at most a minute, so that a clock that is set forward is noticed.
            loop {
                let left = at.as_millisecond() - self.now().as_millisecond();
                if left <= 0 {
                    return;
                }
                let step = std::time::Duration::from_millis(left.unsigned_abs().min(60_000));
                tokio::time::sleep(step).await;
            }
        })
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug)]
struct ManualState {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    next: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new(ManualState { now, sleepers: BTreeMap::new(), next: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the clock, forwards or backwards, and wakes whoever waited for a time that has come.
    pub fn set(&self, now: Timestamp) {
        let mut state = self.state();
        state.now = now;
        while let Some(entry) = state.sleepers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let _ = entry.remove().send(());
        }
    }

    /// Moves the clock forward by so many milliseconds.
    pub fn advance_millis(&self, millis: i64) {
        let now = self.now();
        self.set(Timestamp::from_millisecond(now.as_millisecond().saturating_add(millis)).unwrap_or(now));
    }

    /// The earliest time somebody waits for.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.state().sleepers.iter().find(|(_, sender)| !sender.is_closed()).map(|((at, _), _)| *at)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep<'_> {
        let mut state = self.state();
        if at <= state.now {
            return Box::pin(std::future::ready(()));
        }
        let (sender, receiver) = oneshot::channel();
        let id = state.next;
        state.next += 1;
        state.sleepers.retain(|_, sender| !sender.is_closed());
        state.sleepers.insert((at, id), sender);
        Box::pin(async move {
            // A closed channel means that the clock is gone; nobody waits on a clock that is gone.
            let _ = receiver.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, ManualClock};
    use jiff::Timestamp;

    #[tokio::test]
    async fn a_moved_clock_wakes_those_whose_time_has_come() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let soon = clock.sleep_until(Timestamp::from_second(10).unwrap());
        let late = clock.sleep_until(Timestamp::from_second(20).unwrap());
        assert_eq!(clock.next_wake(), Some(Timestamp::from_second(10).unwrap()));
        clock.advance_millis(15_000);
        soon.await;
        assert_eq!(clock.next_wake(), Some(Timestamp::from_second(20).unwrap()));
        clock.set(Timestamp::from_second(20).unwrap());
        late.await;
        assert_eq!(clock.next_wake(), None);
    }
}
