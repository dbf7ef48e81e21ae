//! A report made of what store, cluster and git know, stored together with its deliveries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_core::{
    audit::Status,
    identity::ConstraintId,
    plan::{ConstraintStatus, Plan},
    report::{
        Cluster, ConstraintState, Engine, ExemptionState, Report, ReportFilter, ReportFinding, ReportInput,
        ReportProblem, RolloutState, RunFacts, Score, Severity, Source, SyncState, SyncStatus, TrendPoint,
        render_html, render_json, render_markdown,
    },
};

use crate::{
    config::{self, ReportFormat},
    edge::{
        git::GitError,
        store::{Cause, NewDelivery, ReportBody, ReportRecord, RunId, RunRow, StoreError},
    },
    pipeline::{
        changes,
        ports::Ports,
        prepare::Prepared,
        sync::{SyncError, View, view},
    },
};

/// Runs shown in the trend.
const TREND: u32 = 30;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The store does not answer.
    #[error("cannot read or write the store")]
    Store(#[from] StoreError),
    /// The revision in force cannot be read.
    #[error("cannot read the revision in force from the git cache")]
    Source(#[source] GitError),
    /// Cluster or store do not answer.
    #[error("cannot see what is there")]
    View(#[from] SyncError),
    /// There is nothing to report on.
    #[error("no audit run yet")]
    NoRun,
    /// There is no such run.
    #[error("there is no audit run #{0}")]
    UnknownRun(RunId),
}

/// Builds a report of a run, the newest one where none is named.
pub async fn build(
    ports: &Ports,
    run: Option<RunId>,
    filter: ReportFilter,
    since: Option<Timestamp>,
) -> Result<Report, ReportError> {
    let run = match run {
        Some(id) => ports.store.run(id).await?.ok_or(ReportError::UnknownRun(id))?,
        None => ports.store.newest_run(false).await?.ok_or(ReportError::NoRun)?,
    };
    let prepared = in_force(ports).await?;
    let looked = match &prepared {
        Some(prepared) => Some(view(ports, prepared).await?),
        None => None,
    };
    let plan = looked.as_ref().map(|view| view.plan(ports, None)).unwrap_or_default();
    let constraints = constraints(&plan, looked.as_ref());
    let ledger = ports.store.ledger(run.id).await?;
    let findings = ports
        .store
        .findings(run.id)
        .await?
        .into_iter()
        .map(|found| ReportFinding {
            finding: found.finding,
            status: found.status,
            first_seen: found.first_seen,
            last_seen: found.last_seen,
        })
        .collect();
    let gone = match since {
        Some(since) => ports.store.fixed_since(since).await?,
        None => ports.store.fixed_in(run.id).await?,
    };
    let fixed = gone
        .into_iter()
        .map(|known| ReportFinding {
            finding: known.finding,
            status: Status::Fixed,
            first_seen: known.first_seen,
            last_seen: known.last_seen,
        })
        .collect();
    let facts = run_facts(&run);
    let score = Score::of(&ledger, &constraints, Some(&facts));
    let (trend, previous_score) = trend(ports, &run, score, since).await?;
    let input = ReportInput {
        generated: ports.now(),
        cluster: Cluster {
            name: ports.config.cluster.name.clone(),
            labels: ports.config.cluster.labels.clone(),
            instance: ports.config.instance.clone(),
        },
        source: prepared.as_deref().map(|prepared| source(ports, prepared)),
        engine: Engine { name: "regorus".to_owned(), version: "0.14.1".to_owned() },
        enforced: ports.cluster.enforced_by().to_owned(),
        run: Some(facts),
        findings,
        fixed,
        ledger,
        rollouts: rollouts(ports, prepared.as_deref(), looked.as_ref()),
        exemptions: prepared.as_deref().map(|prepared| exemptions(prepared, ports.now())).unwrap_or_default(),
        constraints,
        trend,
        previous_score,
        changes: changes::since(&ports.store, since).await?,
        sync: sync_state(ports, prepared.as_deref()).await?,
        filter,
    };
    Ok(Report::build_since(input, since))
}

/// Builds the report of a name with the rules of the configuration, stores it and puts its deliveries into the
/// outbox: all or nothing. `slot` is the slot of the schedule it serves.
pub async fn send(
    ports: &Ports,
    rule: &config::Report,
    slot: Option<Timestamp>,
) -> Result<ReportRecord, ReportError> {
    let since = ports.store.reports(Some(&rule.name), 1).await?.first().map(|report| report.created);
    let report = build(ports, None, filter_of(rule), since).await?;
    let now = ports.now();
    let mut bodies = Vec::new();
    let mut deliveries = Vec::new();
    for format in &rule.formats {
        let (name, media, body) = render(&report, *format);
        for sink in &rule.to {
            let kind = format!("dev.portcullis.report.{name}.v1");
            let delivery = NewDelivery::new(&ports.store, &ports.chance, sink, kind, media, body.clone());
            deliveries.push(delivery.named(rule.name.clone()));
        }
        bodies.push(ReportBody { format: name.to_owned(), body });
    }
    let run = report.provenance.run.as_ref().and_then(|run| run.id.parse().ok()).map(RunId);
    let record = ReportRecord { id: ports.chance.uuid(), name: rule.name.clone(), run, created: now, bodies };
    ports.store.put_report(&record, &deliveries, slot).await?;
    Ok(record)
}

/// A rendering: its name, its media type, its text.
pub fn render(report: &Report, format: ReportFormat) -> (&'static str, &'static str, String) {
    match format {
        ReportFormat::Json => ("json", "application/json", render_json(report)),
        ReportFormat::Markdown => ("markdown", "text/markdown; charset=utf-8", render_markdown(report)),
        ReportFormat::Html => ("html", "text/html; charset=utf-8", render_html(report)),
    }
}

fn filter_of(rule: &config::Report) -> ReportFilter {
    let least = match rule.filter.min_severity {
        config::MinSeverity::Low => None,
        config::MinSeverity::Medium => Some(Severity::Medium),
        config::MinSeverity::High => Some(Severity::High),
        config::MinSeverity::Critical => Some(Severity::Critical),
    };
    ReportFilter { namespaces: rule.filter.namespaces.clone(), min_severity: least }
}

/// The revision in force, `None` before the first.
pub async fn in_force(ports: &Ports) -> Result<Option<std::sync::Arc<Prepared>>, ReportError> {
    let Some(accepted) = ports.store.accepted().await? else { return Ok(None) };
    ports.prepared(&accepted.revision).await.map(Some).map_err(ReportError::Source)
}

fn source(ports: &Ports, prepared: &Prepared) -> Source {
    Source {
        url: ports.source.url(),
        branch: ports.config.source.branch.clone(),
        revision: prepared.revision.clone(),
        subject: prepared.commit.subject.clone(),
        author: format!("{} <{}>", prepared.commit.author, prepared.commit.email),
        committed: prepared.commit.committed,
        signer: None,
    }
}

fn run_facts(run: &RunRow) -> RunFacts {
    let cause = match run.cause {
        Cause::Schedule => "schedule",
        Cause::Sync => "sync",
        Cause::Manual => "command",
    };
    RunFacts {
        id: run.id.to_string(),
        cause: cause.to_owned(),
        started: run.started,
        finished: run.finished,
        complete: run.complete,
        objects: run.objects,
    }
}

/// Every constraint in git or on the cluster, as `rollout status` shows it.
fn constraints(plan: &Plan, view: Option<&View>) -> Vec<ConstraintState> {
    plan.statuses.iter().map(|status| constraint(status, view)).collect()
}

fn constraint(status: &ConstraintStatus, view: Option<&View>) -> ConstraintState {
    let id = &status.constraint;
    let annotations = view
        .and_then(|view| view.wanted.desired.units.get(&id.kind))
        .and_then(|unit| unit.constraints.get(&id.name))
        .map(|constraint| constraint.spec.annotations.clone())
        .unwrap_or_default();
    let text = |key: &str| annotations.get(key).cloned().unwrap_or_default();
    let live = view.and_then(|view| view.live_stage(id));
    ConstraintState {
        id: id.clone(),
        stage: live,
        target: status.target.or(status.stage).unwrap_or(portcullis_core::identity::Stage::Dryrun),
        since: status.since,
        next: status.next.clone(),
        severity: Severity::parse(&text("portcullis.dev/severity")),
        owner: text("portcullis.dev/owner"),
        controls: text("portcullis.dev/controls")
            .split(',')
            .map(|control| control.trim().to_owned())
            .filter(|control| !control.is_empty())
            .collect(),
        description: text("portcullis.dev/description"),
        held: status.is_held().then(|| status.next.clone()),
        not_auditable: status.not_auditable.clone(),
        hash: status.hash.clone(),
    }
}

fn rollouts(ports: &Ports, prepared: Option<&Prepared>, view: Option<&View>) -> Vec<RolloutState> {
    let (Some(prepared), Some(view)) = (prepared, view) else { return Vec::new() };
    let mut governed: BTreeMap<String, Vec<ConstraintId>> = BTreeMap::new();
    for constraint in view.wanted.desired.units.values().flat_map(|unit| unit.constraints.values()) {
        let name = prepared.bundle.rollout_for(&constraint.spec).map_or("default", |rollout| &rollout.name);
        governed.entry(name.to_owned()).or_default().push(constraint.id.clone());
    }
    governed
        .into_iter()
        .map(|(name, constraints)| {
            let spec = prepared
                .bundle
                .rollouts
                .iter()
                .find(|rollout| rollout.name == name)
                .map_or(&ports.config.rollout.default, |rollout| &rollout.spec);
            RolloutState::new(name, spec, constraints)
        })
        .collect()
}

fn exemptions(prepared: &Prepared, now: Timestamp) -> Vec<ExemptionState> {
    prepared
        .bundle
        .exemptions
        .iter()
        .map(|exemption| {
            let spec = &exemption.spec;
            let ends = exemption.rule.ends();
            ExemptionState {
                name: exemption.name.clone(),
                constraints: spec
                    .constraints
                    .iter()
                    .map(|pattern| {
                        let (kind, name) = pattern.globs();
                        format!("{}/{}", kind.as_str(), name.as_str())
                    })
                    .collect(),
                namespaces: spec.namespaces.clone(),
                owner: spec.owner.clone(),
                reason: spec.reason.clone(),
                ticket: spec.ticket.clone().unwrap_or_default(),
                from: spec.from.map(|day| day.to_string()),
                expires: spec.expires.map(|day| day.to_string()),
                days_left: ends.map(|ends| days_left(ends, now)),
                excused: 0,
            }
        })
        .collect()
}

/// Whole days until the end, 0 on the last day, negative once past.
pub fn days_left(ends: Timestamp, now: Timestamp) -> i64 {
    (ends.as_millisecond() - 1 - now.as_millisecond()).div_euclid(86_400_000)
}

async fn trend(
    ports: &Ports,
    run: &RunRow,
    score: Score,
    since: Option<Timestamp>,
) -> Result<(Vec<TrendPoint>, Option<f64>), ReportError> {
    let mut points = Vec::new();
    let mut previous: Option<(RunId, f64)> = None;
    for past in ports.store.trend(TREND).await? {
        let value = if past.id == run.id {
            score.value
        } else {
            past.summary.get("score").and_then(serde_json::Value::as_f64)
        };
        let before =
            past.id < run.id && since.is_none_or(|since| past.finished.is_some_and(|at| at <= since));
        if before && value.is_some() && previous.is_none_or(|(id, _)| past.id > id) {
            previous = value.map(|value| (past.id, value));
        }
        points.push(TrendPoint {
            run: past.id.to_string(),
            at: past.finished.unwrap_or(past.started),
            score: value,
            open: past.summary.get("open").and_then(serde_json::Value::as_u64).unwrap_or(past.findings),
            new: past.new,
            fixed: past.fixed,
            complete: past.complete,
        });
    }
    Ok((points, previous.map(|(_, value)| value)))
}

async fn sync_state(ports: &Ports, prepared: Option<&Prepared>) -> Result<SyncState, ReportError> {
    let Some(last) = ports.store.last_sync().await? else { return Ok(SyncState::default()) };
    Ok(SyncState {
        status: match last.outcome.as_str() {
            "inStep" => SyncStatus::InStep,
            "held" | "partial" => SyncStatus::Partial,
            "refused" => SyncStatus::Refused,
            "failed" => SyncStatus::Unreachable,
            _ => SyncStatus::Unknown,
        },
        at: Some(last.at),
        reasons: last.reasons,
        problems: prepared
            .map(|prepared| prepared.bundle.problems.iter().map(ReportProblem::from).collect())
            .unwrap_or_default(),
    })
}
