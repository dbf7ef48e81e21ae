//! One pass of the daemon: pull, validate, plan, apply, promote. Read it from top to bottom.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use portcullis_core::{
    audit::Subject,
    identity::{ConstraintId, PolicyHash, Revision, Stage},
    plan::{self, AllowPrune, Context, ObjectKey, Observed, Plan, State},
    problem::Severity,
    rollout::{AuditEvidence, Evidence, ViolatingSubject, Waiting},
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
        notify::Event,
        observe::{self, ObserveError},
        ports::Ports,
        prepare::{LastGood, Prepared, Wanted},
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

/// The revision of a pass, and what is to be said about how it was chosen.
struct Chosen {
    prepared: Arc<Prepared>,
    /// The one that was tried and refused, where it is another.
    refused: Option<Arc<Prepared>>,
    verdict: Verdict,
    reasons: Vec<String>,
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

/// Which revision this pass works with: the newest, or the last good one where the newest cannot be had or
/// is refused.
async fn choose(
    ports: &Ports,
    accepted: Option<&Accepted>,
    cancel: &CancellationToken,
) -> Result<Chosen, SyncError> {
    let (source, stop) = (Arc::clone(&ports.source), cancel.clone());
    let fetched = tokio::task::spawn_blocking(move || source.fetch_until(&stop)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let last_good = accepted.map(|accepted| accepted.revision.clone()).or_else(|| ports.source.kept());
    let last_good = last_good.filter(|revision| ports.source.contains(revision));
    let newest = match fetched {
        Ok(fetched) => fetched.revision,
        Err(error) => {
            let Some(revision) = last_good else { return Err(SyncError::NoRevision(error)) };
            let reason = format!("{}; {} stays in force", advised(&error), revision.short());
            let prepared = ports.prepared(&revision).await.map_err(SyncError::Source)?;
            return Ok(Chosen { prepared, refused: None, verdict: Verdict::Failed, reasons: vec![reason] });
        }
    };
    if let Some(old) = last_good.as_ref().filter(|old| **old != newest) {
        let forward = ports.source.is_ancestor(old, &newest).map_err(SyncError::Source)?;
        if !forward && !ports.config.source.allow_rewrite {
            let reason = format!(
                "the branch `{}` was rewritten: {} is no longer an ancestor of {} (to accept it: \
                 source.allowRewrite: true)",
                ports.config.source.branch,
                old.short(),
                newest.short()
            );
            return stay(ports, last_good, &newest, reason, Verdict::Held, None).await;
        }
    }
    let prepared = match ports.prepared(&newest).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let reason = format!("revision {} is refused: {}", newest.short(), advised(&error));
            return stay(ports, last_good, &newest, reason, Verdict::Refused, None).await;
        }
    };
    let atomic = ports.config.source.atomic && prepared.bundle.has_errors();
    if prepared.bundle.refused_whole || atomic {
        let reason = format!("revision {} is refused whole: {}", newest.short(), first_errors(&prepared));
        return stay(ports, last_good, &newest, reason, Verdict::Refused, Some(prepared)).await;
    }
    Ok(Chosen { prepared, refused: None, verdict: Verdict::InStep, reasons: Vec::new() })
}

/// The newest revision is not taken: the last good one stays, or nothing is applied where there is none.
async fn stay(
    ports: &Ports,
    last_good: Option<Revision>,
    newest: &Revision,
    reason: String,
    verdict: Verdict,
    refused: Option<Arc<Prepared>>,
) -> Result<Chosen, SyncError> {
    let Some(revision) = last_good else {
        let reasons = vec![format!("{reason}; nothing is applied")];
        return Ok(Chosen { prepared: Arc::new(Prepared::nothing(newest)), refused, verdict, reasons });
    };
    let reasons = vec![format!("{reason}; {} stays in force", revision.short())];
    let prepared = ports.prepared(&revision).await.map_err(SyncError::Source)?;
    Ok(Chosen { prepared, refused, verdict, reasons })
}

/// What git wants and what is there, at one moment.
pub struct View {
    /// What is there.
    pub observed: Observed,
    /// What git wants.
    pub wanted: Wanted,
    evidence: BTreeMap<(ConstraintId, PolicyHash), Evidence>,
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
        if let Err(error) = observe::remember(&ports.store, &ports.config.instance, &mut observed, now).await
        {
            tracing::warn!(error = %error_line(&error), "the state of objects could not be written down");
        }
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
            self.evidence.get(&(id.clone(), hash.clone())).cloned().unwrap_or_default()
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

/// The audits of every version in force that could still move.
async fn gather(
    ports: &Ports,
    observed: &Observed,
    wanted: &Wanted,
) -> Result<BTreeMap<(ConstraintId, PolicyHash), Evidence>, SyncError> {
    let mut gathered = BTreeMap::new();
    for constraint in wanted.desired.units.values().flat_map(|unit| unit.constraints.values()) {
        let key = ObjectKey::Constraint(constraint.id.clone());
        let plan::Standing::Known(known) = observed.standing(&key, &ports.config.instance) else { continue };
        let Some(stage) = known.record.stage.filter(|stage| *stage < constraint.spec.target.stage()) else {
            continue;
        };
        let since = known.record.acknowledged.unwrap_or(known.record.since);
        let rows =
            ports.store.evidence(&constraint.id, &known.record.hash, Some(stage.as_str()), since).await?;
        let audits = rows
            .into_iter()
            .map(|row| AuditEvidence {
                run: row.run.0,
                started: row.started,
                finished: row.finished,
                by_daemon: row.by_daemon,
                slot: ports
                    .config
                    .audit
                    .schedule
                    .previous_at_or_before(row.started)
                    .map_or(0, Timestamp::as_millisecond),
                incomplete: incomplete(row.complete, row.errors),
                subjects: row.subjects.into_iter().map(violating).collect(),
            })
            .collect();
        gathered.insert((constraint.id.clone(), known.record.hash), Evidence { audits });
    }
    Ok(gathered)
}

fn incomplete(complete: bool, errors: u64) -> Option<String> {
    match (complete, errors) {
        (true, 0) => None,
        (_, 0) => Some("not everything was evaluated (see the ledger)".to_owned()),
        (_, 1) => Some("1 evaluation failed".to_owned()),
        (_, errors) => Some(format!("{errors} evaluations failed")),
    }
}

fn violating(subject: Subject) -> ViolatingSubject {
    let is_namespace = subject.group.is_empty() && subject.kind == "Namespace";
    let namespace = if is_namespace { subject.name.clone() } else { subject.namespace.clone() };
    ViolatingSubject { subject, namespace }
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

/// The message of a held prune, with the command that allows exactly this.
pub fn prune_words(plan: &Plan, revision: &Revision) -> String {
    let count = plan.prune.objects.len();
    let names: Vec<String> = plan.prune.objects.iter().take(10).map(ToString::to_string).collect();
    let more = if count > 10 { format!(" and {} more", count - 10) } else { String::new() };
    let noun = if count == 1 { "object" } else { "objects" };
    format!(
        "prune of {count} {noun} is held: {} ({}{more}); to allow exactly this: portcullis sync --allow-prune {count} \
         --revision {}",
        plan.prune.held.join("; "),
        names.join(", "),
        revision.short()
    )
}

fn first_errors(prepared: &Prepared) -> String {
    let errors: Vec<String> = prepared
        .bundle
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| {
            let place = match problem.span.line {
                0 => problem.file.clone(),
                line => format!("{}:{line}:{}", problem.file, problem.span.column),
            };
            format!("{place} {} {}", problem.code, problem.message)
        })
        .collect();
    let first: Vec<String> = errors.iter().take(5).cloned().collect();
    let more = if errors.len() > 5 { format!(" and {} more", errors.len() - 5) } else { String::new() };
    format!("{}{more}", first.join("; "))
}

fn advised(error: &GitError) -> String {
    match error.hint() {
        Some(hint) => format!("{} ({hint})", error_line(error)),
        None => error_line(error),
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
    ports.store.record_sync(&record).await?;
    let known = last.map(|last| last.reasons).unwrap_or_default();
    let event = match outcome.verdict {
        Verdict::InStep => return Ok(()),
        Verdict::Held => NotificationEvent::Hold,
        Verdict::Partial | Verdict::Refused | Verdict::Failed => NotificationEvent::SyncFailed,
    };
    let fresh: Vec<&String> = outcome.reasons.iter().filter(|reason| !known.contains(reason)).collect();
    let Some(first) = fresh.first() else { return Ok(()) };
    let more = if fresh.len() > 1 { format!(" (and {} more)", fresh.len() - 1) } else { String::new() };
    let event = Event {
        revision: outcome.revision.clone(),
        details: serde_json::json!({"verdict": outcome.verdict, "reasons": fresh}),
        ..Event::new(event, format!("sync {}: {first}{more}", outcome.verdict.words()), ports.now())
    };
    ports.store.enqueue(&ports.notifier.deliveries(&event, &ports.store, &ports.chance), ports.now()).await
}
