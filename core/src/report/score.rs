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
