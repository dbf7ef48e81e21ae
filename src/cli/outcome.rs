//! How a command ends: an exit code, or an error with a hint for a person.

use std::{fmt, process::ExitCode};

use anstyle::{AnsiColor, Style};

/// The exit codes; each command's help says what they mean for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: as it should be.
    Ok,
    /// 1: it ran, and found something (problems, violations, something held).
    Found,
    /// 2: it could not run.
    CouldNotRun,
    /// 3: it ran, and the answer is incomplete.
    Incomplete,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => Self::SUCCESS,
            Exit::Found => Self::from(1),
            Exit::CouldNotRun => Self::from(2),
            Exit::Incomplete => Self::from(3),
        }
    }
}

/// An error as a person reads it: what happened, why, what to do.
#[derive(Debug)]
pub struct CliError {
    /// What was expected and what was found, lower case, no full stop.
    pub message: String,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// The exit code, 2 unless said otherwise.
    pub exit: Exit,
}

impl CliError {
    /// An error without cause or hint, exit code 2.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hints: Vec::new(), exit: Exit::CouldNotRun }
    }

    /// What was tried, and the error that came of it with its chain of sources.
    pub fn caused(message: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let mut causes = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { causes, ..Self::new(message) }
    }

    /// The same with one more line of advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Whether it is only that nobody reads what is printed any more.
    pub fn is_broken_pipe(&self) -> bool {
        self.causes.iter().any(|cause| cause.contains("Broken pipe"))
    }

    /// Writes it to standard error, coloured on a terminal only.
    pub fn print(&self) {
        anstream::eprint!("{self}");
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        writeln!(f, "{red}error{red:#}: {}", self.message)?;
        for cause in &self.causes {
            writeln!(f, "  because: {cause}")?;
        }
        for hint in &self.hints {
            writeln!(f, "  {hint}")?;
        }
        Ok(())
    }
}
