//! What several commands need: the opened ports, the output format, tables.

use std::{future::Future, io::IsTerminal as _, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use portcullis_core::document::Duration;

use super::{CliError, ConfigArg};
use crate::{
    chance::Chance,
    clock::SystemClock,
    edge::store::{Store, StoreError},
    pipeline::ports::{Ports, StartError},
};

/// Tables on a terminal are no wider; elsewhere nothing is cut or wrapped.
const WIDTH: u16 = 100;

/// How long work under way may keep a process that is done.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_secs(2);

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Runs a future to its end on a runtime of its own.
pub fn block_on<T>(future: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::caused("cannot start the runtime", &error))?;
    let result = runtime.block_on(future);
    // Work that does not heed a stop must not keep the process.
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

/// Loads the configuration and opens everything to write.
pub async fn writing(config: &ConfigArg) -> Result<Ports, CliError> {
    let config = config.load()?.config;
    Ports::open(config, Arc::new(SystemClock), Arc::new(Chance::from_system()))
        .await
        .map_err(|error| start(&error))
}

/// Loads the configuration and opens everything to read, beside whoever writes.
pub async fn reading(config: &ConfigArg) -> Result<Ports, CliError> {
    let config = config.load()?.config;
    Ports::open_reading(config, Arc::new(SystemClock), Arc::new(Chance::from_system()))
        .await
        .map_err(|error| start(&error))
}

/// Loads the configuration and opens everything for a look ahead; nothing need have run here before.
pub async fn looking_ahead(config: &ConfigArg, scratch: &Path) -> Result<Ports, CliError> {
    let config = config.load()?.config;
    Ports::open_looking_ahead(config, scratch, Arc::new(SystemClock), Arc::new(Chance::from_system()))
        .await
        .map_err(|error| start(&error))
}

/// Why the ports did not open, as a person reads it.
pub fn start(error: &StartError) -> CliError {
    let what = CliError::caused("cannot start", error);
    match error {
        StartError::Store(StoreError::Absent { .. }) => what
            .hint("nothing has run here yet: `portcullis run` or `portcullis sync --once` makes the store"),
        StartError::Source(error) => match error.hint() {
            Some(hint) => what.hint(hint),
            None => what,
        },
        _ => what,
    }
}

/// Prints a value as indented JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::caused("cannot write the answer as JSON", &error))?;
    anstream::println!("{text}");
    Ok(())
}

/// A table without borders: aligned columns, wrapped at 100 columns on a terminal, never cut elsewhere.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().copied());
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table as lines without trailing spaces.
pub fn lines(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How long ago, in the two largest units.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    Duration::from_millis(now.as_millisecond() - at.as_millisecond()).to_string()
}

/// Who runs this: the login name, else the name of the user id in the system's list, else the number.
pub fn caller() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = variable("USER").or_else(|| variable("LOGNAME"));
    named.or_else(by_number).unwrap_or_else(|| "unknown".to_owned())
}

fn by_number() -> Option<String> {
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    Some(name.unwrap_or_else(|| format!("uid {id}")))
}

/// Opens the store alone.
pub async fn store(config: &ConfigArg, reading: bool) -> Result<Store, CliError> {
    let config = config.load()?.config;
    let (url, cluster, instance) = (&config.storage.url, &config.cluster.name, &config.instance);
    let opened = if reading {
        Store::open_reading(url, cluster, instance).await
    } else {
        Store::open(url, cluster, instance).await
    };
    opened.map_err(|error| start(&StartError::Store(error)))
}
