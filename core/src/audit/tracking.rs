//! Findings across runs: new, open, fixed, regressed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Finding, Ledger, Status};
use crate::identity::{ConstraintId, Fingerprint};

/// What is remembered of a finding between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// The constraint.
    pub constraint: ConstraintId,
    /// API group of the object it was found on.
    pub group: String,
    /// Kind of the object it was found on.
    pub kind: String,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// As of the run that wrote this.
    pub status: Status,
}

/// What a run says about the findings known before and now; no fingerprint stands twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Never seen before.
    pub new: Vec<Known>,
    /// Seen before, and now or not looked at now (then `last_seen` is not this run).
    pub open: Vec<Known>,
    /// Seen before, gone now, and what it was about was evaluated.
    pub fixed: Vec<Known>,
    /// Fixed before, there again.
    pub regressed: Vec<Known>,
}

impl Tracked {
    /// Everything to remember for the next run, what is fixed included, ordered by fingerprint.
    pub fn known(&self) -> Vec<Known> {
        let mut all: Vec<Known> =
            [&self.new, &self.open, &self.fixed, &self.regressed].into_iter().flatten().cloned().collect();
        all.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        all
    }

    /// The status of each fingerprint, in no particular order.
    pub fn into_statuses(self) -> impl Iterator<Item = (Fingerprint, Status)> {
        [self.new, self.open, self.fixed, self.regressed]
            .into_iter()
            .flatten()
            .map(|known| (known.fingerprint, known.status))
    }
}

/// Compares a run with what was known before it. A finding that is gone is fixed only where the ledger has
/// no unknown verdict for its constraint and kind; else nobody knows, and it stays open. What was fixed
/// before and is still gone is not repeated.
///
/// Takes what was known by value: there can be hundreds of thousands.
pub fn track(previous: Vec<Known>, current: &[Finding], ledger: &Ledger, now: Timestamp) -> Tracked {
    let mut before: BTreeMap<Fingerprint, Known> =
        previous.into_iter().map(|known| (known.fingerprint.clone(), known)).collect();
    let mut tracked = Tracked::default();
    let mut findings: Vec<&Finding> = current.iter().collect();
    findings.sort_unstable_by(|a, b| (&a.fingerprint, &a.object).cmp(&(&b.fingerprint, &b.object)));
    findings.dedup_by(|later, first| later.fingerprint == first.fingerprint);
    for finding in findings {
        let known = |first_seen, status| Known {
            fingerprint: finding.fingerprint.clone(),
            constraint: finding.constraint.clone(),
            group: finding.object.group.clone(),
            kind: finding.object.kind.clone(),
            first_seen,
            last_seen: now,
            status,
        };
        match before.remove(&finding.fingerprint) {
            None => tracked.new.push(known(now, Status::New)),
            Some(old) if old.status == Status::Fixed => {
                tracked.regressed.push(known(old.first_seen, Status::Regressed));
            }
            Some(old) => tracked.open.push(known(old.first_seen, Status::Open)),
        }
    }
    for old in before.into_values() {
        if old.status == Status::Fixed {
            continue;
        }
        if ledger.complete_for_kind(&old.constraint, &old.group, &old.kind) {
            tracked.fixed.push(Known { status: Status::Fixed, ..old });
        } else {
            tracked.open.push(Known { status: Status::Open, ..old });
        }
    }
    tracked.open.sort_unstable_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    tracked
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Known, Tracked, track};
    use crate::{
        audit::{Finding, HoleClass, Ledger, Status, gate::tests::finding},
        identity::ConstraintId,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn statuses(tracked: &Tracked) -> Vec<(String, Status)> {
        tracked.known().into_iter().map(|k| (k.fingerprint.as_str().to_owned(), k.status)).collect()
    }

    fn run(previous: &[Known], findings: &[Finding], ledger: &Ledger, second: i64) -> Tracked {
        track(previous.to_vec(), findings, ledger, at(second))
    }

    fn evaluated() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.evaluated(&ConstraintId::new("K", "c"), "", "Pod");
        ledger
    }

    #[test]
    fn a_finding_is_new_then_open_then_fixed_then_regressed() {
        let found = [finding("c", "shop", "cart", "cart-1")];
        let again = [finding("c", "shop", "cart", "cart-2"), finding("c", "shop", "cart", "cart-3")];
        let ledger = evaluated();
        let first = run(&[], &found, &ledger, 1);
        assert_eq!(statuses(&first), [("c/shop/cart".to_owned(), Status::New)]);
        let second = run(&first.known(), &again, &ledger, 2);
        assert_eq!(statuses(&second), [("c/shop/cart".to_owned(), Status::Open)]);
        assert_eq!((second.open[0].first_seen, second.open[0].last_seen), (at(1), at(2)));
        let third = run(&second.known(), &[], &ledger, 3);
        assert_eq!(statuses(&third), [("c/shop/cart".to_owned(), Status::Fixed)]);
        assert_eq!(third.fixed[0].last_seen, at(2));
        let fourth = run(&third.known(), &found, &ledger, 4);
        assert_eq!(statuses(&fourth), [("c/shop/cart".to_owned(), Status::Regressed)]);
        assert_eq!(fourth.regressed[0].first_seen, at(1));
    }

    #[test]
    fn what_was_not_evaluated_is_not_fixed() {
        let first = run(&[], &[finding("c", "shop", "cart", "cart-1")], &evaluated(), 1).known();
        let constraint = ConstraintId::new("K", "c");
        let mut of_kind = evaluated();
        of_kind.hole(&constraint, "", "Pod", HoleClass::Unknown, "timeout", 1);
        let mut everywhere = evaluated();
        everywhere.hole_everywhere("a.yaml:1: broken");
        let mut of_constraint = evaluated();
        of_constraint.hole_of_constraint(&constraint, "refused");
        for ledger in [of_kind, everywhere, of_constraint] {
            let second = run(&first, &[], &ledger, 2);
            assert_eq!(statuses(&second), [("c/shop/cart".to_owned(), Status::Open)], "{ledger:?}");
            assert_eq!(second.open[0].last_seen, at(1));
        }
    }

    #[test]
    fn a_hole_elsewhere_or_out_of_enforcement_keeps_nothing_open() {
        let first = run(&[], &[finding("c", "shop", "cart", "cart-1")], &evaluated(), 1).known();
        let mut ledger = evaluated();
        ledger.hole(&ConstraintId::new("K", "c"), "apps", "Deployment", HoleClass::Unknown, "timeout", 1);
        ledger.hole(&ConstraintId::new("K", "other"), "", "Pod", HoleClass::Unknown, "timeout", 1);
        ledger.hole(&ConstraintId::new("K", "c"), "", "Pod", HoleClass::NotEnforced, "label", 1);
        assert_eq!(statuses(&run(&first, &[], &ledger, 2)), [("c/shop/cart".to_owned(), Status::Fixed)]);
    }

    #[test]
    fn what_is_fixed_is_told_once() {
        let fixed =
            run(&run(&[], &[finding("c", "s", "d", "p")], &evaluated(), 1).known(), &[], &evaluated(), 2);
        assert_eq!(fixed.fixed.len(), 1);
        assert_eq!(run(&fixed.known(), &[], &evaluated(), 3), Tracked::default());
    }
}
