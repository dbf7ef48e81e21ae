//! `portcullis config`: the schema of the configuration, and a trial of everything it names.

mod trial;

use std::io::Write;

use clap::{Args, Subcommand};

use super::{
    CliError, ConfigArg, Exit,
    shared::{Output, print_json},
};
use crate::config;
use trial::{Outcome, Trial};

/// Print the schema of the configuration, and check one
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the JSON schema of the configuration file
    Schema,
    /// Try everything that can be tried without changing anything
    ///
    /// Reads the file with the overrides of the environment, reads the secrets, looks at the cluster and
    /// at the folders, asks the remote for its branch, and validates the URLs of the sinks. Exit code 0
    /// where all is well, 2 where anything is wrong.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl ConfigCommand {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Where the configuration cannot be read or anything in it is wrong.
    pub fn run(&self) -> Result<Exit, CliError> {
        match &self.command {
            Command::Schema => {
                print(&config::shape().schema_json())?;
                Ok(Exit::Ok)
            }
            Command::Check(args) => check(args),
        }
    }
}

fn check(args: &CheckArgs) -> Result<Exit, CliError> {
    let loaded = args.config.load()?;
    let path = args.config.config.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut trials = vec![Trial::good("configuration", format!("{path} is valid"))];
    trials.extend(loaded.notices.iter().map(|notice| Trial::note("configuration", notice.clone())));
    trials.extend(trial::run(&loaded.config, &trial::ask_remote));
    match args.output {
        Output::Json => print_json(&trials.iter().map(Trial::json).collect::<Vec<_>>())?,
        Output::Text => {
            let width = trials.iter().map(|trial| trial.about.chars().count()).max().unwrap_or_default();
            print(&trials.iter().map(|trial| trial.line(width)).collect::<Vec<_>>().concat())?;
        }
    }
    let wrong = trials.iter().filter(|trial| trial.outcome == Outcome::Bad).count();
    match wrong {
        0 => Ok(Exit::Ok),
        1 => Err(CliError::new("1 check failed")),
        wrong => Err(CliError::new(format!("{wrong} checks failed"))),
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads through a pipe may stop early.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::caused("cannot write to standard output", &error)),
        Ok(()) => Ok(()),
    }
}
