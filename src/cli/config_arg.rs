//! `--config`: where the configuration is, and reading it for a command.

use std::{io::IsTerminal, path::PathBuf};

use clap::Args;
use portcullis_core::problem::Problem;

use super::{CliError, problems};
use crate::config::{self, Config, Loaded};

/// More than any configuration has.
const MAX_BYTES: u64 = 1 << 20;
/// Columns of problems on a terminal.
const WIDTH: usize = 100;

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
        // A variable that is no text is none of ours.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::load(&bytes, &path, env).map_err(|problems| {
            anstream::eprint!("{}", render(&problems, &bytes));
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
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        // Relative paths in the file are taken from its folder, wherever the program was started.
        let absolute = std::path::absolute(path).map_err(|error| failed(&error))?;
        Ok((absolute, bytes))
    }
}

/// Problems in compiler style. A line that holds a secret is named and not shown.
fn render(problems: &[Problem], bytes: &[u8]) -> String {
    let holds_secret = |problem: &&Problem| {
        let same_line = |other: &&Problem| other.file == problem.file && other.span.line == problem.span.line;
        problems.iter().filter(same_line).any(|other| other.code == config::SECRET_CODE)
    };
    let text = String::from_utf8_lossy(bytes);
    // `user:password@` of an address is a secret whatever else is wrong with the line.
    let holds_password = |problem: &Problem| {
        let line = text.lines().nth(usize::try_from(problem.span.line).unwrap_or(0).saturating_sub(1));
        line.is_some_and(|line| {
            line.split("://")
                .skip(1)
                .any(|rest| rest.split('/').next().is_some_and(|host| host.contains('@')))
        })
    };
    let width = std::io::stderr().is_terminal().then_some(WIDTH);
    let one = |problem: &Problem| {
        let shown =
            !holds_secret(&problem) && !holds_password(problem) && problem.file != config::ENVIRONMENT;
        problems::text(std::slice::from_ref(problem), &|_| shown.then(|| text.clone().into_owned()), width)
    };
    problems.iter().map(one).collect::<Vec<_>>().concat()
}
