//! `portcullis report`: the compliance report of a run, on demand.

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use portcullis_core::report::{ReportFilter, render_summary_text};

use super::{CliError, ConfigArg, Exit, shared};
use crate::{
    config::ReportFormat,
    edge::store::RunId,
    pipeline::{
        apply::error_line,
        deliver::{Deliverer, NamedSink},
        report::{self, ReportError},
    },
};

/// Render the report of the newest audit run, or send one as its schedule would
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReportArgs {
    #[command(subcommand)]
    command: Option<ReportCommand>,
    #[command(flatten)]
    config: ConfigArg,
    /// The run it is about; the newest by default
    #[arg(long, value_name = "ID")]
    run: Option<i64>,
    /// The rendering
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to write it; standard output by default
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Make a report of the configuration now, store it and deliver it to its sinks
    Send {
        #[command(flatten)]
        config: ConfigArg,
        /// The report's name in the configuration
        name: String,
    },
}

/// A rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A few lines for a terminal.
    Text,
    /// The model, after `docs/schema/report.schema.json`.
    Json,
    /// For a ticket or a pull request.
    #[value(alias = "md")]
    Markdown,
    /// One self-contained page.
    Html,
}

/// Exit code 0, or 2 where there is no report.
pub fn run(args: &ReportArgs) -> Result<Exit, CliError> {
    shared::block_on(async {
        match &args.command {
            Some(ReportCommand::Send { config, name }) => send(config, name).await,
            None => render(args).await,
        }
    })
}

fn failed(error: &ReportError) -> CliError {
    let said = CliError::caused("there is no report", error);
    match error {
        ReportError::NoRun => said.hint("`portcullis audit` runs one now, `portcullis run` on its schedule"),
        _ => said,
    }
}

async fn render(args: &ReportArgs) -> Result<Exit, CliError> {
    let ports = shared::reading(&args.config).await?;
    let report = report::build(&ports, args.run.map(RunId), ReportFilter::default(), None)
        .await
        .map_err(|error| failed(&error))?;
    let text = match args.format {
        Format::Text => render_summary_text(&report),
        Format::Json => report::render(&report, ReportFormat::Json).2,
        Format::Markdown => report::render(&report, ReportFormat::Markdown).2,
        Format::Html => report::render(&report, ReportFormat::Html).2,
    };
    match &args.output {
        Some(path) => std::fs::write(path, text.as_bytes())
            .map_err(|error| CliError::caused(format!("cannot write {}", path.display()), &error))?,
        None => anstream::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| CliError::caused("cannot write the report", &error))?,
    }
    Ok(Exit::Ok)
}

async fn send(config: &ConfigArg, name: &str) -> Result<Exit, CliError> {
    let ports = shared::writing(config).await?;
    let Some(rule) = ports.config.reports.iter().find(|report| report.name == name).cloned() else {
        let known: Vec<&str> = ports.config.reports.iter().map(|report| report.name.as_str()).collect();
        return Err(CliError::new(format!("the configuration has no report `{name}`"))
            .hint(format!("it has: {}", known.join(", "))));
    };
    let record = report::send(&ports, &rule, None).await.map_err(|error| failed(&error))?;
    let sinks = ports.config.sinks.iter().map(NamedSink::from_config).collect();
    let deliverer = Deliverer::new(ports.store.clone(), sinks, ports.clock.clone(), ports.chance.clone());
    let summary = deliverer.deliver_due().await.map_err(|error| {
        CliError::new(format!("the report is in the outbox, but: {}", error_line(&error)))
    })?;
    ports.store.close().await;
    anstream::println!(
        "report {} made: {} deliveries taken, {} to be tried again, {} given up",
        record.name,
        summary.delivered,
        summary.retried,
        summary.dead
    );
    Ok(if summary.retried + summary.dead > 0 { Exit::Found } else { Exit::Ok })
}
