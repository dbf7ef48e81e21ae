//! `portcullis status`: is it fine, and if not, what to do.

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use portcullis_core::{
    identity::Stage,
    plan::ConstraintStatus,
    report::{Report, ReportFilter},
};
use serde_json::{Value, json};

use super::{CliError, ConfigArg, Exit, rollout::statuses, shared, shared::Output};
use crate::{
    edge::store::{DeliveryState, OutboxDepth, StoreError, SyncRecord},
    pipeline::{ports::Ports, report, report::ReportError},
};

/// Say at a glance whether git and cluster are in step, what is enforced, found and waiting
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// What the command looks at.
struct Glance {
    sync: Option<SyncRecord>,
    constraints: Vec<ConstraintStatus>,
    templates: usize,
    report: Option<Report>,
    outbox: OutboxDepth,
    dead: Option<i64>,
    daemon: bool,
    now: Timestamp,
}

/// Exit code 0 whatever it says, 2 where it cannot run.
pub fn run(args: &StatusArgs) -> Result<Exit, CliError> {
    shared::block_on(async {
        let ports = shared::reading(&args.config).await?;
        let glance = look(&ports).await?;
        if args.output == Output::Json {
            shared::print_json(&as_json(&ports, &glance))?;
        } else {
            anstream::print!("{}", text(&ports, &glance));
        }
        Ok(Exit::Ok)
    })
}

async fn look(ports: &Ports) -> Result<Glance, CliError> {
    let failed = |error: StoreError| CliError::caused("cannot read the store", &error);
    let live = ports
        .cluster
        .policies()
        .await
        .map_err(|error| CliError::caused("cannot read the cluster", &error))?;
    let report = match report::build(ports, None, ReportFilter::default(), None).await {
        Ok(report) => Some(report),
        Err(ReportError::NoRun) => None,
        Err(error) => return Err(CliError::caused("cannot read the newest audit", &error)),
    };
    let dead = ports.store.deliveries(Some(DeliveryState::Dead), 1).await.map_err(failed)?;
    let in_force = report::in_force(ports).await;
    let leads = ports.cluster.lead().await;
    Ok(Glance {
        sync: ports.store.last_sync().await.map_err(failed)?,
        constraints: if matches!(in_force, Ok(Some(_))) { statuses(ports).await? } else { Vec::new() },
        templates: live.keys().filter(|key| key.is_template()).count(),
        report,
        outbox: ports.store.outbox_depth().await.map_err(failed)?,
        dead: dead.first().map(|delivery| delivery.id),
        daemon: matches!(leads, Ok(None)),
        now: ports.now(),
    })
}

fn at_stage(constraints: &[ConstraintStatus], stage: Stage) -> usize {
    constraints.iter().filter(|status| status.stage == Some(stage)).count()
}

fn text(ports: &Ports, glance: &Glance) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.push(("policies", {
        let on_cluster = glance.constraints.iter().filter(|status| status.stage.is_some()).count();
        format!(
            "{} templates, {on_cluster} constraints: {} deny, {} warn, {} dryrun",
            glance.templates,
            at_stage(&glance.constraints, Stage::Deny),
            at_stage(&glance.constraints, Stage::Warn),
            at_stage(&glance.constraints, Stage::Dryrun)
        )
    }));
    rows.push(("enforced", format!("{} (a folder stands for the cluster)", ports.cluster.enforced_by())));
    rows.push(("daemon", if glance.daemon { "running".to_owned() } else { "not running".to_owned() }));
    rows.push(("audit", audit(ports, glance)));
    if let Some(report) = &glance.report {
        rows.push(("findings", findings(report)));
    }
    rows.push(("outbox", outbox(glance)));
    let attention = attention(glance);
    if !attention.is_empty() {
        rows.push(("attention", attention.join("\n            ")));
    }
    let mut text = headline(ports, glance);
    for (name, value) in rows {
        text.push_str(&format!("{name:<11} {value}\n"));
    }
    text
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn headline(ports: &Ports, glance: &Glance) -> String {
    let name = &ports.config.cluster.name;
    let branch = &ports.config.source.branch;
    let Some(sync) = &glance.sync else { return format!("{name}   ○ no sync yet\n") };
    let at =
        sync.revision.as_ref().map(|revision| format!("{branch}@{}", revision.short())).unwrap_or_default();
    let since = format!("{} ({})", clock(sync.at), shared::ago(sync.at, glance.now));
    match sync.outcome.as_str() {
        "inStep" => format!("{name}   ● in step with {at} since {since}\n"),
        "failed" => format!("{name}   ○ the last sync failed at {since}; what is enforced stays\n"),
        other => format!("{name}   ◐ {other} with {at} since {since}\n"),
    }
}

fn audit(ports: &Ports, glance: &Glance) -> String {
    let next = ports
        .config
        .audit
        .schedule
        .next_after(glance.now)
        .map(|next| format!(", next {}", clock(next)))
        .unwrap_or_default();
    match glance.report.as_ref().and_then(|report| report.provenance.run.as_ref()) {
        None => format!("none yet{next}"),
        Some(run) => {
            let complete = if run.complete { "complete" } else { "incomplete" };
            let took = run
                .finished
                .map(|finished| {
                    let millis = finished.as_millisecond() - run.started.as_millisecond();
                    format!(" in {}.{} s", millis / 1_000, millis % 1_000 / 100)
                })
                .unwrap_or_default();
            format!("#{} {complete} at {}, {} objects{took}{next}", run.id, clock(run.started), run.objects)
        }
    }
}

fn findings(report: &Report) -> String {
    let summary = &report.summary;
    let score = match (summary.score, summary.coverage) {
        (Some(score), Some(coverage)) => format!("score {score:.1} over {coverage:.0} % coverage"),
        _ => "no score: nothing was evaluated".to_owned(),
    };
    format!(
        "{} open ({} at deny), {} new, {} fixed; {score}",
        summary.open, summary.open_at_deny, summary.new, summary.fixed
    )
}

fn outbox(glance: &Glance) -> String {
    let depth = &glance.outbox;
    let dead = match glance.dead {
        Some(id) => format!("{} dead letters: portcullis outbox show {id}", depth.dead),
        None => "0 dead letters".to_owned(),
    };
    format!("{} waiting, {dead}", depth.waiting)
}

fn attention(glance: &Glance) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if let Some(sync) = &glance.sync {
        lines.extend(sync.reasons.iter().cloned());
    }
    let ending = glance.report.iter().flat_map(|report| &report.exemptions).filter_map(|exemption| {
        let left = exemption.days_left.filter(|left| (0..=30).contains(left))?;
        Some(format!("exemption {} ends in {left} days", exemption.name))
    });
    lines.extend(ending);
    lines
}

fn as_json(ports: &Ports, glance: &Glance) -> Value {
    let report = glance.report.as_ref();
    json!({
        "cluster": ports.config.cluster.name,
        "instance": ports.config.instance,
        "daemon": {"running": glance.daemon},
        "sync": glance.sync.as_ref().map(|sync| json!({
            "verdict": sync.outcome, "revision": sync.revision, "reasons": sync.reasons, "at": sync.at,
        })),
        "policies": {
            "templates": glance.templates,
            "deny": at_stage(&glance.constraints, Stage::Deny),
            "warn": at_stage(&glance.constraints, Stage::Warn),
            "dryrun": at_stage(&glance.constraints, Stage::Dryrun),
        },
        "enforced": ports.cluster.enforced_by(),
        "audit": report.and_then(|report| report.provenance.run.clone()),
        "findings": report.map(|report| json!(report.summary)),
        "constraints": glance.constraints,
        "outbox": glance.outbox,
        "attention": attention(glance),
    })
}
