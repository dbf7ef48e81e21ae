//! What nobody looked at, gathered by reason.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{ConstraintRow, Gap, NotAuditable, NotEvaluated, Verdict, score::is_about_all};
use crate::{
    audit::{HoleClass, LedgerRow},
    identity::ConstraintId,
};

/// The holes of a ledger by reason, and the constraints nobody can or did judge.
pub(super) fn not_evaluated(ledger: &[LedgerRow], rows: &[ConstraintRow]) -> NotEvaluated {
    // What no audit can judge is a list of its own; its objects are no gaps besides.
    let shown: BTreeSet<&ConstraintId> =
        rows.iter().filter(|row| row.state.not_auditable.is_none()).map(|row| &row.state.id).collect();
    let mut not_auditable: Vec<NotAuditable> = rows
        .iter()
        .filter_map(|row| {
            let reason = row.state.not_auditable.clone()?;
            Some(NotAuditable { constraint: row.state.id.clone(), reason })
        })
        .collect();
    not_auditable.sort_by(|a, b| a.constraint.cmp(&b.constraint));
    let mut not_audited: Vec<ConstraintId> = rows
        .iter()
        .filter(|row| row.verdict == Verdict::NotAudited)
        .map(|row| row.state.id.clone())
        .collect();
    not_audited.sort();
    NotEvaluated {
        not_auditable,
        not_audited,
        unknown: gaps(ledger, &shown, HoleClass::Unknown),
        not_enforced: gaps(ledger, &shown, HoleClass::NotEnforced),
    }
}

#[derive(Default)]
struct Gathered<'a> {
    kinds: BTreeSet<&'a str>,
    counts: BTreeMap<&'a ConstraintId, u64>,
    everywhere: u64,
}

fn gaps(ledger: &[LedgerRow], shown: &BTreeSet<&ConstraintId>, class: HoleClass) -> Vec<Gap> {
    let mut reasons: BTreeMap<&str, Gathered<'_>> = BTreeMap::new();
    for row in ledger {
        let about_all = is_about_all(&row.constraint);
        if !about_all && !shown.contains(&row.constraint) {
            continue;
        }
        for hole in row.holes.iter().filter(|hole| hole.class == class) {
            let gathered = reasons.entry(&hole.reason).or_default();
            gathered.kinds.insert(&row.kind);
            if about_all {
                gathered.everywhere += hole.count;
            } else {
                *gathered.counts.entry(&row.constraint).or_default() += hole.count;
            }
        }
    }
    let mut gaps: Vec<Gap> = reasons
        .into_iter()
        .map(|(reason, gathered)| Gap {
            reason: reason.to_owned(),
            count: gathered.everywhere + gathered.counts.values().copied().max().unwrap_or(0),
            everywhere: gathered.everywhere > 0,
            kinds: gathered.kinds.into_iter().map(str::to_owned).collect(),
            constraints: gathered.counts.into_keys().cloned().collect(),
        })
        .collect();
    gaps.sort_by_cached_key(|gap| (Reverse(gap.count), gap.reason.clone()));
    gaps
}
