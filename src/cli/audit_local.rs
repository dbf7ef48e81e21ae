//! `portcullis audit --bundle`: a policy repository against files, without daemon, store or git.

mod text;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, BufWriter, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{Timestamp, tz::TimeZone};
use portcullis_core::{
    audit::{Class, Finding, LedgerRow, Policy, PolicySet},
    bundle::{self, Bundle, LoadOptions},
    identity::ConstraintId,
    policy::CompiledTemplate,
    problem::{Problem, Severity},
    scope::{Exemptions, Semantics},
};
use serde::Serialize;

use super::{CliError, Exit, problems};
use crate::{
    chance::Chance,
    clock::{Clock, SystemClock},
    edge::{
        objects::ObjectSource,
        tree::{self, TreeLimits, WorkingTree},
    },
    pipeline::{
        audit::AuditRun,
        judge::{AuditOutcome, RunOptions, Watch, audit_files},
    },
};

/// The version of the JSON form; fields may be added to it.
pub const SCHEMA: &str = "portcullis.dev/audit/v1alpha1";

/// Kinds that change all the time and that policies hardly mean: only a constraint that names them judges
/// them, as in a daemon's default configuration.
const EXCLUDED_KINDS: [&str; 3] = ["Event", "Lease", "EndpointSlice"];

/// An audit of files: `--bundle` and `--objects` belong together.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// A policy repository to audit by, without daemon, store or git
    #[arg(long, value_name = "PATH", requires = "objects")]
    pub bundle: Vec<PathBuf>,
    /// Files or folders with objects in YAML or JSON; `-` is standard input
    #[arg(long, value_name = "PATH", requires = "bundle", num_args = 1..)]
    pub objects: Vec<PathBuf>,
    /// How the result is printed
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
    /// Whose reading of the objects counts: a cluster's, or that of gator test
    #[arg(long, value_enum, default_value_t)]
    pub semantics: SemanticsArg,
    /// The namespace of namespaced objects that name none
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub namespace: String,
    /// Which violations make the exit code 1, by the stage git asks for
    #[arg(long, value_enum, value_name = "STAGE", default_value_t)]
    pub fail_on: FailOn,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// Run, findings and ledger.
    Json,
}

/// Whose reading of the objects counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SemanticsArg {
    /// As admission and audit of a cluster would judge them.
    #[default]
    Cluster,
    /// As `gator test` judges files.
    Gator,
}

/// Which violations make the exit code 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Of constraints whose target is deny.
    #[default]
    Deny,
    /// Of constraints whose target is warn or deny.
    Warn,
    /// Of any constraint.
    Any,
    /// None.
    None,
}

impl Args {
    /// Whether files are audited, and not the cluster of a configuration.
    pub fn is_local(&self) -> bool {
        !self.bundle.is_empty()
    }
}

/// A run as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown<'a> {
    /// Its number or identifier.
    pub id: serde_json::Value,
    /// Whether every verdict is known.
    pub complete: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Objects read, matched or not.
    pub objects: u64,
    /// What was found.
    #[serde(skip)]
    pub findings: Cow<'a, [Finding]>,
    /// What was and was not evaluated.
    #[serde(skip)]
    pub ledger: Cow<'a, [LedgerRow]>,
}

/// An audit of files, and what came of it.
#[derive(Debug)]
pub struct LocalAudit {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// What it found.
    pub outcome: AuditOutcome,
    /// Errors of the policy repository, with paths as a person may write them.
    pub problems: Vec<Problem>,
}

impl LocalAudit {
    /// The same as it is shown.
    pub fn shown(&self, id: String) -> Shown<'_> {
        Shown {
            id: id.into(),
            complete: self.outcome.ledger.complete(),
            started: self.started,
            finished: self.finished,
            objects: self.outcome.objects,
            findings: Cow::Borrowed(&self.outcome.findings),
            ledger: Cow::Owned(self.outcome.ledger.rows()),
        }
    }
}

/// Audits files and prints the result; errors of the policy repository go to standard error.
///
/// # Errors
/// Where nothing could be judged: a path that is missing, a bundle without a usable constraint.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let audit = audit(args, &SystemClock)?;
    print(args, &audit.shown(Chance::from_system().uuid()))
}

/// Prints a run of a cluster.
///
/// # Errors
/// Where it cannot be printed.
pub fn show(args: &Args, run: &AuditRun) -> Result<Exit, CliError> {
    print(
        args,
        &Shown {
            id: serde_json::json!(run.id),
            complete: run.complete,
            started: run.started,
            finished: run.finished,
            objects: run.objects,
            findings: Cow::Borrowed(&run.findings),
            ledger: Cow::Borrowed(&run.ledger),
        },
    )
}

fn print(args: &Args, shown: &Shown<'_>) -> Result<Exit, CliError> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    match args.output {
        Output::Text => text::write(&mut out, shown),
        Output::Json => shown.write_json(&mut out),
    }
    .and_then(|()| out.flush())
    .map_err(|error| CliError::caused("the result cannot be printed", &error))?;
    Ok(shown.exit(args.fail_on))
}

/// Audits files by a policy repository. Prints only errors of the repository and, on a terminal, how far it
/// has come, both on standard error.
///
/// # Errors
/// As [`run`].
pub fn audit(args: &Args, clock: &dyn Clock) -> Result<LocalAudit, CliError> {
    let started = clock.now();
    let source = ObjectSource::open(&args.objects)
        .map_err(|error| CliError::caused("the objects cannot be read", &error))?;
    let tree = tree::read(&args.bundle, &TreeLimits::default())
        .map_err(|error| CliError::caused("the policy repository cannot be read", &error))?;
    let options =
        LoadOptions { today: Some(started.to_zoned(TimeZone::UTC).date()), ..LoadOptions::default() };
    let bundle = bundle::load(&tree.files, &options);
    let problems = print_errors(&bundle.problems, &tree);
    let set = policy_set(&bundle, started);
    if set.policies().is_empty() {
        return Err(CliError::new("the policy repository has no constraint that can be judged by")
            .hint("see what is wrong with it: portcullis check PATH"));
    }
    let run = RunOptions {
        semantics: match args.semantics {
            SemanticsArg::Cluster => Semantics::Cluster,
            SemanticsArg::Gator => Semantics::Gator,
        },
        default_namespace: args.namespace.clone(),
        ..RunOptions::default()
    };
    let set = Arc::new(set);
    let mut outcome = with_progress(|watch| audit_files(&set, &source, &run, started, watch));
    if bundle.refused_whole {
        outcome.ledger.hole_everywhere("the policy repository holds a file that cannot be read");
    }
    Ok(LocalAudit { started, finished: clock.now(), outcome, problems })
}

/// The constraints of a bundle, by git's target. What cannot judge is there with its reason.
fn policy_set(bundle: &Bundle, now: Timestamp) -> PolicySet {
    let mut policies = Vec::new();
    let mut refused: Vec<(ConstraintId, String)> = Vec::new();
    let mut templates: BTreeMap<&str, Option<Arc<CompiledTemplate>>> = BTreeMap::new();
    for constraint in &bundle.constraints {
        let id = &constraint.spec.id;
        let template = bundle.template(&id.kind);
        let compiled = templates
            .entry(id.kind.as_str())
            .or_insert_with(|| template.and_then(|template| template.compiled.clone()));
        let parameters = template.and_then(|template| template.parameters.as_ref());
        if let Some(reason) = bundle.refused.get(&id.kind.to_lowercase()) {
            refused.push((id.clone(), format!("policy refused: {reason}")));
        } else if let (Some(compiled), Some(parameters)) = (compiled, parameters) {
            let parameters = parameters.default_and_prune(&constraint.spec.parameters);
            let action = constraint.spec.target.stage().as_str();
            policies.push(Policy::new(Arc::clone(compiled), &constraint.spec, &parameters, action));
        } else {
            refused.push((id.clone(), "its template is not in the policy repository".to_owned()));
        }
    }
    // A unit may be refused because its constraint cannot even be named.
    for (kind, reason) in &bundle.refused {
        if !refused.iter().any(|(id, _)| id.kind.to_lowercase() == *kind) {
            refused.push((ConstraintId::new(kind.clone(), "*"), format!("policy refused: {reason}")));
        }
    }
    let exemptions = bundle.exemptions.iter().map(|exemption| exemption.rule.clone());
    PolicySet::new(policies, Exemptions::at(exemptions, now))
        .exclude_kinds(EXCLUDED_KINDS.map(str::to_owned))
        .refused(refused)
}

/// Runs with a spinner on standard error, where that is a terminal.
fn with_progress(run: impl FnOnce(Watch<'_>) -> AuditOutcome + Send) -> AuditOutcome {
    let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let watch = Watch { cancel: &cancel, progress: &progress };
    let bar = bar();
    if bar.is_hidden() {
        return run(watch);
    }
    let outcome = std::thread::scope(|scope| {
        let (done, ended) = channel::<()>();
        let (bar, progress) = (&bar, &progress);
        scope.spawn(move || {
            while ended.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(progress.load(Ordering::Relaxed));
            }
        });
        let outcome = run(watch);
        drop(done);
        outcome
    });
    bar.finish_and_clear();
    outcome
}

/// The count of objects judged, drawn on standard error where that is a terminal.
pub(super) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} objects, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    run: &'a Shown<'a>,
    findings: &'a [Finding],
    ledger: &'a [LedgerRow],
}

impl Shown<'_> {
    /// 3 where anything is unknown; else 1 where a violation counts that is not excused; else 0.
    pub fn exit(&self, fail_on: FailOn) -> Exit {
        if !self.complete {
            return Exit::Incomplete;
        }
        let counts = |finding: &Finding| match fail_on {
            FailOn::Deny => finding.enforcement_action == "deny",
            FailOn::Warn => matches!(finding.enforcement_action.as_str(), "deny" | "warn"),
            FailOn::Any => true,
            FailOn::None => false,
        };
        let violates = |finding: &Finding| finding.class == Class::Violation && finding.exempt_by.is_empty();
        let failing = self.findings.iter().any(|finding| violates(finding) && counts(finding));
        if failing { Exit::Found } else { Exit::Ok }
    }

    /// Writes the JSON form.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_json(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let document = Document { schema: SCHEMA, run: self, findings: &self.findings, ledger: &self.ledger };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }

    /// Writes the text form, with colours that `anstream` strips where they are not wanted.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        text::write(out, self)
    }
}

/// Prints the errors of the policy repository and returns them with paths as a person may write them.
fn print_errors(all: &[Problem], tree: &WorkingTree) -> Vec<Problem> {
    let errors: Vec<Problem> =
        all.iter().filter(|problem| problem.severity == Severity::Error).cloned().collect();
    if !errors.is_empty() {
        let texts = |name: &str| {
            let file = tree.files.iter().find(|file| file.path == name)?;
            String::from_utf8(file.bytes.to_vec()).ok()
        };
        anstream::eprint!("{}", problems::text(&errors, &texts, None));
    }
    errors
}
