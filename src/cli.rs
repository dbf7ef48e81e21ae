//! The command line: one file per subcommand, each parses, calls, prints and says the exit code.

mod audit;
pub mod audit_local;
pub mod check;
pub mod config;
mod config_arg;
mod demo;
pub mod outbox;
mod outcome;
mod plan;
pub mod problems;
mod report;
mod rollout;
mod run;
mod shared;
mod status;
mod sync;
pub mod verify;

pub use config_arg::ConfigArg;
pub use outcome::{CliError, Exit};

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// GitOps for Kubernetes admission policy: staged rollout of Gatekeeper constraints, audit and reports.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    Check(check::Args),
    Audit(audit::AuditArgs),
    Verify(verify::Args),
    Plan(plan::PlanArgs),
    Sync(sync::SyncArgs),
    Report(report::ReportArgs),
    Status(status::StatusArgs),
    Rollout(rollout::RolloutArgs),
    Outbox(OutboxCommand),
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Look at the outbox and change it
#[derive(Debug, clap::Args)]
struct OutboxCommand {
    /// The configuration file
    #[arg(long, env = "PORTCULLIS_CONFIG", value_name = "FILE", global = true)]
    config: Option<std::path::PathBuf>,
    #[command(flatten)]
    args: outbox::OutboxArgs,
}

impl OutboxCommand {
    fn run(&self) -> Result<Exit, CliError> {
        shared::block_on(async {
            let config = ConfigArg { config: self.config.clone() };
            let store = shared::store(&config, self.args.command.only_reads()).await?;
            let exit = outbox::run(&self.args, &store, jiff::Timestamp::now()).await;
            store.close().await;
            exit
        })
    }
}

/// Parses the arguments, runs the subcommand, prints its error and returns its exit code.
pub fn main() -> ExitCode {
    end_quietly_on_a_closed_pipe();
    let cli = Cli::parse();
    let result: Result<Exit, CliError> = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Sync(args) => sync::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Rollout(args) => rollout::run(&args),
        Command::Outbox(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "portcullis", &mut script);
            anstream::print!("{}", String::from_utf8_lossy(&script));
            Ok(Exit::Ok)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever read has seen enough.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            error.exit.into()
        }
    }
}

/// Printing to a pipe whose reader has gone ends the program quietly, as other programs do.
fn end_quietly_on_a_closed_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to") && message.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(panic);
    }));
}
