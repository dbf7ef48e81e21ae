//! One pass of the daemon: pull, validate, plan, apply, promote. Read it from top to bottom.

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_core::{
    identity::{ConstraintId, PolicyHash, Revision, Stage},
    plan::{self, AllowPrune, Context, ObjectKey, Observed, Plan, State},
    rollout::Waiting,
    scope::Exemptions,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    config::NotificationEvent,
    edge::{
        git::GitError,
        store::{Accepted, Action, PendingAction, StoreError, SyncRecord},
    },
    pipeline::{
        apply::{Applied, Applier, error_line},
        evidence::{Gathered, gather},
        notify::Event,
        observe::{self, ObserveError},
        ports::Ports,
        prepare::{LastGood, Prepared, Wanted},
        revision::{Chosen, choose, first_errors},
    },
};

/// What a pass came to, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Cluster and git agree, as far as soaks, gates and windows let them.
    InStep,
    /// Something waits for a person.
    Held,
    /// Part of the revision is in force, part is not.
    Partial,
    /// The revision is refused whole; the last good one stays in force.
    Refused,
    /// The remote could not be asked, or the pass not be made; what is enforced stays as it was.
    Failed,
}

impl Verdict {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::InStep => "in step",
            Self::Held => "held",
            Self::Partial => "partial",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// As the store keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "inStep",
            Self::Held => "held",
            Self::Partial => "partial",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What a pass did and came to.
#[derive(Debug)]
pub struct SyncOutcome {
    /// In a word.
    pub verdict: Verdict,
    /// Why, a line each.
    pub reasons: Vec<String>,
    /// The revision in force.
    pub revision: Option<Revision>,
    /// The revision that was tried; its problems are in its bundle.
    pub tried: Option<Arc<Prepared>>,
    /// What was planned.
    pub plan: Plan,
    /// What was done of it.
    pub applied: Applied,
}

impl SyncOutcome {
    /// Whether anything on the cluster was changed.
    pub fn changed(&self) -> bool {
        !self.applied.done.is_empty()
    }
}

/// What keeps a pass from being made.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// There is no revision to work with.
    #[error("no policy revision to work with")]
    NoRevision(#[source] GitError),
    /// The cache does not answer.
    #[error("cannot read the revision from the git cache")]
    Source(#[source] GitError),
    /// Cluster or store do not answer.
    #[error("cannot see what is there")]
    Observe(#[from] ObserveError),
    /// The store does not answer.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
}

impl SyncError {
    /// The error on one line, with what to do where that is known.
    fn line(&self) -> String {
        let line = error_line(self);
        match self {
            Self::NoRevision(error) | Self::Source(error) => match error.hint() {
                Some(hint) => format!("{line} ({hint})"),
                None => line,
            },
            Self::Observe(_) | Self::Store(_) => line,
        }
    }
}

/// Makes one pass and records it. Errors are recorded too, and leave what is enforced as it was.
pub async fn sync(ports: &Ports, allow: Option<AllowPrune>, cancel: &CancellationToken) -> SyncOutcome {
    let outcome = match pass(ports, allow, cancel).await {
        Ok(outcome) => outcome,
        Err(error) => SyncOutcome {
            verdict: Verdict::Failed,
            reasons: vec![error.line()],
            revision: None,
            tried: None,
            plan: Plan::default(),
            applied: Applied::default(),
        },
    };
    if let Err(error) = record(ports, &outcome).await {
        tracing::warn!(%error, "the outcome of a sync could not be recorded");
    }
    outcome
}

async fn pass(
    ports: &Ports,
    allow: Option<AllowPrune>,
    cancel: &CancellationToken,
) -> Result<SyncOutcome, SyncError> {
    let recovered =
        observe::recover(ports.cluster.as_ref(), &ports.store, &ports.notifier, &ports.chance, ports.now());
    for line in recovered.await? {
        tracing::info!("{line}");
    }
    let accepted = ports.store.accepted().await?;
    let Chosen { prepared, refused, mut verdict, mut reasons } =
        choose(ports, accepted.as_ref(), cancel).await?;

    for key in ports.cluster.collect().await.map_err(ObserveError::from)? {
        tracing::info!(object = %key, "removed by the cluster, since its template is gone");
    }
    let view = view(ports, &prepared).await?;
    let pending = ports.store.pending_actions().await?;
    let allow = allow.or_else(|| allowed(&pending));
    let plan = view.plan(ports, allow.as_ref());

    let applier = Applier {
        cluster: ports.cluster.as_ref(),
        store: &ports.store,
        clock: &ports.clock,
        chance: &ports.chance,
        notifier: &ports.notifier,
        timeout: ports.config.apply.timeout,
        revision: &prepared.revision,
        cancel,
        undone: &ports.undone,
    };
    let applied = applier.apply(&plan, &view.observed).await;

    accept(ports, &prepared, accepted.as_ref(), &view.wanted.last_good).await?;
    settle_actions(ports, &pending, &plan, &applied).await?;
    let (weighed, said) = weigh(&prepared, &plan, &applied);
    verdict = verdict.max(weighed);
    reasons.extend(said);
    Ok(SyncOutcome {
        verdict,
        reasons,
        revision: Some(prepared.revision.clone()),
        tried: Some(refused.unwrap_or(prepared)),
        plan,
        applied,
    })
}

/// What git wants and what is there, at one moment.
pub struct View {
    /// What is there.
    pub observed: Observed,
    /// What git wants.
    pub wanted: Wanted,
    evidence: Gathered,
    revision: Revision,
    now: Timestamp,
}

/// Looks at cluster and store for a revision. Reads only, apart from noting acknowledgements.
pub async fn view(ports: &Ports, prepared: &Prepared) -> Result<View, SyncError> {
    let now = ports.now();
    let mut observed = observe::observe(ports.cluster.as_ref(), &ports.store).await?;
    if !ports.store.is_reading() {
        observe::acknowledge(ports.cluster.as_ref(), &ports.store, &mut observed, now).await?;
        // A store that cannot be written keeps nobody from restoring.
        observe::remember(&ports.store, &ports.config.instance, &mut observed, now).await;
    }
    let good = ports.store.accepted_bundle().await?;
    let good: LastGood = good.and_then(|good| serde_json::from_value(good).ok()).unwrap_or_default();
    let wanted = prepared.wanted(&observed, &good, &ports.config.rollout.default, now);
    let evidence = gather(ports, &observed, &wanted).await?;
    Ok(View { observed, wanted, evidence, revision: prepared.revision.clone(), now })
}

impl View {
    /// The stage a constraint is enforced at now.
    pub fn live_stage(&self, id: &ConstraintId) -> Option<Stage> {
        let live = self.observed.live.get(&ObjectKey::Constraint(id.clone()))?;
        plan::render::live_stage(&live.manifest)
    }

    /// What a sync would do now.
    pub fn plan(&self, ports: &Ports, allow: Option<&AllowPrune>) -> Plan {
        let evidence = |id: &ConstraintId, hash: &PolicyHash| {
            self.evidence.get(&(id.clone(), hash.clone())).map(Arc::clone).unwrap_or_default()
        };
        let exemptions: &Exemptions = &self.wanted.exemptions;
        let exempt = |id: &ConstraintId, namespace: &str| exemptions.exempt_by(id, namespace).is_some();
        plan::plan(
            &self.wanted.desired,
            &self.observed,
            ports.prune_budget(),
            allow,
            &Context {
                instance: &ports.config.instance,
                now: self.now,
                revision: &self.revision,
                audit_interval: ports.audit_interval(),
                evidence: &evidence,
                exempt: &exempt,
                correct_drift: ports.correct_drift(),
                keep_exempted: self.wanted.desired.keep_exempted,
            },
        )
    }
}

fn allowed(pending: &[PendingAction]) -> Option<AllowPrune> {
    pending.last().map(|pending| match &pending.action {
        Action::AllowPrune { count, revision } => {
            AllowPrune { count: *count, revision: revision.as_str().to_owned() }
        }
    })
}

/// Requests are good for one pass: carried out or not, they are used up, and the store says which.
async fn settle_actions(
    ports: &Ports,
    pending: &[PendingAction],
    plan: &Plan,
    applied: &Applied,
) -> Result<(), SyncError> {
    let removed = applied.done.iter().filter(|done| done.word == "removed").count();
    for action in pending {
        let outcome = if plan.prune.objects.is_empty() {
            "there was nothing to remove".to_owned()
        } else if plan.prune.held.is_empty() {
            format!("{removed} of {} objects removed", plan.prune.objects.len())
        } else {
            format!("still held: {}", plan.prune.held.join("; "))
        };
        ports.store.consume_action(action.id, &outcome, ports.now()).await?;
    }
    Ok(())
}

async fn accept(
    ports: &Ports,
    prepared: &Prepared,
    accepted: Option<&Accepted>,
    last_good: &LastGood,
) -> Result<(), SyncError> {
    if prepared.is_nothing() {
        return Ok(());
    }
    if accepted.is_none_or(|accepted| accepted.revision != prepared.revision) {
        let good = serde_json::to_value(last_good).ok();
        ports.store.set_accepted(&prepared.revision, good.as_ref(), ports.now()).await?;
    }
    ports.source.keep(&prepared.revision).map_err(SyncError::Source)
}

/// What the pass came to, from its problems, its plan and what was done.
fn weigh(prepared: &Prepared, plan: &Plan, applied: &Applied) -> (Verdict, Vec<String>) {
    let mut verdict = Verdict::InStep;
    let mut reasons = Vec::new();
    if prepared.bundle.has_errors() {
        verdict = verdict.max(Verdict::Partial);
        reasons.push(format!(
            "revision {} is in force in part: {}",
            prepared.revision.short(),
            first_errors(prepared)
        ));
    }
    for (key, why) in &applied.failures {
        verdict = verdict.max(Verdict::Partial);
        reasons.push(format!("{key}: {why}"));
    }
    for status in plan.statuses.iter().filter(|status| status.is_held()) {
        verdict = verdict.max(Verdict::Held);
        reasons.push(format!("{}: {}", status.constraint, held_words(status)));
    }
    if !plan.prune.held.is_empty() {
        verdict = verdict.max(Verdict::Held);
        reasons.push(prune_words(plan, &prepared.revision));
    }
    reasons.extend(plan.notices.iter().cloned());
    (verdict, reasons)
}

fn held_words(status: &plan::ConstraintStatus) -> String {
    // What changes with the time (soaks, counts) is left out, so that a reason stays the same while it lasts.
    if status.state == State::Current && status.waiting == Some(Waiting::Held) {
        status.next.split(" · ").next().unwrap_or_default().to_owned()
    } else {
        status.next.clone()
    }
}

/// The message of a held prune, with the command that allows exactly this where a person may.
pub fn prune_words(plan: &Plan, revision: &Revision) -> String {
    let count = plan.prune.objects.len();
    let held = plan.prune.held.join("; ");
    if count == 0 {
        let names: Vec<String> = plan.prune.renamed.iter().map(|(old, _)| old.to_string()).collect();
        return format!("the old names of renamed constraints stay for now: {held} ({})", names.join(", "));
    }
    let names: Vec<String> = plan.prune.objects.iter().take(10).map(ToString::to_string).collect();
    let more = if count > 10 { format!(" and {} more", count - 10) } else { String::new() };
    let noun = if count == 1 { "object" } else { "objects" };
    let what = format!("prune of {count} {noun} is held: {held} ({}{more})", names.join(", "));
    if plan.prune.allowable {
        let revision = revision.short();
        format!("{what}; to allow exactly this: portcullis sync --allow-prune {count} --revision {revision}")
    } else {
        format!("{what}; mend the errors first")
    }
}

/// Records what changed since the last record, and tells those who want to hear of it.
async fn record(ports: &Ports, outcome: &SyncOutcome) -> Result<(), StoreError> {
    let last = ports.store.last_sync().await?;
    let record = SyncRecord {
        revision: outcome.revision.clone(),
        outcome: outcome.verdict.as_str().to_owned(),
        reasons: outcome.reasons.clone(),
        at: ports.now(),
    };
    let same = last.as_ref().is_some_and(|last| {
        last.revision == record.revision && last.outcome == record.outcome && last.reasons == record.reasons
    });
    if same && !outcome.changed() {
        return Ok(());
    }
    let known = last.map(|last| last.reasons).unwrap_or_default();
    if let Some(event) = event_of(outcome, &known, ports.now()) {
        // Told before it is recorded as known: a crash in between tells it twice, never not at all.
        let told = ports.notifier.deliveries(&event, &ports.store, &ports.chance);
        ports.store.enqueue(&told, ports.now()).await?;
    }
    ports.store.record_sync(&record).await
}

/// What those who want to hear of it are told: the reasons that were not there before.
fn event_of(outcome: &SyncOutcome, known: &[String], at: Timestamp) -> Option<Event> {
    let event = match outcome.verdict {
        Verdict::InStep => return None,
        Verdict::Held => NotificationEvent::Hold,
        Verdict::Partial | Verdict::Refused | Verdict::Failed => NotificationEvent::SyncFailed,
    };
    let fresh: Vec<&String> = outcome.reasons.iter().filter(|reason| !known.contains(reason)).collect();
    let first = fresh.first()?;
    let more = if fresh.len() > 1 { format!(" (and {} more)", fresh.len() - 1) } else { String::new() };
    Some(Event {
        revision: outcome.revision.clone(),
        details: serde_json::json!({"verdict": outcome.verdict, "reasons": fresh}),
        ..Event::new(event, format!("sync {}: {first}{more}", outcome.verdict.words()), at)
    })
}
