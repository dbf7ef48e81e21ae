//! `portcullis outbox`: what waits to be delivered, what was, and what a person wants done about it.

use std::{fmt::Write as _, io::IsTerminal as _};

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::json;

use super::{CliError, Exit};
use crate::edge::store::{Attempt, ClosedSink, Delivery, DeliveryRow, DeliveryState, Store, StoreError};

/// Tables on a terminal are no wider; elsewhere nothing is cut or wrapped.
const WIDTH: u16 = 100;

/// Looks at the outbox and changes it.
#[derive(Debug, Args)]
pub struct OutboxArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: OutboxCommand,
    /// How data is printed.
    #[arg(short, long, value_enum, default_value_t = Format::Text, global = true)]
    pub output: Format,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What to do with the outbox.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List deliveries, newest first
    List {
        /// Only those in this state: waiting, delivering, delivered, dead, orphaned, dropped or expired
        #[arg(long, value_parser = state)]
        state: Option<DeliveryState>,
        /// No more than so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one delivery and every attempt at it
    Show {
        /// The delivery's number
        id: i64,
        /// Print its body alone, as it is sent
        #[arg(long)]
        body: bool,
    },
    /// Send a delivery again from the start, with the same body and webhook-id
    Replay {
        /// The delivery's number
        id: i64,
    },
    /// Give a delivery up
    Drop {
        /// The delivery's number
        id: i64,
    },
    /// Open a sink that its receiver has closed (410)
    Enable {
        /// The sink's name
        sink: String,
    },
}

impl OutboxCommand {
    /// Whether the store is only read.
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Show { .. })
    }
}

fn state(text: &str) -> Result<DeliveryState, String> {
    DeliveryState::parse(text).ok_or_else(|| {
        format!("expected one of {}", DeliveryState::ALL.map(DeliveryState::as_str).join(", "))
    })
}

/// Runs the command on an open store and prints to standard output; `now` is the present time.
///
/// Exit code 0, or 2 where there is no such delivery or its state does not allow it.
///
/// # Errors
///
/// As above, and where the store cannot be read or written.
pub async fn run(args: &OutboxArgs, store: &Store, now: Timestamp) -> Result<Exit, CliError> {
    let terminal = std::io::stdout().is_terminal();
    let text = answer(args, store, now, terminal).await?;
    anstream::print!("{text}");
    Ok(Exit::Ok)
}

/// What the command prints; changes are committed when it returns.
///
/// # Errors
///
/// As `run`.
pub async fn answer(
    args: &OutboxArgs,
    store: &Store,
    now: Timestamp,
    terminal: bool,
) -> Result<String, CliError> {
    let json = args.output == Format::Json;
    match &args.command {
        OutboxCommand::List { state, limit } => {
            let rows = store.deliveries(*state, *limit).await.map_err(|error| failed(&error))?;
            let closed = store.closed_sinks().await.map_err(|error| failed(&error))?;
            if json { pretty(&json!(rows)) } else { Ok(list(&rows, &closed, now, terminal)) }
        }
        OutboxCommand::Show { id, body } => {
            let delivery = store.delivery(*id).await.map_err(|error| failed(&error))?;
            let delivery = delivery.ok_or_else(|| {
                CliError::new(format!("there is no delivery {id}")).hint("portcullis outbox list shows them")
            })?;
            if *body {
                return Ok(delivery.body);
            }
            let attempts = store.attempts(*id).await.map_err(|error| failed(&error))?;
            if json {
                let mut value = json!(delivery.row);
                if let Some(map) = value.as_object_mut() {
                    map.insert("tries".to_owned(), json!(attempts));
                    map.insert("body".to_owned(), json!(delivery.body));
                }
                pretty(&value)
            } else {
                Ok(show(&delivery, &attempts, now, terminal))
            }
        }
        OutboxCommand::Replay { id } => {
            store.replay(*id, now).await.map_err(|error| failed(&error))?;
            done(json, &json!({"id": id, "state": "waiting"}), &format!("delivery {id} is due again"))
        }
        OutboxCommand::Drop { id } => {
            store.drop_delivery(*id, now).await.map_err(|error| failed(&error))?;
            done(json, &json!({"id": id, "state": "dropped"}), &format!("delivery {id} is dropped"))
        }
        OutboxCommand::Enable { sink } => {
            let opened = store.enable_sink(sink, now).await.map_err(|error| failed(&error))?;
            let text = if opened {
                format!("sink {sink} is open again")
            } else {
                format!("sink {sink} was not closed")
            };
            done(json, &json!({"sink": sink, "opened": opened}), &text)
        }
    }
}

fn failed(error: &StoreError) -> CliError {
    match error {
        StoreError::Missing { .. } | StoreError::NotNow { .. } => CliError::new(error.to_string()),
        _ => CliError::caused("the outbox could not be read or changed", error),
    }
}

fn done(json: bool, value: &serde_json::Value, text: &str) -> Result<String, CliError> {
    if json { pretty(value) } else { Ok(format!("{text}\n")) }
}

fn pretty(value: &serde_json::Value) -> Result<String, CliError> {
    serde_json::to_string_pretty(value)
        .map(|text| format!("{text}\n"))
        .map_err(|error| CliError::caused("the answer cannot be written as JSON", &error))
}

fn table(header: &[&str], terminal: bool) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().copied());
    if terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    }
    table
}

fn lines(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn list(rows: &[DeliveryRow], closed: &[ClosedSink], now: Timestamp, terminal: bool) -> String {
    let mut text = if rows.is_empty() {
        "no deliveries\n".to_owned()
    } else {
        let mut table =
            table(&["ID", "SINK", "STATE", "TRIES", "AGE", "WHAT", "NEXT OR LAST ERROR"], terminal);
        for row in rows {
            table.add_row([
                row.id.to_string(),
                row.sink.clone(),
                row.state.to_string(),
                row.attempts.to_string(),
                span(row.created, now),
                row.file_name.clone(),
                outlook(row, now),
            ]);
        }
        lines(&table)
    };
    for sink in closed {
        let name = &sink.sink;
        let _ = writeln!(text, "sink {name} is closed since {}: {}", sink.at, sink.reason);
        let _ = writeln!(text, "  to open it: portcullis outbox enable {name}");
    }
    text
}

fn outlook(row: &DeliveryRow, now: Timestamp) -> String {
    let next = match row.state {
        DeliveryState::Waiting if row.next_at > now => format!("in {}", span(now, row.next_at)),
        DeliveryState::Waiting => "due".to_owned(),
        _ => String::new(),
    };
    let error = if row.state == DeliveryState::Delivered { "" } else { row.last_error.as_str() };
    [next.as_str(), error].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn show(delivery: &Delivery, attempts: &[Attempt], now: Timestamp, terminal: bool) -> String {
    let row = &delivery.row;
    let mut text = format!("delivery {} to {}: {}\n", row.id, row.sink, row.state);
    let facts = [
        ("what", format!("{} ({})", row.file_name, row.event_type)),
        ("webhook-id", row.webhook_id.clone()),
        ("body", format!("{}, {} bytes", row.content_type, delivery.body.len())),
        ("created", row.created.to_string()),
        ("expires", row.expires.to_string()),
        ("attempts", row.attempts.to_string()),
        ("next", outlook(row, now)),
        ("ended", row.ended.map(|at| at.to_string()).unwrap_or_default()),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "  {name:<11} {value}");
    }
    if !attempts.is_empty() {
        let mut table = table(&["AT", "OUTCOME", "STATUS", "MS", "ERROR"], terminal);
        for attempt in attempts {
            table.add_row([
                attempt.at.0.to_string(),
                attempt.outcome.clone(),
                attempt.status.map(|status| status.to_string()).unwrap_or_default(),
                attempt.millis.to_string(),
                attempt.error.clone(),
            ]);
        }
        text += &lines(&table);
    }
    if row.state == DeliveryState::Dead {
        let _ = writeln!(text, "to send it again: portcullis outbox replay {}", row.id);
    }
    text
}

/// The time between, in its largest unit: `40s`, `5m`, `3h`, `9d`.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
