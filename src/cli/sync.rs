//! `portcullis sync`: one pass of pull, validate, plan, apply and promotion.

use clap::Args;
use portcullis_core::{identity::Revision, plan::AllowPrune};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{CliError, ConfigArg, Exit, shared, shared::Output};
use crate::{
    edge::store::Action,
    pipeline::{
        ports::Ports,
        sync::{SyncOutcome, Verdict, sync},
    },
};

/// How often a busy cluster is asked whether it is free.
const POLL_MILLIS: i64 = 200;

/// Make one pass: pull, validate, plan, apply, promote; runs no audit
///
/// Exit code 0 in step (waiting for a soak or a gate is in step), 1 held, partial or refused, 2 could not run.
#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// One pass and no more; `portcullis run` keeps on
    #[arg(long)]
    once: bool,
    /// Allow a held prune of exactly so many objects; good for this very plan
    #[arg(long, value_name = "N", requires = "revision")]
    allow_prune: Option<u64>,
    /// The revision that the permission is for, at least seven digits
    #[arg(long, value_name = "SHA", requires = "allow_prune", value_parser = sha)]
    revision: Option<String>,
    /// How the outcome is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

fn sha(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    if (7..=40).contains(&lower.len()) && lower.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(lower)
    } else {
        Err("expected 7 to 40 hex digits of a commit".to_owned())
    }
}

/// Makes the pass, or leaves it to the daemon that leads where there is one.
pub fn run(args: &SyncArgs) -> Result<Exit, CliError> {
    shared::block_on(async {
        let ports = shared::writing(&args.config).await?;
        let allow = args.allow_prune.zip(args.revision.clone());
        let request = match &allow {
            Some((count, revision)) => {
                let action = Action::AllowPrune { count: *count, revision: Revision::new(revision.clone()) };
                let id = ports.store.request_action(&action, &shared::caller(), ports.now()).await;
                Some(
                    id.map_err(|error| CliError::caused("cannot leave the permission in the store", &error))?,
                )
            }
            None => None,
        };
        let deadline = ports.now().as_millisecond().saturating_add(ports.config.apply.timeout.millis());
        loop {
            let leadership = ports.cluster.lead().await;
            if let Some(_leads) =
                leadership.map_err(|error| CliError::caused("cannot lock the cluster", &error))?
            {
                let allow = allow.map(|(count, revision)| AllowPrune { count, revision });
                let outcome = sync(&ports, allow, &CancellationToken::new()).await;
                ports.store.close().await;
                return show(&outcome, args.output);
            }
            if let Some(id) = request
                && !pending(&ports, id).await?
            {
                anstream::println!("the running daemon carried it out: see `portcullis status`");
                return Ok(Exit::Ok);
            }
            if ports.now().as_millisecond() >= deadline {
                return Err(CliError::new(
                    "another process writes to this cluster, and did so for all of apply.timeout",
                )
                .hint("the daemon syncs on its own; `portcullis status` says how it goes"));
            }
            let next = jiff::Timestamp::from_millisecond(ports.now().as_millisecond() + POLL_MILLIS);
            ports.clock.sleep_until(next.unwrap_or(jiff::Timestamp::MAX)).await;
        }
    })
}

async fn pending(ports: &Ports, id: i64) -> Result<bool, CliError> {
    let actions = ports.store.pending_actions().await;
    let actions = actions.map_err(|error| CliError::caused("cannot read the store", &error))?;
    Ok(actions.iter().any(|action| action.id == id))
}

fn show(outcome: &SyncOutcome, output: Output) -> Result<Exit, CliError> {
    let exit = match outcome.verdict {
        Verdict::InStep => Exit::Ok,
        Verdict::Held | Verdict::Partial | Verdict::Refused => Exit::Found,
        Verdict::Failed => Exit::CouldNotRun,
    };
    if output == Output::Json {
        let done: Vec<_> = outcome
            .applied
            .done
            .iter()
            .map(|done| {
                json!({"object": done.key.to_string(), "what": done.word, "from": done.stages.0,
                               "to": done.stages.1, "reason": done.reason})
            })
            .collect();
        shared::print_json(&json!({
            "verdict": outcome.verdict,
            "revision": outcome.revision,
            "reasons": outcome.reasons,
            "done": done,
        }))?;
        return Ok(exit);
    }
    for done in &outcome.applied.done {
        let stages = match done.stages {
            (Some(from), Some(to)) if from != to => format!("{from} → {to}  "),
            (None, Some(to)) => format!("{to}  "),
            _ => String::new(),
        };
        anstream::println!("{:<10} {}  {stages}{}", done.word, done.key, done.reason);
    }
    let at =
        outcome.revision.as_ref().map(|revision| format!(" at {}", revision.short())).unwrap_or_default();
    anstream::println!("{}{at}", outcome.verdict.words());
    for reason in &outcome.reasons {
        anstream::println!("  {reason}");
    }
    Ok(exit)
}
