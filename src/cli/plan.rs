//! `portcullis plan`: what the next sync would do, and what promotion would block.

use std::{collections::BTreeMap, sync::Arc};

use clap::Args;
use portcullis_core::{
    audit::Subject,
    identity::{ConstraintId, Revision, Stage},
    plan::{Change, ConstraintStatus, ObjectKey, Plan, State},
    problem::Severity,
    rollout::Waiting,
};
use serde_json::{Value, json};

use super::{CliError, ConfigArg, Exit, shared, shared::Output};
use crate::pipeline::{
    ports::Ports,
    prepare::Prepared,
    sync::{prune_words, view},
};

/// Show what the next sync would do, and what would be blocked if each constraint were promoted now
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How it is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Exit code 0, or 2 where it cannot run. Changes nothing.
pub fn run(args: &PlanArgs) -> Result<Exit, CliError> {
    shared::block_on(async {
        let scratch =
            tempfile::tempdir().map_err(|error| CliError::caused("cannot make a folder", &error))?;
        let ports = shared::looking_ahead(&args.config, scratch.path()).await?;
        let (prepared, note) = newest(&ports).await?;
        let failed = |error: &dyn std::error::Error| CliError::caused("cannot plan", error);
        let view = view(&ports, &prepared).await.map_err(|error| failed(&error))?;
        let plan = view.plan(&ports, None);
        let accepted = ports.store.accepted().await.map_err(|error| failed(&error))?;
        let behind = accepted.map(|accepted| accepted.revision);
        if args.output == Output::Json {
            shared::print_json(&as_json(&prepared, &plan, behind.as_ref()))?;
        } else {
            if let Some(note) = note {
                anstream::eprintln!("{note}");
            }
            anstream::print!("{}", text(&ports, &prepared, &plan, behind.as_ref()));
        }
        Ok(Exit::Ok)
    })
}

/// The newest revision of the remote; the last one fetched where it cannot be asked.
async fn newest(ports: &Ports) -> Result<(Arc<Prepared>, Option<String>), CliError> {
    let source = Arc::clone(&ports.source);
    let fetched = tokio::task::spawn_blocking(move || source.fetch()).await;
    let fetched = fetched.map_err(|error| CliError::caused("cannot ask the remote", &error))?;
    let (revision, note) = match fetched {
        Ok(fetched) => (fetched.revision, None),
        Err(error) => {
            if let Some(revision) = ports.source.last_fetched() {
                let note = format!(
                    "note: the remote cannot be asked ({error}); this is about the last revision fetched"
                );
                (revision, Some(note))
            } else {
                let failed = CliError::caused("cannot ask the remote", &error);
                return Err(match error.hint() {
                    Some(hint) => failed.hint(hint),
                    None => failed,
                });
            }
        }
    };
    let prepared = ports.prepared(&revision).await;
    Ok((prepared.map_err(|error| CliError::caused("cannot read the revision", &error))?, note))
}

fn text(ports: &Ports, prepared: &Prepared, plan: &Plan, behind: Option<&Revision>) -> String {
    let mut text = heading(ports, prepared, behind);
    if prepared.bundle.refused_whole || ports.config.source.atomic && prepared.bundle.has_errors() {
        text.push_str("  ! the revision would be refused whole; what is in force stays\n");
        text.push_str(&problems(prepared));
        return text;
    }
    let mut unchanged = 0;
    for status in &plan.statuses {
        match line(status, plan) {
            Some(line) => {
                text.push_str(&line);
                text.push_str(&impact(status));
            }
            None if status.would_block.is_empty() || status.stage == Some(Stage::Deny) => unchanged += 1,
            None => {
                let stage = status.stage.map_or("", Stage::as_str);
                text.push_str(&format!("  = {}  stays at {stage}   {}\n", status.constraint, status.next));
                text.push_str(&impact(status));
            }
        }
    }
    for write in plan.writes.iter().filter(|write| write.key.is_template()) {
        text.push_str(&format!("  {} {}  {}\n", sign(&write.change), write.key, write.reason));
    }
    if unchanged > 0 {
        text.push_str(&format!("  = {unchanged} unchanged\n"));
    }
    if !plan.prune.held.is_empty() {
        text.push_str(&format!("  ! {}\n", prune_words(plan, &prepared.revision)));
    }
    for notice in &plan.notices {
        text.push_str(&format!("  ! {notice}\n"));
    }
    text.push_str(&problems(prepared));
    text
}

fn heading(ports: &Ports, prepared: &Prepared, behind: Option<&Revision>) -> String {
    let ahead = match behind {
        Some(old) if *old == prepared.revision => ", which is applied".to_owned(),
        Some(old) => match ports.source.commits_between(old, &prepared.revision) {
            Ok(1) => ", 1 commit ahead of what is applied".to_owned(),
            Ok(count) => format!(", {count} commits ahead of what is applied"),
            Err(_) => String::new(),
        },
        None => ", nothing is applied yet".to_owned(),
    };
    format!("revision {} (not signed){ahead}\n\n", prepared.revision.short())
}

fn sign(change: &Change) -> &'static str {
    match change {
        Change::Create | Change::Rename(_) => "+",
        Change::Move(from, to) if to > from => "↑",
        Change::Move(..) | Change::Restart => "↓",
        _ => "~",
    }
}

fn line(status: &ConstraintStatus, plan: &Plan) -> Option<String> {
    let id = &status.constraint;
    let key = ObjectKey::Constraint(id.clone());
    if let Some(write) = plan.writes.iter().rfind(|write| write.key == key) {
        let stages = match &write.change {
            Change::Move(from, to) => format!("{from} → {to}   "),
            _ => String::new(),
        };
        let target = match (&write.change, status.target) {
            (Change::Create, Some(target)) => format!(" (target {target})"),
            _ => String::new(),
        };
        return Some(format!("  {} {id}  {stages}{}{target}\n", sign(&write.change), write.reason));
    }
    let sign = match status.state {
        State::Removed => "-",
        State::HeldVersion => "~",
        State::Current | State::Entering if status.waiting == Some(Waiting::Held) => "!",
        State::Current | State::Entering => return None,
        State::Pending | State::Refused | State::Foreign | State::Unknown => "!",
    };
    Some(format!("  {sign} {id}  {}\n", status.next))
}

/// What would be blocked, by namespace: the first ten of each.
fn impact(status: &ConstraintStatus) -> String {
    if status.would_block.is_empty() || status.stage == Some(Stage::Deny) {
        return String::new();
    }
    let mut text = format!("      would block {} if it were promoted now\n", status.would_block.len());
    for (namespace, subjects) in by_namespace(&status.would_block) {
        let first: Vec<String> =
            subjects.iter().take(10).map(|subject| format!("{} {}", subject.kind, subject.name)).collect();
        let more =
            if subjects.len() > 10 { format!(" and {} more", subjects.len() - 10) } else { String::new() };
        let namespace = if namespace.is_empty() { "(cluster)" } else { namespace };
        text.push_str(&format!("      {namespace:<14} {}{more}\n", first.join(", ")));
    }
    text
}

fn by_namespace(subjects: &[Subject]) -> BTreeMap<&str, Vec<&Subject>> {
    let mut grouped: BTreeMap<&str, Vec<&Subject>> = BTreeMap::new();
    for subject in subjects {
        grouped.entry(&subject.namespace).or_default().push(subject);
    }
    grouped
}

fn problems(prepared: &Prepared) -> String {
    let errors: Vec<_> =
        prepared.bundle.problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    let mut text = String::new();
    if !errors.is_empty() {
        let noun = if errors.len() == 1 { "error" } else { "errors" };
        text.push_str(&format!("\n{} {noun} in the repository:\n", errors.len()));
    }
    for problem in errors {
        text.push_str(&format!(
            "  {}:{}:{}: {} {}\n",
            problem.file, problem.span.line, problem.span.column, problem.code, problem.message
        ));
    }
    text
}

fn as_json(prepared: &Prepared, plan: &Plan, behind: Option<&Revision>) -> Value {
    let writes: Vec<Value> = plan
        .writes
        .iter()
        .map(|write| {
            json!({"object": write.key.to_string(), "change": write.change.word(), "reason": write.reason,
                   "from": write.before.as_ref().and_then(|before| before.stage), "to": write.record.stage})
        })
        .collect();
    let renamed: Vec<Value> = plan
        .prune
        .renamed
        .iter()
        .map(|(old, new): &(ConstraintId, ConstraintId)| json!({"from": old.to_string(), "to": new.to_string()}))
        .collect();
    json!({
        "revision": prepared.revision,
        "applied": behind,
        "refused": prepared.bundle.refused_whole,
        "writes": writes,
        "constraints": plan.statuses,
        "prune": {
            "objects": plan.prune.objects.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "renamed": renamed,
            "held": plan.prune.held,
        },
        "notices": plan.notices,
        "problems": prepared.bundle.problems,
    })
}
