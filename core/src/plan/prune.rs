//! What git no longer has: removed within a budget, or held.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    identity::{ConstraintId, Revision, Stage},
    plan::{Desired, ObjectKey, Observed, Standing, render, render::annotation},
};

/// How much may be removed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneBudget {
    /// Objects, at most.
    pub max_objects: u64,
    /// Percent of the managed objects, at most; asked from ten managed objects on.
    pub max_percent: u64,
}

/// A person's permission for one very plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowPrune {
    /// Exactly so many objects.
    pub count: u64,
    /// Of exactly this revision, whole or abbreviated to at least seven digits.
    pub revision: String,
}

impl AllowPrune {
    fn covers(&self, count: u64, revision: &Revision) -> bool {
        self.count == count && self.revision.len() >= 7 && revision.as_str().starts_with(&self.revision)
    }
}

/// The removals of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// Removed now or held, constraints before templates.
    pub objects: Vec<ObjectKey>,
    /// Old names of renamed constraints: removed once the new one is acknowledged, outside the budget.
    pub renamed: Vec<(ConstraintId, ConstraintId)>,
    /// Kept though git no longer has them, and why.
    pub kept: Vec<(ObjectKey, String)>,
    /// Known to the store alone: forgotten.
    pub forgotten: Vec<ObjectKey>,
    /// Why the removals are held; empty where they go on.
    pub held: Vec<String>,
    /// Whether a person may allow them all the same; not while anything is refused.
    pub allowable: bool,
}

/// Which new constraints take over from which removed ones: same hash, added and removed in one revision.
pub fn renames(
    desired: &Desired,
    observed: &Observed,
    instance: &str,
) -> BTreeMap<ConstraintId, ConstraintId> {
    let mut gone: Vec<(ConstraintId, crate::identity::PolicyHash)> = Vec::new();
    for key in removed(desired, observed, instance) {
        if let (ObjectKey::Constraint(id), Standing::Known(known)) = (&key, observed.standing(&key, instance))
            && observed.live.contains_key(&key)
        {
            gone.push((id.clone(), known.record.hash.clone()));
        }
    }
    let mut renames = BTreeMap::new();
    for constraint in desired.units.values().flat_map(|unit| unit.constraints.values()) {
        let key = ObjectKey::Constraint(constraint.id.clone());
        if observed.standing(&key, instance) != Standing::New {
            continue;
        }
        let same =
            gone.iter().position(|(old, hash)| *hash == constraint.hash && old.kind == constraint.id.kind);
        let same = same.or_else(|| gone.iter().position(|(_, hash)| *hash == constraint.hash));
        if let Some(at) = same {
            let (old, _) = gone.remove(at);
            renames.insert(constraint.id.clone(), old);
        }
    }
    renames
}

/// Objects of ours, on the cluster or in the store, that git does not have.
fn removed(desired: &Desired, observed: &Observed, instance: &str) -> BTreeSet<ObjectKey> {
    observed
        .live
        .keys()
        .chain(observed.mirror.keys())
        .filter(|key| match key {
            ObjectKey::Template(kind) => {
                desired.units.get(kind).is_none_or(|unit| unit.template.is_none() && unit.refused.is_none())
            }
            ObjectKey::Constraint(id) => desired
                .units
                .get(&id.kind)
                .is_none_or(|unit| !unit.constraints.contains_key(&id.name) && unit.refused.is_none()),
        })
        .filter(|key| !matches!(observed.standing(key, instance), Standing::Foreign(_)))
        .cloned()
        .collect()
}

/// Plans the removals and holds them where the budget, the configuration or the cluster says so.
pub fn plan_prune(
    desired: &Desired,
    observed: &Observed,
    renames: &BTreeMap<ConstraintId, ConstraintId>,
    instance: &str,
    budget: PruneBudget,
    allowed: Option<&AllowPrune>,
) -> PrunePlan {
    let mut plan = PrunePlan {
        renamed: renames.iter().map(|(new, old)| (old.clone(), new.clone())).collect(),
        ..PrunePlan::default()
    };
    let renamed: BTreeSet<&ConstraintId> = renames.values().collect();
    let mut templates = Vec::new();
    for key in removed(desired, observed, instance) {
        // What was deleted by hand counts as if it were there: it comes back where its removal is held.
        let manifest = match (observed.live.get(&key), observed.standing(&key, instance)) {
            (Some(live), _) => live.manifest.clone(),
            (None, Standing::Known(known)) => known.manifest,
            (None, _) => {
                plan.forgotten.push(key);
                continue;
            }
        };
        if render::annotations(&manifest).get(annotation::PRUNE).is_some_and(|value| value == "disabled") {
            if observed.live.contains_key(&key) {
                plan.kept.push((key, format!("{} is disabled", annotation::PRUNE)));
            } else {
                // Deleting it by hand is the only way to be rid of it.
                plan.forgotten.push(key);
            }
            continue;
        }
        match &key {
            ObjectKey::Constraint(id) if renamed.contains(id) => {}
            ObjectKey::Constraint(_) => plan.objects.push(key),
            ObjectKey::Template(_) => templates.push(key),
        }
    }
    for key in templates {
        let stays: Vec<String> = observed
            .live
            .keys()
            .filter(|other| !other.is_template() && other.unit() == key.unit())
            .filter(|other| {
                let goes = plan.objects.contains(other)
                    || matches!(other, ObjectKey::Constraint(id) if renamed.contains(id));
                !goes
            })
            .map(ToString::to_string)
            .collect();
        if stays.is_empty() {
            plan.objects.push(key);
        } else {
            let why = format!("its deletion would take {} along", stays.join(", "));
            plan.kept.push((key, why));
        }
    }
    hold(&mut plan, desired, observed, instance, budget, allowed);
    plan
}

fn hold(
    plan: &mut PrunePlan,
    desired: &Desired,
    observed: &Observed,
    instance: &str,
    budget: PruneBudget,
    allowed: Option<&AllowPrune>,
) {
    if plan.objects.is_empty() && plan.renamed.is_empty() {
        return;
    }
    if desired.anything_refused {
        plan.held.push("nothing is pruned while anything in the revision is refused".to_owned());
        return;
    }
    let count = plan.objects.len() as u64;
    plan.allowable = count > 0;
    if let (Some(allowed), Some(revision)) = (allowed, &desired.revision)
        && allowed.covers(count, revision)
    {
        return;
    }
    if count > budget.max_objects {
        plan.held.push(format!("{count} objects would go, more than {}", budget.max_objects));
    }
    let managed = observed
        .live
        .values()
        .filter(|live| render::foreign_owner(&live.manifest, instance).is_none())
        .count() as u64;
    if managed >= 10 && count.saturating_mul(100) > budget.max_percent.saturating_mul(managed) {
        plan.held.push(format!(
            "{count} of {managed} managed objects would go, more than {} %",
            budget.max_percent
        ));
    }
    for kind in plan.objects.iter().map(ObjectKey::unit).collect::<BTreeSet<_>>() {
        // What was weakened by hand counts as it was decided.
        let at_deny: BTreeSet<&ObjectKey> = observed
            .live
            .keys()
            .chain(observed.mirror.keys())
            .filter(|key| !key.is_template() && key.unit() == kind)
            .filter(|key| {
                let decided = match observed.standing(key, instance) {
                    Standing::Known(known) => known.record.stage,
                    _ => None,
                };
                let live = observed.live.get(*key).and_then(|live| render::live_stage(&live.manifest));
                decided == Some(Stage::Deny) || live == Some(Stage::Deny)
            })
            .collect();
        if !at_deny.is_empty() && at_deny.iter().all(|key| plan.objects.contains(key)) {
            plan.held.push(format!("every constraint of {kind} at deny would go"));
        }
    }
}
