//! Findings across runs: new, open, fixed, regressed.

use std::collections::{BTreeMap, BTreeSet};

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

    /// The status of each fingerprint.
    pub fn statuses(&self) -> BTreeMap<&Fingerprint, Status> {
        [&self.new, &self.open, &self.fixed, &self.regressed]
            .into_iter()
            .flatten()
            .map(|known| (&known.fingerprint, known.status))
            .collect()
    }
}

/// Compares a run with what was known before it. A finding that is gone is fixed only where the ledger has
/// no unknown verdict for its constraint and kind; else nobody knows, and it stays open. What was fixed
/// before and is still gone is not repeated.
pub fn track(previous: &[Known], current: &[Finding], ledger: &Ledger, now: Timestamp) -> Tracked {
    let before: BTreeMap<&Fingerprint, &Known> = previous.iter().map(|k| (&k.fingerprint, k)).collect();
    let mut tracked = Tracked::default();
    let mut seen = BTreeSet::new();
    let mut findings: Vec<&Finding> = current.iter().collect();
    findings.sort_by(|a, b| (&a.fingerprint, &a.object).cmp(&(&b.fingerprint, &b.object)));
    for finding in findings {
        if !seen.insert(&finding.fingerprint) {
            continue;
        }
        let known = |first_seen, status| Known {
            fingerprint: finding.fingerprint.clone(),
            constraint: finding.constraint.clone(),
            group: finding.object.group.clone(),
            kind: finding.object.kind.clone(),
            first_seen,
            last_seen: now,
            status,
        };
        match before.get(&finding.fingerprint) {
            None => tracked.new.push(known(now, Status::New)),
            Some(old) if old.status == Status::Fixed => {
                tracked.regressed.push(known(old.first_seen, Status::Regressed));
            }
            Some(old) => tracked.open.push(known(old.first_seen, Status::Open)),
        }
    }
    for (fingerprint, old) in before {
        if seen.contains(fingerprint) || old.status == Status::Fixed {
            continue;
        }
        if ledger.complete_for_kind(&old.constraint, &old.group, &old.kind) {
            tracked.fixed.push(Known { status: Status::Fixed, ..old.clone() });
        } else {
            tracked.open.push(Known { status: Status::Open, ..old.clone() });
        }
    }
    tracked.open.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    tracked
}
