//! When a failed delivery is tried again, and when it is given up. A pure function of the failure.

use jiff::{SignedDuration, Timestamp};

use crate::edge::sink::{DeliveryFailure, FailureKind};

/// A delivery is tried so often before it is a dead letter.
pub const MAX_ATTEMPTS: u64 = 10;

/// A receiver may refuse a body for good so often before it is a dead letter.
pub const MAX_REJECTIONS: u64 = 3;

/// The wait after the first, second, … failed attempt, in seconds; the last one goes on. The first
/// attempt is made at once.
const WAITS: [i64; 6] = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600];

/// A wait is lengthened by up to this part of it, so that receivers are not hit in step.
const JITTER: f64 = 0.2;

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another attempt at this time.
    Retry(Timestamp),
    /// No more attempts.
    Dead,
    /// The sink is closed; the delivery waits.
    Closed,
}

/// What follows from a failure. `attempts` and `rejections` (before this answer) count since the start
/// or the last replay; `fraction` is in `0.0..1.0`. A receiver can ask for a longer wait, never for a
/// shorter one: that would use up its attempts.
pub(super) fn verdict(
    failure: &DeliveryFailure,
    attempts: u64,
    rejections: u64,
    now: Timestamp,
    fraction: f64,
) -> Verdict {
    match failure.kind {
        FailureKind::Gone => return Verdict::Closed,
        FailureKind::Rejected if rejections + 1 >= MAX_REJECTIONS => return Verdict::Dead,
        _ => {}
    }
    if attempts >= MAX_ATTEMPTS {
        return Verdict::Dead;
    }
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = WAITS.get(index).or(WAITS.last()).copied().unwrap_or_default();
    let wait = SignedDuration::from_secs(wait);
    let wait = wait.checked_add(wait.mul_f64(JITTER * fraction)).unwrap_or(wait);
    let planned = now.checked_add(wait).unwrap_or(Timestamp::MAX);
    Verdict::Retry(failure.retry_after.map_or(planned, |wanted| wanted.max(planned)))
}

#[cfg(test)]
mod tests {
    use super::{MAX_ATTEMPTS, Verdict, verdict};
    use crate::edge::sink::{DeliveryFailure, FailureKind};
    use jiff::Timestamp;

    fn failure(kind: FailureKind) -> DeliveryFailure {
        DeliveryFailure { kind, status: None, retry_after: None, message: String::new() }
    }

    fn after(attempts: u64, fraction: f64) -> Option<i64> {
        match verdict(&failure(FailureKind::Status), attempts, 0, Timestamp::UNIX_EPOCH, fraction) {
            Verdict::Retry(at) => Some(at.as_second()),
            _ => None,
        }
    }

    #[test]
    fn the_waits_grow_and_come_to_an_end() {
        let waits: Vec<_> = (1..=MAX_ATTEMPTS).map(|attempts| after(attempts, 0.0)).collect();
        assert_eq!(
            waits,
            [5, 300, 1800, 7200, 18_000, 36_000, 36_000, 36_000, 36_000]
                .map(Some)
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn jitter_only_lengthens() {
        assert_eq!(after(2, 0.5), Some(330));
        assert!(after(2, 0.999).unwrap() < 360);
    }

    #[test]
    fn a_receiver_can_ask_for_a_longer_wait_alone() {
        let now = Timestamp::UNIX_EPOCH;
        let mut slow = failure(FailureKind::Status);
        slow.retry_after = Some(Timestamp::from_second(60).unwrap());
        assert_eq!(verdict(&slow, 1, 0, now, 0.0), Verdict::Retry(Timestamp::from_second(60).unwrap()));
        assert_eq!(verdict(&slow, 2, 0, now, 0.0), Verdict::Retry(Timestamp::from_second(300).unwrap()));
    }

    #[test]
    fn a_body_refused_for_good_dies_at_the_third_time() {
        let refused = failure(FailureKind::Rejected);
        let at = |rejections| verdict(&refused, rejections + 1, rejections, Timestamp::UNIX_EPOCH, 0.0);
        assert!(matches!(at(0), Verdict::Retry(_)));
        assert!(matches!(at(1), Verdict::Retry(_)));
        assert_eq!(at(2), Verdict::Dead);
        assert_eq!(verdict(&failure(FailureKind::Gone), 1, 0, Timestamp::UNIX_EPOCH, 0.0), Verdict::Closed);
    }
}
