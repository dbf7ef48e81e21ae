//! `portcullis demo`: the main job, for real, in under a minute and without a cluster.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use portcullis_core::{
    identity::Stage as Enforcement,
    plan::{ConstraintStatus, State},
    problem::Severity,
    rollout::Waiting,
};

use super::{CliError, Exit, rollout::statuses, shared};
use crate::{
    demo::Stage,
    edge::store::Cause,
    pipeline::sync::{SyncOutcome, Verdict},
};

/// Do the main job for real, without a cluster: push, check, dryrun, audit, promotion, refusal, report
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep everything in this folder, which is made, or exists and is empty; a new temporary one by default
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Exit code 0, or 2 where a step does not do what it should: nothing of the story is taken for granted.
pub fn run(args: &DemoArgs) -> Result<Exit, CliError> {
    shared::block_on(async {
        let folder = match &args.keep {
            Some(folder) => folder.clone(),
            None => tempfile::Builder::new()
                .prefix("portcullis-demo-")
                .tempdir()
                .map_err(|error| CliError::caused("cannot make a temporary folder", &error))?
                .keep(),
        };
        let stage = Stage::set(&folder, Timestamp::now())
            .await
            .map_err(|error| CliError::caused("cannot set the stage of the demo", &error))?;
        let told = tell(&stage).await;
        stage.ports.store.close().await;
        told
    })
}

fn wrong(what: &str) -> CliError {
    CliError::new(format!("the demo went another way than it should: {what}"))
        .hint("please report this with what is printed above")
}

fn step(number: u8, what: &str, text: &str) {
    anstream::println!("\n{number} {what:<10} {text}");
}

async fn tell(stage: &Stage) -> Result<Exit, CliError> {
    anstream::println!("portcullis demo, in {}", stage.folder.display());
    pushed(stage)?;
    let first = dryrun(stage).await?;
    audited(stage, &first).await?;
    promoted(stage).await?;
    refused(stage).await?;
    reported(stage).await?;
    farewell(stage)
}

fn pushed(stage: &Stage) -> Result<(), CliError> {
    let commit = stage
        .repository
        .commit("Policies for every cluster", stage.ports.now())
        .map_err(|error| CliError::caused("cannot commit", &error))?;
    step(
        1,
        "pushed",
        &format!("commit {commit}: {} files of policy in a git repository", stage.repository.files()),
    );
    Ok(())
}

async fn dryrun(stage: &Stage) -> Result<SyncOutcome, CliError> {
    let outcome = stage.daemon.sync_pass().await;
    let Some(tried) = outcome.tried.as_ref().filter(|_| outcome.verdict == Verdict::InStep) else {
        return Err(wrong(&format!(
            "the first sync is {}: {}",
            outcome.verdict.words(),
            outcome.reasons.join("; ")
        )));
    };
    let bundle = &tried.bundle;
    step(
        2,
        "checked",
        &format!(
            "{} templates, {} constraints, {} suites passed: {} errors, {} warnings",
            bundle.templates.len(),
            bundle.constraints.len(),
            bundle.suites.len(),
            bundle.count(Severity::Error),
            bundle.count(Severity::Warning)
        ),
    );
    let entered: Vec<_> = outcome.applied.done.iter().filter(|done| !done.key.is_template()).collect();
    step(3, "in dryrun", "whatever their target, new constraints only watch at first");
    for done in &entered {
        anstream::println!(
            "    {:<50}{}",
            done.key.to_string(),
            done.stages.1.map_or("", Enforcement::as_str)
        );
    }
    Ok(outcome)
}

async fn audited(stage: &Stage, _first: &SyncOutcome) -> Result<(), CliError> {
    stage.clock.advance_millis(60_000);
    stage.daemon.audit_pass(Cause::Sync).await;
    let run = stage.ports.store.newest_run(true).await;
    let run = run.map_err(|error| CliError::caused("cannot read the store", &error))?;
    let Some(run) = run else { return Err(wrong("the audit is not complete")) };
    step(
        4,
        "audited",
        &format!(
            "{} objects in {} files: {} findings, {} of them excused by an exemption",
            run.objects, stage.object_files, run.findings, run.exempt
        ),
    );
    Ok(())
}

async fn promoted(stage: &Stage) -> Result<(), CliError> {
    for (days, expected) in [(14, Enforcement::Warn), (3, Enforcement::Deny)] {
        for _ in 0..days {
            stage.pass_days(1);
            stage.daemon.audit_pass(Cause::Schedule).await;
        }
        let outcome = stage.daemon.sync_pass().await;
        let moved: Vec<_> = outcome.applied.done.iter().filter(|done| done.word == "promoted").collect();
        let Some(first) = moved.iter().find(|done| done.stages.1 == Some(expected)) else {
            return Err(wrong(&format!("no constraint reached {expected}")));
        };
        if expected == Enforcement::Warn {
            step(5, "promoted", "one stage at a time, when every gate is passed");
        }
        let day = stage.ports.now().strftime("%Y-%m-%d");
        let from = first.stages.0.map_or("", Enforcement::as_str);
        let moved = format!("{from} → {expected}");
        anstream::println!("    {:<50}{moved:<16}{day}, {days} days later", first.key.to_string());
        anstream::println!("    {:<50}{}", "", first.reason);
    }
    let statuses = statuses(&stage.ports).await?;
    let waits: Vec<&ConstraintStatus> =
        statuses.iter().filter(|status| status.waiting == Some(Waiting::Violations)).collect();
    if waits.is_empty() {
        return Err(wrong("no constraint is held by violations"));
    }
    step(6, "held", "these would block somebody today, so they stay where they are");
    for status in waits {
        let mut blocked: Vec<String> = status.would_block.iter().take(2).map(ToString::to_string).collect();
        if status.would_block.len() > 2 {
            blocked.push(format!("and {} more", status.would_block.len() - 2));
        }
        let stage = status.stage.map_or("", Enforcement::as_str);
        anstream::println!(
            "    {:<50}{stage:<16}would block {}",
            status.constraint.to_string(),
            blocked.join(", ")
        );
    }
    Ok(())
}

async fn refused(stage: &Stage) -> Result<(), CliError> {
    let before = stage.ports.cluster.policies().await;
    let before = before.map_err(|error| CliError::caused("cannot read the cluster", &error))?;
    let broken = |error: &dyn std::error::Error| CliError::caused("cannot commit", error);
    let file = stage.repository.break_a_template().map_err(|error| broken(&error))?;
    let commit = stage
        .repository
        .commit("Tidy the annotations policy", stage.ports.now())
        .map_err(|error| broken(&error))?;
    let outcome = stage.daemon.sync_pass().await;
    let after = stage.ports.cluster.policies().await;
    let after = after.map_err(|error| CliError::caused("cannot read the cluster", &error))?;
    if outcome.verdict != Verdict::Partial || before != after {
        return Err(wrong("a broken policy was not refused"));
    }
    let refused = outcome.plan.statuses.iter().filter(|status| status.state == State::Refused).count();
    step(
        7,
        "refused",
        &format!("commit {commit} breaks {file}; {refused} constraint stays as it was enforced"),
    );
    let problem = outcome
        .tried
        .iter()
        .flat_map(|tried| &tried.bundle.problems)
        .find(|problem| problem.severity == Severity::Error);
    if let Some(problem) = problem {
        anstream::println!(
            "    {}:{}:{} {}: {}",
            problem.file,
            problem.span.line,
            problem.span.column,
            problem.code,
            problem.message
        );
    }
    Ok(())
}

async fn reported(stage: &Stage) -> Result<(), CliError> {
    let rule = stage.ports.config.reports.first().cloned();
    let Some(rule) = rule else { return Err(wrong("the configuration has no report")) };
    stage.clock.advance_millis(60_000);
    stage.daemon.report_pass(&rule, stage.ports.now()).await;
    let summary = stage.daemon.deliverer().deliver_due().await;
    summary.map_err(|error| CliError::caused("cannot deliver", &error))?;
    let received = stage.receiver.received();
    let find =
        |kind: &str| received.iter().find(|got| got.event_type == format!("dev.portcullis.report.{kind}.v1"));
    let (Some(html), Some(json)) = (find("html"), find("json")) else {
        return Err(wrong("the report did not arrive"));
    };
    if !received.iter().all(|got| got.verified) {
        return Err(wrong("a signature is not right"));
    }
    for (name, got) in [("report.html", html), ("report.json", json)] {
        let path = stage.folder.join(name);
        std::fs::write(&path, &got.body)
            .map_err(|error| CliError::caused(format!("cannot write {}", path.display()), &error))?;
    }
    step(
        8,
        "reported",
        &format!(
            "{} deliveries taken by http://{}, {} of them the report, every signature verified",
            received.len(),
            stage.receiver.address,
            [html, json].len()
        ),
    );
    anstream::println!("    {} {} {} bytes", html.id, html.content_type, html.body.len());
    Ok(())
}

fn farewell(stage: &Stage) -> Result<Exit, CliError> {
    let config = stage
        .leave_configuration()
        .map_err(|error| CliError::caused("cannot write the configuration", &error))?;
    let program = program();
    let config = quoted(&config.display().to_string());
    anstream::println!("\nthe report as it arrived   {}", stage.folder.join("report.html").display());
    anstream::println!("the policy repository      {}", stage.folder.join("repository").display());
    anstream::println!("the cluster                {}", stage.folder.join("cluster").display());
    anstream::println!("\nwhat to try next");
    anstream::println!("  {program} status --config {config}");
    anstream::println!("  {program} rollout status --config {config}");
    anstream::println!(
        "  {program} check {}",
        quoted(&stage.folder.join("repository").display().to_string())
    );
    Ok(Exit::Ok)
}

/// How this program was started, so that what is printed works as printed.
fn program() -> String {
    let own = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    match (own, here) {
        (Some(own), Some(here)) => {
            let shown = own.strip_prefix(&here).map_or(own.clone(), |path| PathBuf::from(".").join(path));
            quoted(&shown.display().to_string())
        }
        _ => "portcullis".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@%".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
