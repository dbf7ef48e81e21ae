//! `portcullis verify`: runs suites as `gator verify` does.

mod junit;
mod text;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis_core::{
    document::{Limits, yaml},
    suite::{self, Filter, Settings, SuiteResult, Verdict, Verification, is_suite},
};
use walkdir::WalkDir;

use super::{CliError, Exit};
use crate::clock::{Clock, SystemClock};

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Runs the tests of policies (suites in gator's format) with the results of `gator verify`.
///
/// Exit codes: 0 all pass, 1 a test fails, 2 a suite could not be read, or there is none.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A suite, or a folder to look for suites in, subfolders included (`FOLDER/...` is the same)
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Runs the tests and cases whose names match; `TESTS//CASES` takes cases within tests
    #[arg(long, short, value_name = "REGEX", default_value = "")]
    pub run: String,
    /// Lists every test and case
    #[arg(long, short)]
    pub verbose: bool,
    /// How the results are printed
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// `{"suites": […]}`.
    Json,
    /// JUnit XML, for continuous integration.
    Junit,
}

/// Runs the suites and prints the results.
///
/// # Errors
/// Where nothing could be run: no such path, no suite below it, a filter that is no expression.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let verification = verify(&args.path, &args.run, &SystemClock)?;
    let printed = match args.output {
        Output::Text => text::render(&verification, args.verbose),
        Output::Json => serde_json::to_string_pretty(&verification)
            .map_err(|error| CliError::caused("the results cannot be written as JSON", &error))?,
        Output::Junit => junit::render(&verification),
    };
    writeln!(anstream::stdout(), "{}", printed.trim_end())
        .map_err(|error| CliError::caused("the results cannot be printed", &error))?;
    Ok(exit(&verification))
}

/// Runs the suites below a path. Nothing is printed.
///
/// # Errors
/// As [`run`].
pub fn verify(path: &Path, filter: &str, clock: &dyn Clock) -> Result<Verification, CliError> {
    let filter = Filter::parse(filter)
        .map_err(|error| CliError::caused("the value of --run cannot be used", &error))?;
    let settings = Settings { filter, ..Settings::at(clock.now()) };
    let suites = find(path)?;
    if suites.is_empty() {
        return Err(CliError::new(format!("no suite found in {}", path.display()))
            .hint("a suite is a YAML file with `kind: Suite` of test.gatekeeper.sh/v1alpha1"));
    }
    let suites = suites.iter().map(|file| suite::verify(&read, file, &settings)).collect();
    Ok(Verification { suites })
}

fn exit(verification: &Verification) -> Exit {
    if verification.suites.iter().any(|suite| suite.error.is_some()) {
        Exit::CouldNotRun
    } else if verification.suites.iter().any(|suite| suite.verdict() == Verdict::Fail) {
        Exit::Found
    } else {
        Exit::Ok
    }
}

/// The content of a file that a suite names; none where it is too large or not there.
fn read(path: &str) -> Option<Arc<[u8]>> {
    let path = Path::new(path);
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    fs::read(path).ok().map(Arc::from)
}

/// The files with suites, sorted.
fn find(path: &Path) -> Result<Vec<String>, CliError> {
    let named = path.to_string_lossy();
    let path = named.strip_suffix("/...").or_else(|| (named == "...").then_some(".")).unwrap_or(&named);
    let path = Path::new(if path.is_empty() { "/" } else { path });
    let metadata = fs::metadata(path)
        .map_err(|error| CliError::caused(format!("{} cannot be read", path.display()), &error))?;
    if metadata.is_file() {
        return Ok(vec![utf8(path)?]);
    }
    let mut files = Vec::new();
    let visible = |name: &std::ffi::OsStr| !name.to_string_lossy().starts_with('.');
    let walk = WalkDir::new(path).sort_by_file_name().into_iter().filter_entry(|entry| {
        entry.depth() == 0 || !entry.file_type().is_dir() || visible(entry.file_name())
    });
    for entry in walk {
        let entry = entry.map_err(|error| {
            CliError::caused(format!("{} cannot be searched", path.display()), &io::Error::from(error))
        })?;
        let yaml =
            entry.path().extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !entry.file_type().is_file() || !yaml {
            continue;
        }
        let file = utf8(entry.path().strip_prefix("./").unwrap_or(entry.path()))?;
        if holds_suite(&file) {
            files.push(file);
        }
    }
    Ok(files)
}

fn utf8(path: &Path) -> Result<String, CliError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        CliError::new(format!("the name of {} is not UTF-8", path.display())).hint("rename it")
    })
}

/// Whether a file is a suite, or looks like one and cannot be read: that is for its result to say.
fn holds_suite(file: &str) -> bool {
    const GROUP: &[u8] = b"test.gatekeeper.sh/";
    let Some(bytes) = read(file) else { return false };
    if !bytes.windows(GROUP.len()).any(|window| window == GROUP) {
        return false;
    }
    match yaml::read(&bytes, &Limits::default()) {
        Ok(documents) => documents.iter().any(is_suite),
        Err(_) => true,
    }
}

/// The name of a test or case, or what stands in for it.
fn named(name: &str) -> &str {
    if name.is_empty() { "without a name" } else { name }
}

/// The numbers of cases of one or more suites, in words.
fn counted(suite: &SuiteResult) -> String {
    let counts = suite.counts();
    let all = counts.passed + counts.failed + counts.skipped;
    let cases = if all == 1 { "1 case".to_owned() } else { format!("{all} cases") };
    match (counts.failed, counts.skipped) {
        (0, 0) => cases,
        (0, skipped) => format!("{cases}, {skipped} skipped"),
        (failed, 0) => format!("{failed} of {cases} failed"),
        (failed, skipped) => format!("{failed} of {cases} failed, {skipped} skipped"),
    }
}
