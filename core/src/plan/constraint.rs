//! The plan of one constraint, given what becomes of its template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    identity::{ConstraintId, PolicyHash, Stage},
    plan::{
        Change, ConstraintStatus, DesiredConstraint, Known, ObjectKey, Observed, Phase, Record, Standing,
        State, Write, render,
        unit::{Context, Fate, UnitPlan, restore, ways_out},
    },
    rollout::{self, HOLD, Intents, PROMOTE, PersonIntent, RESUME, Situation, Strategy, Waiting},
};

/// One constraint with all it is planned from.
struct Case<'a> {
    key: ObjectKey,
    desired: &'a DesiredConstraint,
    observed: &'a Observed,
    context: &'a Context<'a>,
}

/// Plans one constraint: at most one write, two where a restart must weaken before its template is replaced.
pub(super) fn plan_constraint(
    plan: &mut UnitPlan,
    desired: &DesiredConstraint,
    refused: Option<&str>,
    fate: &Fate,
    observed: &Observed,
    renames: &BTreeMap<ConstraintId, ConstraintId>,
    context: &Context<'_>,
) {
    let case = Case { key: ObjectKey::Constraint(desired.id.clone()), desired, observed, context };
    let standing = observed.standing(&case.key, context.instance);
    let status = match standing {
        Standing::New => case.enter(plan, refused, fate, renames),
        Standing::Foreign(owner) => {
            let whose = if owner.is_empty() { "nobody's instance".to_owned() } else { owner };
            let live = observed.live.get(&case.key).and_then(|live| render::live_stage(&live.manifest));
            case.status(
                State::Foreign,
                live,
                None,
                format!("exists already and is not ours ({whose}): left alone"),
            )
        }
        Standing::Unknown(why) => {
            let live = observed.live.get(&case.key).and_then(|live| render::live_stage(&live.manifest));
            case.status(State::Unknown, live, None, format!("state unknown: {why}; kept exactly as enforced"))
        }
        Standing::Known(known) => case.keep(plan, &known, refused, fate),
    };
    plan.statuses.push(status);
}

impl Case<'_> {
    fn status(
        &self,
        state: State,
        stage: Option<Stage>,
        known: Option<&Known>,
        next: String,
    ) -> ConstraintStatus {
        ConstraintStatus {
            constraint: self.desired.id.clone(),
            stage,
            target: Some(self.desired.spec.target.stage()),
            since: known.map(|known| known.record.since),
            hash: known.map(|known| known.record.hash.clone()),
            candidate: None,
            state,
            waiting: None,
            next,
            would_block: Vec::new(),
            not_auditable: self.desired.not_auditable.clone(),
        }
    }

    /// Rule 1: new to cluster and store enters at dryrun; a rename takes over stage and soak.
    fn enter(
        &self,
        plan: &mut UnitPlan,
        refused: Option<&str>,
        fate: &Fate,
        renames: &BTreeMap<ConstraintId, ConstraintId>,
    ) -> ConstraintStatus {
        let waits = match (refused, fate) {
            (Some(why), _) => Some((State::Refused, format!("refused: {why}"))),
            (None, Fate::Held(why)) => {
                Some((State::Pending, format!("pending: its template is held: {why}")))
            }
            (None, Fate::Blocked(why)) => Some((State::Pending, format!("pending: {why}"))),
            _ => None,
        };
        if let Some((state, why)) = waits {
            return self.status(state, None, None, why);
        }
        let old = renames.get(&self.desired.id).and_then(|old| {
            match self.observed.standing(&ObjectKey::Constraint(old.clone()), self.context.instance) {
                Standing::Known(known) => Some((old.clone(), known)),
                _ => None,
            }
        });
        let target = self.desired.spec.target.stage();
        let (stage, since, change, reason) = match &old {
            Some((id, known)) => (
                known.record.stage.unwrap_or(Stage::Dryrun).min(target),
                known.record.since,
                Change::Rename(id.clone()),
                format!("renamed from {id}, keeps its stage"),
            ),
            None => {
                (Stage::Dryrun, self.context.now, Change::Create, "new in git, enters at dryrun".to_owned())
            }
        };
        let mut record = self.record(stage, since, self.desired.hash.clone());
        record.acknowledged = None;
        record.hold = old.as_ref().and_then(|(_, known)| known.intents.standing_hold().cloned());
        let write = self.write(&self.desired.manifest, stage, record, None, change, reason.clone());
        let mut status = self.status(State::Entering, Some(stage), None, reason);
        status.since = Some(since);
        status.hash = Some(self.desired.hash.clone());
        plan.writes.push(write);
        status
    }

    /// A constraint of ours whose state is known.
    fn keep(
        &self,
        plan: &mut UnitPlan,
        known: &Known,
        refused: Option<&str>,
        fate: &Fate,
    ) -> ConstraintStatus {
        let stage = known.record.stage.unwrap_or(Stage::Dryrun);
        if let Some(why) = refused {
            restore(plan, &self.key, self.observed, self.context);
            return self.status(
                State::Refused,
                Some(stage),
                Some(known),
                format!("refused in git, stays as enforced: {why}"),
            );
        }
        let hash_in_force = self.desired.hash_in_force.as_ref().unwrap_or(&self.desired.hash);
        match fate {
            Fate::Held(why) | Fate::Blocked(why) => {
                let own_change = hash_in_force != &known.record.hash;
                self.hold_version(plan, known, why, own_change || self.desired.hash_in_force.is_some())
            }
            Fate::Swapped(by) => self.new_version(plan, known, Change::Swap, stage, by.clone()),
            Fate::Restarted => {
                if stage > Stage::Dryrun {
                    self.weaken(plan, known);
                }
                let status = self.new_version(plan, known, Change::Restart, Stage::Dryrun, None);
                // It is at dryrun by then: only one of the two writes is the way down.
                let before = plan.writes.last_mut().and_then(|write| write.before.as_mut());
                if let Some(before) = before {
                    before.stage = Some(Stage::Dryrun);
                }
                status
            }
            Fate::InForce | Fate::Written if self.desired.hash == known.record.hash => {
                self.decide(plan, known)
            }
            Fate::InForce | Fate::Written => self.changed(plan, known),
        }
    }

    /// The constraint's own text changed, its template did not (or may be replaced freely).
    fn changed(&self, plan: &mut UnitPlan, known: &Known) -> ConstraintStatus {
        let stage = known.record.stage.unwrap_or(Stage::Dryrun);
        if stage > Stage::Dryrun && self.is_enforced_already(known) {
            return self.new_version(plan, known, Change::Swap, stage, None);
        }
        if let Some(hold) = known.intents.standing_hold() {
            let why = format!(
                "held by {}; the changed version waits until `portcullis rollout resume {}`",
                hold.words(),
                self.desired.id
            );
            return self.hold_version(plan, known, &why, true);
        }
        if stage == Stage::Dryrun {
            return self.new_version(plan, known, Change::Update, Stage::Dryrun, None);
        }
        if let Some(promote) = &known.intents.promote
            && promote.hash.as_ref().is_none_or(|hash| *hash == self.desired.hash)
        {
            return self.new_version(plan, known, Change::Swap, stage, Some(promote.clone()));
        }
        match self.desired.strategy() {
            Strategy::Apply => self.new_version(plan, known, Change::Swap, stage, None),
            Strategy::Restart => self.new_version(plan, known, Change::Restart, Stage::Dryrun, None),
            Strategy::Shadow => self.hold_version(plan, known, &ways_out(&self.desired.id.to_string()), true),
        }
    }

    /// Whether git's version is what is enforced, and only the state does not say so yet: its template was
    /// replaced, and the write of the constraint failed or was cut off.
    fn is_enforced_already(&self, known: &Known) -> bool {
        let template = self.observed.live.get(&ObjectKey::Template(self.desired.id.kind.clone()));
        template.is_some_and(|template| {
            render::hash_constraint(&template.manifest, &known.manifest).as_ref() == Ok(&self.desired.hash)
        })
    }

    /// The old version stays; a lowered target and exemptions still act on it.
    fn hold_version(&self, plan: &mut UnitPlan, known: &Known, why: &str, differs: bool) -> ConstraintStatus {
        let before = known.record.stage.unwrap_or(Stage::Dryrun);
        let target = self.desired.spec.target.stage();
        let stage = before.min(target);
        let base = render::without_exemptions(&known.manifest);
        let since = if stage == before { known.record.since } else { self.context.now };
        let mut record = self.record(stage, since, known.record.hash.clone());
        record.revision = known.record.revision.clone();
        record.acknowledged = if stage == before { known.record.acknowledged } else { None };
        let change = if stage == before { Change::Exemptions } else { Change::Move(before, stage) };
        let reason = if stage == before {
            "exemptions changed".to_owned()
        } else {
            format!("target lowered to {target} in git")
        };
        let mut write = self.write(&base, stage, record, Some(known), change, reason);
        let stale_promote = known.intents.promote.is_some();
        if stage == before && write.record.exempted == known.record.exempted {
            // Nothing of the content changes: only drift and used-up annotations are left to write.
            if let Some(resume) = &known.intents.resume {
                write.change = Change::Consume;
                write.reason = format!("resumed by {}", resume.words());
                write.by = Some(resume.clone());
                write.record = known.record.clone();
                plan.writes.push(write);
            } else if stale_promote {
                write.change = Change::Consume;
                write.reason = "promotion asked for could not be done: the version is held".to_owned();
                write.record = known.record.clone();
                plan.writes.push(write);
            } else {
                restore(plan, &self.key, self.observed, self.context);
            }
        } else {
            plan.writes.push(write);
        }
        let mut status = self.status(State::HeldVersion, Some(stage), Some(known), why.to_owned());
        status.candidate = differs.then(|| self.desired.hash.clone());
        status
    }

    /// A new version replaces the old one, at `stage` or at the target where that is lower.
    fn new_version(
        &self,
        plan: &mut UnitPlan,
        known: &Known,
        change: Change,
        stage: Stage,
        by: Option<PersonIntent>,
    ) -> ConstraintStatus {
        let stage = stage.min(self.desired.spec.target.stage());
        let mut record = self.record(stage, self.context.now, self.desired.hash.clone());
        record.acknowledged = None;
        let reason = match (&by, &change) {
            (Some(by), _) => format!("changed version put in at {stage} by {}", by.words()),
            (None, Change::Restart) => "changed in git, back to dryrun (strategy Restart)".to_owned(),
            (None, Change::Swap) => format!("changed in git, applied at {stage} (strategy Apply)"),
            _ => "changed in git, soak restarts".to_owned(),
        };
        let mut write =
            self.write(&self.desired.manifest, stage, record, Some(known), change, reason.clone());
        write.by = by;
        let mut status = self.status(State::Current, Some(stage), Some(known), reason);
        status.hash = Some(self.desired.hash.clone());
        status.since = Some(self.context.now);
        status.waiting = Some(Waiting::Moving);
        plan.writes.push(write);
        status
    }

    /// Back to dryrun with the old version, before a restart replaces the template.
    fn weaken(&self, plan: &mut UnitPlan, known: &Known) {
        let base = render::without_exemptions(&known.manifest);
        let before = known.record.stage.unwrap_or(Stage::Dryrun);
        let mut record = self.record(Stage::Dryrun, self.context.now, known.record.hash.clone());
        record.revision = known.record.revision.clone();
        record.acknowledged = None;
        let mut write = self.write(
            &base,
            Stage::Dryrun,
            record,
            Some(known),
            Change::Move(before, Stage::Dryrun),
            "back to dryrun before its changed template is applied (strategy Restart)".to_owned(),
        );
        write.phase = Phase::Weaken;
        plan.writes.push(write);
    }

    /// Git's version is in force: rules 2 to 4 and 7.
    fn decide(&self, plan: &mut UnitPlan, known: &Known) -> ConstraintStatus {
        let before = known.record.stage.unwrap_or(Stage::Dryrun);
        let Intents { promote, resume, unsupported, .. } = &known.intents;
        let exempt = |namespace: &str| (self.context.exempt)(&self.desired.id, namespace);
        let evidence = (self.context.evidence)(&self.desired.id, &known.record.hash);
        let mut capped = self.desired.capped.clone();
        capped.extend(unsupported.iter().map(|key| format!("annotation {key} is not supported yet")));
        let decision = rollout::decide(
            &Situation {
                hash: &known.record.hash,
                stage: before,
                since: known.record.since,
                acknowledged: known.record.acknowledged,
                target: self.desired.spec.target.stage(),
                rollout: &self.desired.rollout,
                evidence: &evidence,
                audit_interval: self.context.audit_interval,
                exempt: &exempt,
                not_auditable: self.desired.not_auditable.as_deref(),
                hold: known.intents.standing_hold(),
                promote: promote.as_ref(),
                capped: &capped,
            },
            self.context.now,
        );
        // What was changed or deleted by hand is put back first; it moves on in a later pass.
        let moved = decision.stage != before && (known.drift.is_none() || decision.stage < before);
        let stage = if moved { decision.stage } else { before };
        let since = if moved { self.context.now } else { known.record.since };
        let mut record = self.record(stage, since, known.record.hash.clone());
        record.acknowledged = if moved { None } else { known.record.acknowledged };
        let mut write = self.write(
            &self.desired.manifest,
            stage,
            record,
            Some(known),
            Change::Cosmetic,
            if known.record.content.is_some() {
                "changed in git, verdicts stay the same".to_owned()
            } else {
                "its state is taken over from the object".to_owned()
            },
        );
        write.evidence = decision.evidence.clone();
        let content_same = known.record.content.is_some() && known.record.content == write.record.content;
        if moved {
            write.change = Change::Move(before, stage);
            write.reason.clone_from(&decision.sentence);
            write.by.clone_from(&decision.by);
            plan.writes.push(write);
        } else if resume.is_some() || decision.promote_consumed {
            write.change = Change::Consume;
            write.reason = match resume {
                Some(resume) => format!("resumed by {}", resume.words()),
                None => decision.sentence.clone(),
            };
            write.by.clone_from(resume);
            plan.writes.push(write);
        } else if write.record.exempted != known.record.exempted {
            write.change = Change::Exemptions;
            write.reason = "exemptions changed".to_owned();
            plan.writes.push(write);
        } else if content_same {
            restore(plan, &self.key, self.observed, self.context);
        } else {
            plan.writes.push(write);
        }
        let mut status = self.status(State::Current, Some(stage), Some(known), decision.sentence);
        status.since = Some(since);
        status.waiting = Some(decision.waiting);
        status.would_block = decision.subjects;
        status
    }

    fn record(&self, stage: Stage, since: jiff::Timestamp, hash: PolicyHash) -> Record {
        Record {
            hash,
            revision: self.context.revision.clone(),
            stage: Some(stage),
            since,
            acknowledged: None,
            exempted: Vec::new(),
            hold: None,
            content: None,
        }
    }

    /// The write of a base manifest at a stage; fills in exemptions, digest and metadata.
    fn write(
        &self,
        base: &Value,
        stage: Stage,
        mut record: Record,
        known: Option<&Known>,
        change: Change,
        reason: String,
    ) -> Write {
        let mut exempt = self.desired.exempt.clone();
        if self.context.keep_exempted {
            exempt.extend(known.into_iter().flat_map(|known| known.record.exempted.iter().cloned()));
        }
        let (content, added) = render::constraint_content(base, stage, &exempt);
        record.exempted = added;
        record.content = Some(render::content_digest(&content));
        if known
            .is_some_and(|known| known.record.content == record.content && known.record.hash == record.hash)
        {
            // Nothing of the content changed: the commit that last did stays named.
            record.revision = known.map(|known| known.record.revision.clone()).unwrap_or(record.revision);
        }
        if let Some(known) = known {
            record.hold = known.intents.standing_hold().cloned();
        }
        let consumed = Self::consumed(known);
        let live = self.observed.live.get(&self.key);
        Write {
            key: self.key.clone(),
            phase: Phase::Constraints,
            manifest: render::manifest(
                &content,
                &record,
                self.context.instance,
                live.map(|live| &live.manifest),
                known.map(|known| &known.manifest),
                &consumed,
            ),
            expected: live.map(|live| live.version.clone()),
            before: known.map(|known| known.record.clone()),
            change,
            record,
            reason,
            by: None,
            evidence: json!(null),
        }
    }

    /// The annotations of people that this write uses up: a wish to promote in any case, a hold with its resume.
    fn consumed(known: Option<&Known>) -> Vec<&'static str> {
        let Some(known) = known else { return Vec::new() };
        let mut consumed = BTreeSet::from([PROMOTE]);
        if known.intents.resume.is_some() {
            consumed.extend([RESUME, HOLD]);
        }
        consumed.into_iter().collect()
    }
}
