//! `portcullis rollout`: where each constraint stands, and what a person wants done about one.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use portcullis_core::{
    identity::ConstraintId,
    plan::{ConstraintStatus, ObjectKey},
    rollout::{HOLD, PROMOTE, PersonIntent, RESUME},
};
use serde_json::json;

use super::{CliError, ConfigArg, Exit, shared, shared::Output};
use crate::{
    edge::store::{Decision, Store},
    pipeline::{ports::Ports, report, sync},
};

/// Where each constraint stands, and what a person wants done about one
#[derive(Debug, Args)]
pub struct RolloutArgs {
    #[command(subcommand)]
    command: RolloutCommand,
}

#[derive(Debug, Subcommand)]
enum RolloutCommand {
    /// Print stage, target and what the next stage needs, for all constraints or one
    Status {
        #[command(flatten)]
        config: ConfigArg,
        /// KIND/NAME
        #[arg(value_parser = id)]
        constraint: Option<ConstraintId>,
        /// How it is printed
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Freeze stage and version of a constraint until `resume`
    Hold(IntentArgs),
    /// End a hold
    Resume(IntentArgs),
    /// Promote a constraint one stage now, or put its held version in, whatever soak and gate say
    Promote {
        #[command(flatten)]
        intent: IntentArgs,
        /// Without waiting for soak and gate
        #[arg(long, required = true)]
        now: bool,
    },
}

#[derive(Debug, Args)]
struct IntentArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// KIND/NAME
    #[arg(value_parser = id)]
    constraint: ConstraintId,
    /// Why, for the history
    #[arg(long, default_value = "")]
    reason: String,
}

fn id(text: &str) -> Result<ConstraintId, String> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(ConstraintId::new(kind, name)),
        _ => Err("expected KIND/NAME, for example K8sRequiredLabels/all".to_owned()),
    }
}

/// Exit code 0 whatever is held; 2 where it cannot run or there is no such constraint.
pub fn run(args: &RolloutArgs) -> Result<Exit, CliError> {
    shared::block_on(async {
        match &args.command {
            RolloutCommand::Status { config, constraint, output } => {
                let ports = shared::reading(config).await?;
                status(&ports, constraint.as_ref(), *output).await
            }
            RolloutCommand::Hold(args) => intend(args, HOLD, false).await,
            RolloutCommand::Resume(args) => intend(args, RESUME, false).await,
            RolloutCommand::Promote { intent, .. } => intend(intent, PROMOTE, true).await,
        }
    })
}

/// Where every constraint stands by the revision in force.
pub async fn statuses(ports: &Ports) -> Result<Vec<ConstraintStatus>, CliError> {
    let failed =
        |error: &dyn std::error::Error| CliError::caused("cannot tell where the constraints stand", error);
    let prepared = report::in_force(ports).await.map_err(|error| failed(&error))?;
    let Some(prepared) = prepared else {
        return Err(CliError::new(
            "there is no revision to tell it by: none was synced yet, or the git cache lost it",
        )
        .hint(
            "`portcullis run` or `portcullis sync --once` fetches one; what is enforced stays until then",
        ));
    };
    let view = sync::view(ports, &prepared).await.map_err(|error| failed(&error))?;
    Ok(view
        .plan(ports, None)
        .statuses
        .into_iter()
        .map(|mut status| {
            status.stage = view.live_stage(&status.constraint);
            status
        })
        .collect())
}

async fn status(ports: &Ports, only: Option<&ConstraintId>, output: Output) -> Result<Exit, CliError> {
    let mut statuses = statuses(ports).await?;
    if let Some(only) = only {
        statuses.retain(|status| status.constraint == *only);
        if statuses.is_empty() {
            return Err(CliError::new(format!("there is no constraint {only}"))
                .hint("`portcullis rollout status` lists all"));
        }
    }
    if output == Output::Json {
        shared::print_json(&json!({"constraints": statuses}))?;
    } else {
        anstream::print!("{}", table(&statuses, ports));
    }
    Ok(Exit::Ok)
}

/// The table of 11-what-people-see: constraint, stage, target, since, next.
fn table(statuses: &[ConstraintStatus], ports: &Ports) -> String {
    let mut table = shared::table(&["CONSTRAINT", "STAGE", "TARGET", "SINCE", "NEXT"]);
    for status in statuses {
        table.add_row([
            status.constraint.to_string(),
            status.stage.map_or("–".to_owned(), |stage| stage.to_string()),
            status.target.map_or("–".to_owned(), |stage| stage.to_string()),
            status.since.map_or("–".to_owned(), |since| shared::ago(since, ports.now())),
            status.next.clone(),
        ]);
    }
    shared::lines(&table)
}

/// Writes the annotation that the daemon consumes.
async fn intend(args: &IntentArgs, verb: &str, bind_hash: bool) -> Result<Exit, CliError> {
    let ports = shared::reading(&args.config).await?;
    let word = verb.rsplit('/').next().unwrap_or(verb);
    let hash = if bind_hash { meant(&ports, &args.constraint).await? } else { None };
    let intent =
        PersonIntent { hash, reason: args.reason.clone(), by: shared::caller(), at: Some(ports.now()) };
    let value = serde_json::to_string(&intent)
        .map_err(|error| CliError::caused("cannot write the annotation", &error))?;
    let mut changes = BTreeMap::from([(verb.to_owned(), Some(value))]);
    if verb == HOLD {
        // A resume that was not consumed yet would end this hold at once.
        changes.insert(RESUME.to_owned(), None);
    }
    let key = ObjectKey::Constraint(args.constraint.clone());
    let there = ports
        .cluster
        .annotate(&key, &changes)
        .await
        .map_err(|error| CliError::caused(format!("cannot annotate {}", args.constraint), &error))?;
    if !there {
        return Err(CliError::new(format!("{} is not on the cluster", args.constraint))
            .hint("`portcullis rollout status` lists the constraints that are"));
    }
    if verb == HOLD {
        remember(&ports, &args.constraint, &intent).await;
    }
    anstream::println!("{word} {}: the daemon acts on it at its next sync", args.constraint);
    Ok(Exit::Ok)
}

/// The version a promotion is meant for: the held one where there is one, else the one in force.
async fn meant(
    ports: &Ports,
    id: &ConstraintId,
) -> Result<Option<portcullis_core::identity::PolicyHash>, CliError> {
    let statuses = statuses(ports).await?;
    let status = statuses.into_iter().find(|status| status.constraint == *id);
    Ok(status.and_then(|status| status.candidate.or(status.hash)))
}

/// Holds have no decision of the daemon to stand in: the history gets its line here, where the store lets us.
async fn remember(ports: &Ports, id: &ConstraintId, intent: &PersonIntent) {
    let Ok(store) =
        Store::open(&ports.config.storage.url, &ports.config.cluster.name, &ports.config.instance).await
    else {
        return;
    };
    let decision = Decision {
        at: ports.now(),
        kind: id.kind.clone(),
        name: id.name.clone(),
        revision: None,
        from: None,
        to: None,
        hash: None,
        who: intent.by.clone(),
        reason: format!("held: {}", intent.words()),
        evidence: serde_json::Value::Null,
    };
    if store.record_decision(&decision).await.is_err() {
        tracing::debug!("the hold is on the object; the history could not be written");
    }
    store.close().await;
}
