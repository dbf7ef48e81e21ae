//! The plan of one policy unit: what becomes of its template.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    document::Duration,
    identity::{ConstraintId, PolicyHash, Revision, Stage},
    plan::{
        Change, ConstraintStatus, DesiredConstraint, DesiredTemplate, DesiredUnit, Drift, Known, ObjectKey,
        Observed, Phase, Record, Standing, State, Write, constraint::plan_constraint, render,
    },
    rollout::{Evidence, Intents, PersonIntent, Strategy},
};

/// What a plan needs to know besides desired and observed.
pub struct Context<'a> {
    /// Our owner label.
    pub instance: &'a str,
    /// The time.
    pub now: Timestamp,
    /// The commit.
    pub revision: &'a Revision,
    /// The interval of the audit schedule.
    pub audit_interval: Duration,
    /// The audits of one version of a constraint.
    pub evidence: &'a dyn Fn(&ConstraintId, &PolicyHash) -> Arc<Evidence>,
    /// Whether an Exemption excuses a constraint in a namespace now.
    pub exempt: &'a dyn Fn(&ConstraintId, &str) -> bool,
    /// Whether drift is put back, or only reported.
    pub correct_drift: bool,
    /// Whether what is exempted on the cluster stays so.
    pub keep_exempted: bool,
}

/// The plan of one unit.
#[derive(Clone, Debug, Default)]
pub struct UnitPlan {
    /// Objects to write.
    pub writes: Vec<Write>,
    /// Where each constraint stands.
    pub statuses: Vec<ConstraintStatus>,
    /// Drift that is only reported, foreign templates, and the like, in words.
    pub notices: Vec<String>,
}

/// What becomes of the template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// Git's version is in force, or others own it.
    InForce,
    /// It is written now; none of its constraints is past dryrun.
    Written,
    /// It is replaced now, at the same stages.
    Swapped(Option<PersonIntent>),
    /// It is replaced now, and its constraints go back to dryrun.
    Restarted,
    /// The old one stays; the new one waits. In words, with the ways out.
    Held(String),
    /// Nothing can be done with the unit. In words.
    Blocked(String),
}

/// Plans one unit; `renames` says which new constraints take over from which old ones.
pub fn plan_unit(
    unit: &DesiredUnit,
    observed: &Observed,
    renames: &std::collections::BTreeMap<ConstraintId, ConstraintId>,
    context: &Context<'_>,
) -> UnitPlan {
    let mut plan = UnitPlan::default();
    let key = ObjectKey::Template(unit.kind.clone());
    let fate = match (&unit.refused, &unit.template) {
        (Some(_), _) => {
            restore(&mut plan, &key, observed, context);
            Fate::InForce
        }
        (None, None) => {
            if observed.live.contains_key(&key) {
                Fate::InForce
            } else {
                Fate::Blocked(format!("no ConstraintTemplate for {} on the cluster", unit.kind))
            }
        }
        (None, Some(template)) => plan_template(&mut plan, &key, template, unit, observed, context),
    };
    if let Fate::Blocked(why) = &fate {
        plan.notices.push(format!("{key}: {why}"));
    }
    for constraint in unit.constraints.values() {
        plan_constraint(&mut plan, constraint, unit.refused.as_deref(), &fate, observed, renames, context);
    }
    if let Some(why) = &unit.refused {
        keep_unreadable(&mut plan, unit, why, observed, context);
    }
    plan
}

/// Constraints of a refused unit that could not even be read stay as enforced too.
fn keep_unreadable(
    plan: &mut UnitPlan,
    unit: &DesiredUnit,
    why: &str,
    observed: &Observed,
    context: &Context<'_>,
) {
    let keys: BTreeSet<&ObjectKey> = observed.live.keys().chain(observed.mirror.keys()).collect();
    for key in keys {
        let ObjectKey::Constraint(id) = key else { continue };
        if id.kind != unit.kind || unit.constraints.contains_key(&id.name) {
            continue;
        }
        let Standing::Known(known) = observed.standing(key, context.instance) else { continue };
        restore(plan, key, observed, context);
        plan.statuses.push(ConstraintStatus {
            constraint: id.clone(),
            stage: known.record.stage,
            target: None,
            since: Some(known.record.since),
            hash: Some(known.record.hash),
            candidate: None,
            state: State::Refused,
            waiting: None,
            next: format!("refused in git, stays as enforced: {why}"),
            would_block: Vec::new(),
            not_auditable: None,
        });
    }
}

fn plan_template(
    plan: &mut UnitPlan,
    key: &ObjectKey,
    template: &DesiredTemplate,
    unit: &DesiredUnit,
    observed: &Observed,
    context: &Context<'_>,
) -> Fate {
    let known = match observed.standing(key, context.instance) {
        Standing::New => {
            let write = template_write(key, template, None, Change::Create, observed, context);
            plan.writes.push(write);
            return Fate::Written;
        }
        Standing::Foreign(owner) => {
            let whose = if owner.is_empty() {
                "nobody marked it as ours".to_owned()
            } else {
                format!("it belongs to {owner}")
            };
            return Fate::Blocked(format!(
                "the template exists already and {whose}; it is left alone (list its kind in source.externalTemplates to use it)"
            ));
        }
        Standing::Unknown(why) => {
            return Fate::Held(format!(
                "the state of the template is unknown: {why}; it is kept exactly as enforced"
            ));
        }
        Standing::Known(known) => known,
    };
    if known.record.hash == template.hash {
        let digest = render::content_digest(&render::template_content(&template.manifest));
        if known.record.content.as_deref() == Some(digest.as_str()) {
            restore(plan, key, observed, context);
        } else {
            plan.writes.push(template_write(
                key,
                template,
                Some(&known),
                Change::Cosmetic,
                observed,
                context,
            ));
        }
        return Fate::InForce;
    }

    let fate = changed_template(unit, observed, context);
    let change = match &fate {
        Fate::Written => Change::Update,
        Fate::Swapped(_) => Change::Swap,
        Fate::Restarted => Change::Restart,
        _ => {
            restore(plan, key, observed, context);
            return fate;
        }
    };
    let mut write = template_write(key, template, Some(&known), change, observed, context);
    if let Fate::Swapped(by) = &fate {
        write.by.clone_from(by);
    }
    plan.writes.push(write);
    fate
}

/// Rule 5: what happens to a changed template depends on how far its constraints are.
fn changed_template(unit: &DesiredUnit, observed: &Observed, context: &Context<'_>) -> Fate {
    let keys: BTreeSet<&ObjectKey> = observed
        .live
        .keys()
        .chain(observed.mirror.keys())
        .filter(|key| !key.is_template() && key.unit() == unit.kind)
        .collect();
    let mut strategy: Option<Strategy> = None;
    let mut past = Vec::new();
    let mut person = None;
    for key in keys {
        let ObjectKey::Constraint(id) = key else { continue };
        let desired = unit.constraints.get(&id.name);
        let (stage, intents) = match observed.standing(key, context.instance) {
            Standing::New => continue,
            Standing::Known(known) => (known.record.stage, known.intents),
            Standing::Foreign(_) | Standing::Unknown(_) => (
                observed.live.get(key).and_then(|live| render::live_stage(&live.manifest)),
                Intents::default(),
            ),
        };
        if let Some(hold) = intents.standing_hold() {
            return Fate::Held(format!(
                "{id} is held by {}; the unit keeps its version until `rollout resume {id}`",
                hold.words()
            ));
        }
        if let (Some(promote), Some(desired)) = (&intents.promote, desired)
            && promote.hash.as_ref().is_none_or(|hash| *hash == desired.hash)
        {
            person = Some(promote.clone());
        }
        if stage.is_some_and(|stage| stage > Stage::Dryrun) {
            past.push(id.clone());
            let its = desired.map_or(Strategy::Shadow, DesiredConstraint::strategy);
            strategy = Some(match (strategy, its) {
                (None, its) => its,
                (Some(Strategy::Shadow), _) | (_, Strategy::Shadow) => Strategy::Shadow,
                (Some(Strategy::Restart), _) | (_, Strategy::Restart) => Strategy::Restart,
                (Some(Strategy::Apply), Strategy::Apply) => Strategy::Apply,
            });
        }
    }
    match (strategy, person) {
        (None, _) => Fate::Written,
        (Some(_), Some(person)) => Fate::Swapped(Some(person)),
        (Some(Strategy::Apply), None) => Fate::Swapped(None),
        (Some(Strategy::Restart), None) => Fate::Restarted,
        (Some(Strategy::Shadow), None) => {
            let first = past.first().map(ToString::to_string).unwrap_or_default();
            Fate::Held(ways_out(&first))
        }
    }
}

/// The message of a version held back under `Shadow`, with the ways to mend a deny that blocks by mistake.
pub(super) fn ways_out(id: &str) -> String {
    format!(
        "the changed version is held, the old one stays enforced (strategy Shadow needs the candidate's own \
         evidence, which is not supported yet); ways out: `portcullis rollout promote {id} --now --reason …` puts it \
         in at the same stage, `change: {{strategy: Apply}}` or `Restart` in its Rollout, or a lower \
         enforcementAction in git"
    )
}

fn template_write(
    key: &ObjectKey,
    template: &DesiredTemplate,
    known: Option<&Known>,
    change: Change,
    observed: &Observed,
    context: &Context<'_>,
) -> Write {
    let content = render::template_content(&template.manifest);
    let same = known.is_some_and(|known| known.record.hash == template.hash);
    let record = Record {
        hash: template.hash.clone(),
        revision: context.revision.clone(),
        stage: None,
        since: known.filter(|_| same).map_or(context.now, |known| known.record.since),
        acknowledged: known.filter(|_| same).and_then(|known| known.record.acknowledged),
        exempted: Vec::new(),
        hold: None,
        content: Some(render::content_digest(&content)),
    };
    let live = observed.live.get(key);
    Write {
        key: key.clone(),
        phase: Phase::Templates,
        manifest: render::manifest(
            &content,
            &record,
            context.instance,
            live.map(|live| &live.manifest),
            known.map(|known| &known.manifest),
            &[],
        ),
        expected: live.map(|live| live.version.clone()),
        before: known.map(|known| known.record.clone()),
        reason: match &change {
            Change::Create => "new in git".to_owned(),
            Change::Cosmetic => "changed in git, verdicts stay the same".to_owned(),
            _ => "changed in git".to_owned(),
        },
        change,
        record,
        by: None,
        evidence: Value::Null,
    }
}

/// Puts an object back to our last write where it drifted.
pub(super) fn restore(plan: &mut UnitPlan, key: &ObjectKey, observed: &Observed, context: &Context<'_>) {
    let Standing::Known(known) = observed.standing(key, context.instance) else { return };
    let Some(drift) = &known.drift else { return };
    let what = match drift {
        Drift::Deleted => "deleted by hand".to_owned(),
        Drift::Changed(parts) => format!("changed by hand: {}", parts.join(", ")),
    };
    if !context.correct_drift {
        plan.notices.push(format!("{key}: {what}; left as it is (apply.drift: Report)"));
        return;
    }
    let live = observed.live.get(key);
    // Our last write of a constraint already has its stage and its exemptions.
    let content = render::template_content(&known.manifest);
    plan.writes.push(Write {
        key: key.clone(),
        phase: if key.is_template() { Phase::Templates } else { Phase::Constraints },
        manifest: render::manifest(
            &content,
            &known.record,
            context.instance,
            live.map(|live| &live.manifest),
            Some(&known.manifest),
            &[],
        ),
        expected: live.map(|live| live.version.clone()),
        record: known.record.clone(),
        before: Some(known.record.clone()),
        reason: what,
        change: Change::Restore(drift.clone()),
        by: None,
        evidence: json!({"drift": true}),
    });
}
