//! The command line: one file per subcommand, each parses, calls, prints and says the exit code.

pub mod check;
pub mod config;
mod config_arg;
pub mod outbox;
mod outcome;
pub mod problems;
pub mod verify;

pub use config_arg::ConfigArg;
pub use outcome::{CliError, Exit};

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// GitOps for Kubernetes admission policy: staged rollout of Gatekeeper constraints, audit and reports.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Config(config::ConfigCommand),
    Verify(verify::Args),
}

/// Parses the arguments, runs the subcommand, prints its error and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result: Result<Exit, CliError> = match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Config(command) => command.run(),
        Command::Verify(args) => verify::run(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print();
            error.exit.into()
        }
    }
}
