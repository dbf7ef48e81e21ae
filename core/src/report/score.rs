//! The score, and how much of what should have been judged it rests on.
//!
//! Every pair of constraint and object that was judged counts with the weight of the constraint's severity
//! ([`Severity::weight`](super::Severity::weight)): the score is the share of that weight which passes. What is
//! excused, what failed to evaluate, what was not looked at and what stored objects cannot tell never count as
//! passing. Coverage says how much was judged: the mean over the constraints of the share of their objects that
//! were. Both are rounded down, so 100 means all.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ConstraintState, RunFacts};
use crate::{
    audit::{HoleClass, LedgerRow},
    identity::ConstraintId,
};

const MILLION: u128 = 1_000_000;

/// Score and coverage of one audit run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// 0 to 100 in steps of a tenth; `None` where nothing was judged.
    pub value: Option<f64>,
    /// 0 to 100 in steps of a tenth; `None` where there was nothing to judge.
    pub coverage: Option<f64>,
}

impl Score {
    /// The score of a run's ledger over the constraints in force; rows of other constraints are left out.
    pub fn of(ledger: &[LedgerRow], constraints: &[ConstraintState], run: Option<&RunFacts>) -> Self {
        let started = run.map(|run| run.started);
        let tallies = Tallies::of(ledger);
        let (mut passed, mut judged) = (0_u128, 0_u128);
        let (mut covered, mut counted, mut whole) = (0_u128, 0_u128, true);
        for state in constraints {
            let tally = tallies.get(&state.id);
            let weight = u128::from(state.severity.weight());
            let pass = if state.not_auditable.is_some() { 0 } else { tally.passed() };
            passed += weight * u128::from(pass);
            judged += weight * u128::from(pass + tally.violated);
            if let Some(share) = tally.share(state, started) {
                covered += share;
                counted += 1;
                whole &= share == MILLION;
            }
        }
        let coverage = (counted > 0).then(|| tenths(covered, counted * MILLION, whole));
        Self { value: (judged > 0).then(|| tenths(passed, judged, passed == judged)), coverage }
    }
}

/// `part` of `all` in percent, rounded down to a tenth; less than 100 unless `whole`.
fn tenths(part: u128, all: u128, whole: bool) -> f64 {
    let most = if whole { 1_000 } else { 999 };
    let tenths = part.saturating_mul(1_000).checked_div(all).unwrap_or(0).min(most);
    f64::from(u16::try_from(tenths).unwrap_or(0)) / 10.0
}

/// The ledger by constraint.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies {
    tallies: BTreeMap<ConstraintId, Tally>,
    /// What is missing for every constraint alike.
    everywhere: u64,
}

/// The ledger of one constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub evaluated: u64,
    pub violated: u64,
    pub exempt: u64,
    pub errors: u64,
    /// Whether anything it is about is unknown.
    pub incomplete: bool,
    /// Whether the ledger names it.
    named: bool,
    /// Judged and missing objects of each kind.
    kinds: Vec<(u64, u64)>,
    /// Objects of an unknown kind that are missing.
    anywhere: u64,
}

/// Whether a row of the ledger is about every constraint.
pub(super) fn is_about_all(constraint: &ConstraintId) -> bool {
    constraint.kind == "*" && constraint.name == "*"
}

impl Tallies {
    /// The rows of each constraint added up.
    pub fn of(ledger: &[LedgerRow]) -> Self {
        let mut all = Self::default();
        for row in ledger {
            let unknown: u64 = row
                .holes
                .iter()
                .filter(|hole| hole.class == HoleClass::Unknown)
                .map(|hole| hole.count.max(1))
                .sum();
            // An object that failed to evaluate is an error and a hole.
            let missing = unknown.max(row.errors);
            if is_about_all(&row.constraint) {
                all.everywhere += missing;
                continue;
            }
            let tally = all.tallies.entry(row.constraint.clone()).or_default();
            tally.named = true;
            tally.evaluated += row.evaluated;
            tally.violated += row.violated;
            tally.exempt += row.exempt;
            tally.errors += row.errors;
            tally.incomplete |= missing > 0;
            if row.kind == "*" {
                tally.anywhere += missing;
            } else {
                tally.kinds.push((row.evaluated, missing));
            }
        }
        all
    }

    /// The rows of one constraint, with what is missing for all.
    pub fn get(&self, id: &ConstraintId) -> Tally {
        let mut tally = self.tallies.get(id).cloned().unwrap_or_default();
        tally.anywhere += self.everywhere;
        tally.incomplete |= self.everywhere > 0;
        tally
    }
}

impl Tally {
    /// Objects that were judged and are neither violating nor excused.
    pub fn passed(&self) -> u64 {
        self.evaluated.saturating_sub(self.violated).saturating_sub(self.exempt)
    }

    /// Share of its objects that were judged, in millionths; `None` where there is none.
    fn share(&self, state: &ConstraintState, started: Option<Timestamp>) -> Option<u128> {
        if state.not_auditable.is_some() || self.not_audited(state, started) {
            return Some(0);
        }
        let shares: Vec<u128> = self
            .kinds
            .iter()
            .filter_map(|(judged, missing)| {
                let judged = u128::from(*judged);
                (judged * MILLION).checked_div(judged + u128::from(*missing))
            })
            .collect();
        let judged: u128 = self.kinds.iter().map(|(judged, _)| u128::from(*judged)).sum();
        let kinds = u128::try_from(shares.len()).unwrap_or(u128::MAX);
        match (shares.iter().sum::<u128>().checked_div(kinds), self.anywhere) {
            (mean, 0) => mean,
            (Some(mean), anywhere) => {
                Some((mean * judged).checked_div(judged + u128::from(anywhere)).unwrap_or(0))
            }
            (None, _) => Some(0),
        }
    }

    /// Coverage in percent, see [`Score::coverage`].
    pub fn coverage(&self, state: &ConstraintState, started: Option<Timestamp>) -> Option<f64> {
        self.share(state, started).map(|share| tenths(share, MILLION, share == MILLION))
    }

    /// Whether no run has judged the constraint since it came to be what it is.
    pub fn not_audited(&self, state: &ConstraintState, started: Option<Timestamp>) -> bool {
        !self.named && started.is_none_or(|started| state.since.is_none_or(|since| since > started))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Score;
    use crate::{
        audit::{HoleClass, LedgerRow},
        identity::{ConstraintId, Stage},
        report::{
            ConstraintState, RunFacts, Severity,
            samples::{constraint, empty, hole, judged},
        },
    };

    fn run() -> Option<RunFacts> {
        empty().run
    }

    fn state(at: usize, severity: Severity) -> ConstraintState {
        ConstraintState { severity, ..constraint("K", &format!("c{at}"), Stage::Deny) }
    }

    #[test]
    fn severity_weighs() {
        let (critical, low) = (state(0, Severity::Critical), state(1, Severity::Low));
        let ledger = [judged(&critical, "Pod", 10, 1), judged(&low, "Pod", 10, 10)];
        // 90 of 100 and 0 of 10.
        let score = Score::of(&ledger, &[critical, low], run().as_ref());
        assert_eq!((score.value, score.coverage), (Some(81.8), Some(100.0)));
    }

    #[test]
    fn nothing_judged_is_no_score() {
        let state = state(0, Severity::Medium);
        let mut excused = judged(&state, "Pod", 5, 0);
        excused.exempt = 5;
        let states = [state];
        assert_eq!(Score::of(&[excused], &states, run().as_ref()).value, None);
        assert_eq!(Score::of(&[], &[], run().as_ref()), Score::default());
        assert_eq!(Score::of(&[], &states, None).coverage, Some(0.0));
    }

    #[test]
    fn one_failure_among_many_is_not_a_hundred() {
        let state = state(0, Severity::Medium);
        let score = Score::of(&[judged(&state, "Pod", 1_000_000, 1)], &[state], run().as_ref());
        assert_eq!(score.value, Some(99.9));
    }

    #[test]
    fn what_no_audit_can_judge_neither_passes_nor_is_covered() {
        let (mut blind, seen) = (state(0, Severity::Medium), state(1, Severity::Medium));
        blind.not_auditable = Some("asks for the time".to_owned());
        let ledger = [judged(&blind, "Pod", 100, 1), judged(&seen, "Pod", 1, 0)];
        let score = Score::of(&ledger, &[blind, seen], run().as_ref());
        assert_eq!((score.value, score.coverage), (Some(50.0), Some(50.0)));
    }

    #[test]
    fn a_hole_that_touches_all_lowers_the_coverage_of_each() {
        let states = [state(0, Severity::Medium), state(1, Severity::Low)];
        let mut ledger = vec![judged(&states[0], "Pod", 3, 0), judged(&states[1], "Pod", 3, 0)];
        assert_eq!(Score::of(&ledger, &states, run().as_ref()).coverage, Some(100.0));
        let mut everywhere = judged(&states[0], "*", 0, 0);
        everywhere.constraint = ConstraintId::new("*", "*");
        everywhere.holes.push(hole(HoleClass::Unknown, "unreadable", 1));
        ledger.push(everywhere);
        assert_eq!(Score::of(&ledger, &states, run().as_ref()).coverage, Some(75.0));
    }

    fn rows() -> impl Strategy<Value = Vec<(usize, u64, u64, u64, u64, u64)>> {
        // Constraint, passing, violated, exempt, errors, out of enforcement.
        prop::collection::vec((0..4_usize, 0..9_u64, 0..9_u64, 0..9_u64, 0..3_u64, 0..3_u64), 0..12)
    }

    fn ledger(rows: &[(usize, u64, u64, u64, u64, u64)], states: &[ConstraintState]) -> Vec<LedgerRow> {
        rows.iter()
            .enumerate()
            .map(|(at, &(of, passing, violated, exempt, errors, outside))| {
                let mut row =
                    judged(&states[of], &format!("Kind{at}"), passing + violated + exempt, violated);
                row.exempt = exempt;
                row.errors = errors;
                if errors > 0 {
                    row.holes.push(hole(HoleClass::Unknown, "evaluation failed", errors));
                }
                if outside > 0 {
                    row.holes.push(hole(HoleClass::NotEnforced, "ignored", outside));
                }
                row
            })
            .collect()
    }

    fn states() -> Vec<ConstraintState> {
        [Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
            .into_iter()
            .enumerate()
            .map(|(at, severity)| state(at, severity))
            .collect()
    }

    proptest! {
        #[test]
        fn a_hundred_means_all(rows in rows()) {
            let states = states();
            let score = Score::of(&ledger(&rows, &states), &states, run().as_ref());
            let judged = rows.iter().any(|row| row.1 + row.2 > 0);
            prop_assert_eq!(score.value.is_some(), judged);
            if let Some(value) = score.value {
                prop_assert!((0.0..=100.0).contains(&value));
                prop_assert_eq!(value >= 100.0, rows.iter().all(|row| row.2 == 0));
            }
            if let Some(coverage) = score.coverage {
                prop_assert!((0.0..=100.0).contains(&coverage));
                prop_assert_eq!(coverage >= 100.0, rows.iter().all(|row| row.4 == 0));
            }
        }

        #[test]
        fn excuses_and_errors_never_raise_the_score(rows in rows()) {
            let states = states();
            let without: Vec<_> = rows.iter().map(|row| (row.0, row.1, row.2, 0, 0, 0)).collect();
            let plain = Score::of(&ledger(&without, &states), &states, run().as_ref());
            let score = Score::of(&ledger(&rows, &states), &states, run().as_ref());
            prop_assert_eq!(score.value, plain.value);
            prop_assert!(score.coverage.unwrap_or(0.0) <= 100.0);
        }
    }
}
