//! The decision for one constraint whose version in git is the version in force.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    document::Duration,
    identity::{PolicyHash, Stage},
    rollout::{Evidence, GateBounds, PersonIntent, RolloutSpec, StageSpec, read_gate},
};

/// Everything a decision depends on.
pub struct Situation<'a> {
    /// The version in force.
    pub hash: &'a PolicyHash,
    /// The stage in force.
    pub stage: Stage,
    /// Since when this version stands at this stage.
    pub since: Timestamp,
    /// When this version was acknowledged at this stage; `None` where it is not.
    pub acknowledged: Option<Timestamp>,
    /// The furthest stage git allows.
    pub target: Stage,
    /// The rules.
    pub rollout: &'a RolloutSpec,
    /// The audits of this hash, newest first.
    pub evidence: &'a Evidence,
    /// The interval of the audit schedule.
    pub audit_interval: Duration,
    /// Whether an Exemption excuses the constraint in a namespace now.
    pub exempt: &'a dyn Fn(&str) -> bool,
    /// Why audits cannot judge this policy; `None` where they can.
    pub not_auditable: Option<&'a str>,
    /// A person's standing hold.
    pub hold: Option<&'a PersonIntent>,
    /// A person's wish to promote now.
    pub promote: Option<&'a PersonIntent>,
    /// Why the configuration or git keep it from being promoted (what is not supported yet, a broken Rollout).
    pub capped: &'a [String],
}

/// Where the constraint stands with its decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Waiting {
    /// Nothing to wait for: it is where git wants it.
    AtTarget,
    /// It moves now.
    Moving,
    /// Soak or audits are still running, all well so far.
    Evidence,
    /// Subjects violate.
    Violations,
    /// The evidence says neither yes nor no.
    Inconclusive,
    /// Only a person can promote it.
    Person,
    /// A person holds it.
    Held,
    /// Something in git or the configuration keeps it.
    Capped,
}

/// What to do with one constraint, and why in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The stage it shall have.
    pub stage: Stage,
    /// What it waits for.
    pub waiting: Waiting,
    /// The sentence of rule 9.
    pub sentence: String,
    /// Who decided, where it was a person.
    pub by: Option<PersonIntent>,
    /// Whether the person's wish to promote is used up (acted on or impossible).
    pub promote_consumed: bool,
    /// What the decision rests on, for the history.
    pub evidence: Value,
    /// What would be blocked if it were promoted now.
    pub subjects: Vec<crate::audit::Subject>,
}

/// The next listed stage above the present one, no further than the target.
pub fn next_stage(rollout: &RolloutSpec, stage: Stage, target: Stage) -> Option<Stage> {
    rollout.stages.iter().map(|spec| spec.action).filter(|next| *next > stage && *next <= target).min()
}

fn stage_spec(rollout: &RolloutSpec, stage: Stage) -> Option<&StageSpec> {
    rollout.stages.iter().find(|spec| spec.action == stage)
}

/// Decides rules 1 to 4 and 7 of the rollout for one constraint. Same inputs, same decision.
pub fn decide(situation: &Situation<'_>, now: Timestamp) -> Decision {
    let stay = |waiting, sentence: String| Decision {
        stage: situation.stage,
        waiting,
        sentence,
        by: None,
        promote_consumed: false,
        evidence: Value::Null,
        subjects: Vec::new(),
    };

    if situation.target < situation.stage {
        return Decision {
            stage: situation.target,
            evidence: json!({"target": situation.target}),
            ..stay(Waiting::Moving, format!("target lowered to {} in git", situation.target))
        };
    }

    let next = next_stage(situation.rollout, situation.stage, situation.target);
    let mut decision = match next {
        Some(next) => toward(situation, next, now),
        None => match situation.hold {
            Some(hold) => stay(Waiting::Held, format!("held by {} · {}", hold.words(), at_rest(situation))),
            None => stay(Waiting::AtTarget, at_rest(situation)),
        },
    };
    if let Some(promote) = situation.promote {
        decision = by_person(situation, promote, next, decision);
    }
    decision
}

fn at_rest(situation: &Situation<'_>) -> String {
    if situation.stage == situation.target {
        "at its target".to_owned()
    } else {
        format!("the Rollout lists no stage between {} and the target {}", situation.stage, situation.target)
    }
}

fn toward(situation: &Situation<'_>, next: Stage, now: Timestamp) -> Decision {
    let spec = stage_spec(situation.rollout, situation.stage);
    let since = situation.acknowledged.unwrap_or(situation.since).max(situation.since);
    let mut parts = Vec::new();

    let soak = spec.and_then(|spec| spec.soak).unwrap_or_default();
    let soaked = now.as_millisecond() - situation.since.as_millisecond();
    if soak.millis() > 0 {
        parts.push(format!("soak {} of {soak}", Duration::from_millis(soaked)));
    }

    let bounds = GateBounds::resolve(spec.and_then(|spec| spec.gate.as_ref()), situation.audit_interval);
    let reading = bounds.map(|bounds| read_gate(&bounds, situation.evidence, since, now, situation.exempt));
    let subjects = reading.as_ref().map(|reading| reading.subjects.clone()).unwrap_or_default();
    if let Some(reading) = &reading {
        if situation.not_auditable.is_none() {
            parts.extend(reading.parts.iter().cloned());
        }
    } else {
        parts.push("no gate".to_owned());
    }

    let (waiting, note) = if let Some(hold) = situation.hold {
        (Waiting::Held, Some(format!("held by {}", hold.words())))
    } else if let Some(reason) = situation.capped.first() {
        (Waiting::Capped, Some(reason.clone()))
    } else if let Some(why) = situation.not_auditable {
        (Waiting::Person, Some(format!("not auditable ({why}): promote by hand")))
    } else if soaked < 0 {
        (
            Waiting::Inconclusive,
            Some("inconclusive: its stage began in the future: the clock went backwards".to_owned()),
        )
    } else if situation.acknowledged.is_none() {
        (Waiting::Inconclusive, Some("inconclusive: the present stage is not acknowledged".to_owned()))
    } else {
        match &reading {
            Some(reading) if reading.violated => (Waiting::Violations, None),
            Some(reading) if reading.inconclusive.is_some() => (Waiting::Inconclusive, None),
            Some(reading) if !reading.met => (Waiting::Evidence, None),
            _ if soaked < soak.millis() => (Waiting::Evidence, None),
            _ => (Waiting::Moving, None),
        }
    };
    if let Some(note) = note {
        parts.insert(0, note);
    }
    let moving = waiting == Waiting::Moving;
    Decision {
        stage: if moving { next } else { situation.stage },
        waiting,
        sentence: parts.join(" · "),
        by: None,
        promote_consumed: false,
        evidence: json!({
            "soakMillis": soaked,
            "audits": situation.evidence.counted_since(since),
            "newestRun": situation.evidence.newest_since(since).map(|audit| audit.run),
            "violatingSubjects": subjects.len(),
        }),
        subjects,
    }
}

/// A person's wish is never blocked by soak, gate or missing evidence, only by what cannot be done.
fn by_person(
    situation: &Situation<'_>,
    promote: &PersonIntent,
    next: Option<Stage>,
    automatic: Decision,
) -> Decision {
    let refuse = |why: String| Decision {
        sentence: format!(
            "promotion asked for by {} not done: {why} · {}",
            promote.words(),
            automatic.sentence
        ),
        promote_consumed: true,
        ..automatic.clone()
    };
    if promote.hash.as_ref().is_some_and(|hash| hash != situation.hash) {
        return refuse("it was meant for another version of the policy".to_owned());
    }
    let Some(next) = next else {
        return refuse(at_rest(situation));
    };
    if let Some(hold) = situation.hold {
        return refuse(format!("held by {}: resume it first", hold.words()));
    }
    if let Some(reason) = situation.capped.first() {
        return refuse(reason.clone());
    }
    Decision {
        stage: next,
        waiting: Waiting::Moving,
        sentence: format!("promoted by {}", promote.words()),
        by: Some(promote.clone()),
        promote_consumed: true,
        ..automatic
    }
}
