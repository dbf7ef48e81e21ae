//! `--config`: where the configuration is, and reading it for a command.

use std::path::PathBuf;

use clap::Args;
use portcullis_core::problem::{Problem, Severity};

use super::CliError;
use crate::config::{Config, Loaded};

/// More than any configuration has.
const MAX_BYTES: u64 = 1 << 20;

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigArg {
    /// The configuration file.
    #[arg(long, env = "PORTCULLIS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigArg {
    /// Reads the configuration with the overrides of the environment.
    ///
    /// # Errors
    /// Where no file is named or it cannot be read; where something is wrong with it, after each problem
    /// was written to standard error.
    pub fn load(&self) -> Result<Loaded, CliError> {
        let (path, bytes) = self.read()?;
        Config::load(&bytes, &path, std::env::vars()).map_err(|problems| {
            print(&problems, &bytes);
            let count = problems.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            CliError::new(format!("the configuration {} has {count} {noun}", path.display()))
                .hint("`portcullis config schema` prints every key, docs/configuration.md explains them")
        })
    }

    /// The path and the bytes of the file.
    ///
    /// # Errors
    /// Where no file is named or it cannot be read.
    pub fn read(&self) -> Result<(PathBuf, Vec<u8>), CliError> {
        let Some(path) = &self.config else {
            return Err(CliError::new("no configuration is named")
                .hint("give --config FILE, or set PORTCULLIS_CONFIG"));
        };
        let failed = |error: &std::io::Error| {
            CliError::caused(format!("cannot read the configuration {}", path.display()), error)
        };
        let metadata = std::fs::metadata(path).map_err(|error| failed(&error))?;
        if metadata.len() > MAX_BYTES {
            let message = format!("the configuration {} has more than 1 MiB", path.display());
            return Err(CliError::new(message));
        }
        Ok((path.clone(), std::fs::read(path).map_err(|error| failed(&error))?))
    }
}

/// Writes problems to standard error, as compilers do.
fn print(problems: &[Problem], _text: &[u8]) {
    for problem in problems {
        anstream::eprintln!("{}", line(problem));
    }
}

/// `file:line:column: error[code]: message`, and the hint on a line of its own.
fn line(problem: &Problem) -> String {
    let Problem { file, span, severity, code, message, hint } = problem;
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let place = match span.line {
        0 => file.clone(),
        line => format!("{file}:{line}:{}", span.column),
    };
    let hint = hint.as_ref().map(|hint| format!("\n  = help: {hint}")).unwrap_or_default();
    format!("{place}: {severity}[{code}]: {message}{hint}")
}
