//! One audit run of what is in force: every object judged, compared with what was known, stored as evidence.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use portcullis_core::{
    audit::{Class, Finding, Ledger, LedgerRow, Policy, PolicySet, Status, gate_counts, track},
    identity::{ConstraintId, PolicyHash, Stage},
    plan::{ObjectKey, render},
    policy::{CompiledTemplate, ConstraintSpec, ParameterSchema, TemplateSpec, compile},
    report::{ConstraintState, Score, Severity},
    scope::{Exemptions, Semantics},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    config::NotificationEvent,
    edge::{
        cluster::ClusterError,
        objects::{ObjectSource, SourceError},
        store::{self, Cause, NewEvidence, RunId, RunRecord, StoreError},
    },
    pipeline::{
        apply::error_line,
        judge::{AuditOutcome, RunOptions, Watch, audit_files},
        notify::Event,
        ports::Ports,
    },
};

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The policies cannot be read.
    #[error("cannot read the policies of the cluster")]
    Cluster(#[from] ClusterError),
    /// The run cannot be recorded.
    #[error("cannot record the run")]
    Store(#[from] StoreError),
    /// It was told to stop.
    #[error("the audit was stopped; nothing of it is kept")]
    Stopped,
}

/// A run that is stored.
#[derive(Debug)]
pub struct AuditRun {
    /// Its number.
    pub id: RunId,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether everything was judged.
    pub complete: bool,
    /// Objects read.
    pub objects: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What was and was not evaluated.
    pub ledger: Vec<LedgerRow>,
    /// How many findings are new, fixed and regressed.
    pub changes: (usize, usize, usize),
}

/// The policies in force, ready to judge.
struct InForce {
    set: PolicySet,
    /// Hash and stage of each constraint.
    versions: BTreeMap<ConstraintId, (PolicyHash, Stage)>,
    /// The same as a score is told of them.
    states: Vec<ConstraintState>,
}

/// Runs one audit and stores it. `progress` counts the objects judged.
pub async fn audit(
    ports: &Ports,
    cause: Cause,
    by_daemon: bool,
    progress: Arc<AtomicU64>,
    cancel: &CancellationToken,
) -> Result<AuditRun, AuditError> {
    let started = ports.now();
    let exemptions = ports.exemptions(started).await;
    let in_force = in_force(ports, exemptions.clone()).await?;
    let run = ports.store.begin_run(cause, by_daemon, started).await?;
    let InForce { set, versions, states } = in_force;
    let outcome = judge(ports, set, started, progress, cancel).await;
    if cancel.is_cancelled() {
        return Err(AuditError::Stopped);
    }

    let AuditOutcome { findings, ledger, objects } = looked(ports, outcome).await?;
    let finished = ports.now();
    let tracked = track(ports.store.remembered().await?, &findings, &ledger, finished);
    let changes = (tracked.new.len(), tracked.fixed.len(), tracked.regressed.len());
    let open = tracked.new.len() + tracked.open.len() + tracked.regressed.len();
    let statuses: Vec<store::Tracked> =
        tracked.into_statuses().map(|(fingerprint, status)| store::Tracked { fingerprint, status }).collect();
    // Told before it is recorded as known: a crash in between tells it twice, never not at all.
    announce(ports, run, &findings, &statuses, finished).await?;
    let evidence = evidence(&findings, &ledger, &versions, &exemptions);
    let rows = ledger.rows();
    ports
        .store
        .finish_run(
            run,
            &RunRecord {
                complete: ledger.complete(),
                finished,
                objects,
                findings: &findings,
                ledger: &rows,
                evidence: &evidence,
                tracked: &statuses,
                summary: json!({
                    "open": open,
                    "score": Score::of(&rows, &states, None).value,
                }),
            },
        )
        .await?;
    Ok(AuditRun {
        id: run,
        started,
        finished,
        complete: ledger.complete(),
        objects,
        changes,
        findings,
        ledger: rows,
    })
}

/// What a run saw. One that could look at nothing is no clean bill: it is a run with a hole everywhere, so that it
/// stands in the way of every promotion and is seen.
async fn looked(
    ports: &Ports,
    outcome: Result<AuditOutcome, SourceError>,
) -> Result<AuditOutcome, AuditError> {
    let mut outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let mut ledger = Ledger::default();
            ledger.hole_everywhere(&format!(
                "cannot read the resources of the cluster: {}",
                error_line(&error)
            ));
            return Ok(AuditOutcome { ledger, ..AuditOutcome::default() });
        }
    };
    if outcome.objects == 0 {
        let before = ports.store.newest_run(true).await?.map_or(0, |run| run.objects);
        if before > 0 {
            let what = format!(
                "no object at all was read, {before} in the newest complete run: is the folder there"
            );
            outcome.ledger.hole_everywhere(&what);
        }
    }
    Ok(outcome)
}

async fn judge(
    ports: &Ports,
    set: PolicySet,
    now: Timestamp,
    progress: Arc<AtomicU64>,
    cancel: &CancellationToken,
) -> Result<AuditOutcome, SourceError> {
    let paths = ports.cluster.object_paths();
    let mut source = ObjectSource::open(&paths)?;
    if let Some(root) = paths.first() {
        source = source.relative_to(root.clone());
    }
    let options = RunOptions {
        workers: ports.config.audit.workers,
        semantics: Semantics::Cluster,
        evaluation_timeout: ports.config.audit.evaluation_timeout.to_std(),
        ..RunOptions::default()
    };
    let set = Arc::new(set);
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, counter) = (Arc::clone(&stop), progress);
    let mut work = tokio::task::spawn_blocking(move || {
        audit_files(&set, &source, &options, now, Watch { cancel: &flag, progress: &counter })
    });
    let joined = tokio::select! {
        joined = &mut work => joined,
        () = cancel.cancelled() => {
            stop.store(true, Ordering::Relaxed);
            work.await
        }
    };
    match joined {
        Ok(outcome) => Ok(outcome),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Compiles the policies of this instance that are on the cluster. What cannot judge is there with its reason.
async fn in_force(ports: &Ports, exemptions: Exemptions) -> Result<InForce, AuditError> {
    let live = ports.cluster.policies().await?;
    let mut templates: BTreeMap<&str, Result<(Arc<CompiledTemplate>, TemplateSpec), String>> =
        BTreeMap::new();
    for (key, object) in &live {
        if let ObjectKey::Template(kind) = key {
            templates.insert(kind, ports.compiled(&object.version, || template(&object.manifest)));
        }
    }
    ports.keep_compiled(&live.values().map(|object| object.version.as_str()).collect());
    let mut policies = Vec::new();
    let mut refused = Vec::new();
    let mut versions = BTreeMap::new();
    let mut states = Vec::new();
    for (key, object) in &live {
        let ObjectKey::Constraint(id) = key else { continue };
        if render::foreign_owner(&object.manifest, &ports.config.instance).is_some() {
            continue;
        }
        let template = match templates.get(id.kind.as_str()) {
            Some(Ok(template)) => template,
            Some(Err(why)) => {
                refused.push((id.clone(), why.clone()));
                continue;
            }
            None => {
                refused.push((id.clone(), "its template is not on the cluster".to_owned()));
                continue;
            }
        };
        match constraint(template, &object.manifest) {
            Ok((policy, hash, stage)) => {
                states.push(state(&policy, stage));
                versions.insert(id.clone(), (hash, stage));
                policies.push(policy);
            }
            Err(why) => refused.push((id.clone(), why)),
        }
    }
    let set = PolicySet::new(policies, exemptions)
        .exclude_kinds(ports.config.audit.exclude_kinds.iter().cloned())
        .refused(refused);
    Ok(InForce { set, versions, states })
}

fn state(policy: &Policy, stage: Stage) -> ConstraintState {
    ConstraintState {
        id: policy.id.clone(),
        stage: Some(stage),
        target: stage,
        since: None,
        next: String::new(),
        severity: Severity::parse(&policy.severity),
        owner: String::new(),
        controls: Vec::new(),
        description: String::new(),
        held: None,
        not_auditable: policy.not_auditable(),
        hash: None,
    }
}

fn template(manifest: &serde_json::Value) -> Result<(Arc<CompiledTemplate>, TemplateSpec), String> {
    let spec =
        TemplateSpec::from_json(manifest).map_err(|error| format!("its template is unreadable: {error}"))?;
    let compiled = compile(&spec).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, |problem| problem.message.clone());
        format!("its rule does not compile: {first}")
    })?;
    Ok((Arc::new(compiled), spec))
}

fn constraint(
    (compiled, spec): &(Arc<CompiledTemplate>, TemplateSpec),
    manifest: &serde_json::Value,
) -> Result<(Policy, PolicyHash, Stage), String> {
    let manifest = render::without_exemptions(manifest);
    let constraint =
        ConstraintSpec::from_json(&manifest).map_err(|error| format!("it is unreadable: {error}"))?;
    let stage = render::live_stage(&manifest).ok_or("its enforcementAction is not one Gatekeeper knows")?;
    let schema = ParameterSchema::new(spec).map_err(|error| format!("its schema is unusable: {error}"))?;
    let parameters = schema.default_and_prune(&constraint.parameters);
    let hash = render::hash_of(spec, &constraint);
    Ok((Policy::new(Arc::clone(compiled), &constraint, &parameters, stage.as_str()), hash, stage))
}

/// What the run says of each version: counted subjects that violate, those that are exempt now included, since
/// who is exempt is judged when a gate is decided.
fn evidence(
    findings: &[Finding],
    ledger: &Ledger,
    versions: &BTreeMap<ConstraintId, (PolicyHash, Stage)>,
    exemptions: &Exemptions,
) -> Vec<NewEvidence> {
    versions
        .iter()
        .map(|(id, (hash, stage))| {
            // Findings are sorted by constraint; one constraint's subjects are held at a time.
            let first = findings.partition_point(|finding| finding.constraint < *id);
            let its = || findings.iter().skip(first).take_while(|finding| finding.constraint == *id);
            let counted = gate_counts(its(), exemptions).remove(id).unwrap_or_default();
            let everyone = gate_counts(its(), &Exemptions::default()).remove(id).unwrap_or_default();
            NewEvidence {
                constraint: id.clone(),
                slot: "current".to_owned(),
                hash: hash.clone(),
                stage: stage.to_string(),
                complete: ledger.complete_for(id),
                errors: counted.errors,
                violations: counted.subjects.len() as u64,
                subjects: everyone.subjects.into_iter().collect(),
            }
        })
        .collect()
}

/// Tells of what violates a constraint at deny and did not before.
async fn announce(
    ports: &Ports,
    run: RunId,
    findings: &[Finding],
    statuses: &[store::Tracked],
    at: Timestamp,
) -> Result<(), StoreError> {
    let fresh_prints: BTreeSet<_> = statuses
        .iter()
        .filter(|tracked| matches!(tracked.status, Status::New | Status::Regressed))
        .map(|tracked| &tracked.fingerprint)
        .collect();
    let fresh: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.class == Class::Violation && finding.exempt_by.is_empty())
        .filter(|finding| finding.enforcement_action == Stage::Deny.as_str())
        .filter(|finding| fresh_prints.contains(&finding.fingerprint))
        .collect();
    let Some(first) = fresh.first() else { return Ok(()) };
    let noun = if fresh.len() == 1 { "violation" } else { "violations" };
    let summary = format!(
        "{} new {noun} of constraints at deny, first {} by {}: {}",
        fresh.len(),
        first.constraint,
        first.subject,
        first.message
    );
    let listed: Vec<_> = fresh
        .iter()
        .take(20)
        .map(|finding| json!({"constraint": finding.constraint, "subject": finding.subject, "message": finding.message}))
        .collect();
    let event = Event {
        details: json!({"run": run, "count": fresh.len(), "first": listed}),
        ..Event::new(NotificationEvent::NewViolationAtDeny, summary, at)
    };
    ports.store.enqueue(&ports.notifier.deliveries(&event, &ports.store, &ports.chance), at).await
}
