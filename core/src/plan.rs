//! Desired, observed and decided, made into ordered actions.

mod action;
mod constraint;
mod desired;
mod observed;
mod prune;
pub mod render;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::BTreeMap;

pub use action::{Change, ConstraintStatus, Phase, State, Write};
pub use desired::{Desired, DesiredConstraint, DesiredTemplate, DesiredUnit};
pub use observed::{Drift, Known, LiveObject, MirrorObject, ObjectKey, Observed, Record, Standing};
pub use prune::{AllowPrune, PruneBudget, PrunePlan, plan_prune, renames};
pub use unit::{Context, UnitPlan, plan_unit};

/// Everything one sync would do, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Objects to write, sorted by phase.
    pub writes: Vec<Write>,
    /// What git no longer has.
    pub prune: PrunePlan,
    /// Where each constraint stands after it, sorted by name.
    pub statuses: Vec<ConstraintStatus>,
    /// What people should know besides, in words.
    pub notices: Vec<String>,
}

/// Plans a whole sync. Same inputs, same plan.
pub fn plan(
    desired: &Desired,
    observed: &Observed,
    budget: PruneBudget,
    allowed: Option<&AllowPrune>,
    context: &Context<'_>,
) -> Plan {
    let renames = renames(desired, observed, context.instance);
    let mut plan = Plan {
        prune: plan_prune(desired, observed, &renames, context.instance, budget, allowed),
        ..Plan::default()
    };
    for unit in desired.units.values() {
        let UnitPlan { writes, statuses, notices } = plan_unit(unit, observed, &renames, context);
        plan.writes.extend(writes);
        plan.statuses.extend(statuses);
        plan.notices.extend(notices);
    }
    going(&mut plan, observed, context);
    plan.writes.sort_by_key(|write| write.phase);
    plan.statuses.sort_by(|a, b| a.constraint.cmp(&b.constraint));
    for (key, why) in &plan.prune.kept {
        plan.notices.push(format!("{key} is no longer in git and is kept: {why}"));
    }
    plan
}

/// What git no longer has stays enforced until it is removed: its drift is put back as well, unless it goes now.
fn going(plan: &mut Plan, observed: &Observed, context: &Context<'_>) {
    let held = !plan.prune.held.is_empty();
    let mut leaving: BTreeMap<ObjectKey, String> = BTreeMap::new();
    for key in &plan.prune.objects {
        let why = if held {
            format!("no longer in git; its removal is held: {}", plan.prune.held.join("; "))
        } else {
            "no longer in git, is removed".to_owned()
        };
        leaving.insert(key.clone(), why);
    }
    for (old, new) in &plan.prune.renamed {
        leaving.insert(ObjectKey::Constraint(old.clone()), format!("renamed to {new}, is removed"));
    }
    for (key, why) in &plan.prune.kept {
        leaving.insert(key.clone(), format!("no longer in git, kept: {why}"));
    }
    for (key, why) in leaving {
        let stays = held || plan.prune.kept.iter().any(|(kept, _)| *kept == key);
        let mut unit = UnitPlan::default();
        if stays {
            unit::restore(&mut unit, &key, observed, context);
        }
        plan.writes.extend(unit.writes);
        plan.notices.extend(unit.notices);
        if let ObjectKey::Constraint(id) = &key {
            let known = match observed.standing(&key, context.instance) {
                Standing::Known(known) => Some(known.record),
                _ => None,
            };
            plan.statuses.push(ConstraintStatus {
                constraint: id.clone(),
                stage: known.as_ref().and_then(|record| record.stage),
                target: None,
                since: known.as_ref().map(|record| record.since),
                hash: known.map(|record| record.hash),
                candidate: None,
                state: State::Removed,
                waiting: None,
                next: why,
                would_block: Vec::new(),
                not_auditable: None,
            });
        }
    }
}
