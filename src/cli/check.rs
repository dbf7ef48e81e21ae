//! `portcullis check`: everything that can be wrong with a policy repository, at once.

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    sync::Arc,
};

use jiff::tz::TimeZone;
use portcullis_core::{
    bundle::{self, Bundle, LoadOptions, SourceFile},
    problem::Severity,
    suite::{self, Settings, SuiteResult},
};

use super::{
    CliError, Exit,
    problems::{self, Format},
};
use crate::{
    clock::{Clock, SystemClock},
    edge::tree::{self, TreeLimits},
};

/// Says everything that is wrong with a policy repository, and runs its suites.
///
/// Exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 could not run.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folders or files of the repository; together they are one tree
    #[arg(default_value = ".", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How problems are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Fails on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Lists what every file is taken for, and nothing else
    #[arg(long)]
    pub explain_layout: bool,
    /// A constraint kind whose template others own, as in source.externalTemplates
    #[arg(long, value_name = "KIND")]
    pub external_template: Vec<String>,
}

/// Checks the tree and prints what is wrong with it.
///
/// # Errors
/// Where nothing could be checked: no such path, too many files, no document.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let checked = check(args, &SystemClock)?;
    let width = std::io::stdout().is_terminal().then_some(100);
    let printed =
        if args.explain_layout { checked.layout(args.format) } else { checked.print(args.format, width) };
    writeln!(anstream::stdout().lock(), "{}", printed.trim_end())
        .map_err(|error| CliError::caused("the problems cannot be printed", &error))?;
    Ok(checked.exit(args.strict))
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    files: Vec<SourceFile>,
    /// The bundle as it was read, with the problems of its suites.
    pub bundle: Bundle,
    /// The results of its suites.
    pub suites: Vec<SuiteResult>,
}

/// Checks the tree. Nothing is printed.
///
/// # Errors
/// As [`run`].
pub fn check(args: &Args, clock: &dyn Clock) -> Result<Checked, CliError> {
    let tree::WorkingTree { files } = tree::read(&args.paths, &TreeLimits::default()).map_err(|error| {
        CliError::caused("the policy repository cannot be read", &error)
            .hint("give the folder that holds the policies: portcullis check policies/")
    })?;
    let now = clock.now();
    let options = LoadOptions {
        external_templates: args.external_template.clone(),
        today: Some(now.to_zoned(TimeZone::UTC).date()),
        ..LoadOptions::default()
    };
    let mut bundle = bundle::load(&files, &options);
    if bundle.documents() == 0 && bundle.problems.is_empty() {
        let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(CliError::new(format!("no policy document found in {}", paths.join(", ")))
            .hint("documents are YAML or JSON files with apiVersion and kind; dot folders are skipped"));
    }
    let suites = run_suites(&files, &bundle, &Settings::at(now));
    bundle.judge_by_suites(&suites);
    Ok(Checked { files, bundle, suites })
}

/// Runs the suites of policies that are without errors so far.
fn run_suites(files: &[SourceFile], bundle: &Bundle, settings: &Settings) -> Vec<SuiteResult> {
    let contents: BTreeMap<&str, &Arc<[u8]>> = files
        .iter()
        .filter(|file| file.issue.is_none())
        .map(|file| (file.path.as_str(), &file.bytes))
        .collect();
    let read = |path: &str| -> Option<Arc<[u8]>> {
        if let Some(bytes) = contents.get(path) {
            return Some(Arc::clone(bytes));
        }
        // A suite may use files outside of what is checked.
        let size = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
        (size <= TreeLimits::default().file_size).then(|| fs::read(path).ok().map(Arc::from)).flatten()
    };
    bundle.suites_to_run().iter().map(|file| suite::verify(&read, file, settings)).collect()
}

impl Checked {
    /// 1 where anything is an error, or with `strict` a warning.
    pub fn exit(&self, strict: bool) -> Exit {
        let worst = if strict { Severity::Warning } else { Severity::Error };
        if self.bundle.problems.iter().any(|problem| problem.severity <= worst) {
            Exit::Found
        } else {
            Exit::Ok
        }
    }

    /// The problems in a format; text ends with a summary. `width` as for [`problems::text`].
    pub fn print(&self, format: Format, width: Option<usize>) -> String {
        match format {
            Format::Json => pretty(&problems::json(&self.bundle.problems)),
            Format::Sarif => pretty(&problems::sarif(&self.bundle.problems)),
            Format::Github => problems::github(&self.bundle.problems),
            Format::Text => {
                let texts: BTreeMap<&str, &Arc<[u8]>> =
                    self.files.iter().map(|file| (file.path.as_str(), &file.bytes)).collect();
                let text =
                    |file: &str| texts.get(file).and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
                format!("{}{}", problems::text(&self.bundle.problems, &text, width), self.summary())
            }
        }
    }

    fn summary(&self) -> String {
        let bundle = &self.bundle;
        let cases: usize = self.suites.iter().map(|suite| suite.counts().passed).sum();
        let suites = match bundle.suites.len() {
            0 => String::new(),
            count => format!("{} ({} passed)", counted(count, "suite"), counted(cases, "case")),
        };
        let parts: Vec<String> = [
            (bundle.templates.len(), "template"),
            (bundle.constraints.len(), "constraint"),
            (bundle.rollouts.len(), "rollout"),
            (bundle.exemptions.len(), "exemption"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count, what))
        .chain(Some(suites).filter(|suites| !suites.is_empty()))
        .collect();
        let mut first = format!("checked {}", counted(bundle.documents(), "document"));
        if !parts.is_empty() {
            first = format!("{first}: {}", parts.join(", "));
        }
        format!("{first}\n{}\n", self.verdict())
    }

    fn verdict(&self) -> String {
        let count =
            |severity| self.bundle.problems.iter().filter(|problem| problem.severity == severity).count();
        let (errors, warnings, notes) =
            (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
        let refused = self.bundle.refused.len();
        let mut parts = Vec::new();
        match errors {
            0 => {}
            errors if self.bundle.refused_whole => {
                parts.push(format!("{} (the whole revision would be refused)", counted(errors, "error")));
            }
            errors if refused > 0 => parts.push(format!(
                "{} in {} ({} would be refused)",
                counted(errors, "error"),
                counted(refused, "policy unit"),
                if refused == 1 { "it" } else { "they" }
            )),
            errors => parts.push(counted(errors, "error")),
        }
        for (amount, what) in [(warnings, "warning"), (notes, "note")] {
            if amount > 0 {
                parts.push(counted(amount, what));
            }
        }
        if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") }
    }

    /// What every file is taken for: aligned text, or JSON.
    pub fn layout(&self, format: Format) -> String {
        if format == Format::Json {
            return serde_json::to_value(&self.bundle.layout).map(|value| pretty(&value)).unwrap_or_default();
        }
        let width = self.bundle.layout.iter().map(|entry| entry.path.chars().count()).max();
        let width = width.unwrap_or(0);
        let mut out = String::new();
        for entry in &self.bundle.layout {
            let path = &entry.path;
            let line = format!("{:<8} {path:<width$}  {}", entry.class.as_str(), entry.detail);
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}
