//! The daemon's configuration: (bytes, environment) → validated values, or everything that is wrong.

mod checker;
mod file;
mod overrides;
mod read;
mod rollout;
mod secret;
mod sink;
mod size;
mod source;
mod unsupported;

pub use checker::{ENVIRONMENT, UrlFault, web_url};
pub use file::{
    ConfigFile, Drift, GatekeeperFile as Gatekeeper, LogFile as Log, LogFormat, LogLevel, MinSeverity,
    NotificationEvent, NotificationFile as Notification, Probe, PruneFile as Prune, ReportFilter,
    ReportFormat,
};
pub use secret::{Secret, SecretError, SecretText};
pub use sink::{FileSink, Sink, SinkUrl, WebhookSink};
pub use size::{ByteSize, ByteSizeError};
pub use source::{Auth, Source, SourceLimits};

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use portcullis_core::{
    document::{Duration, Shape},
    problem::Problem,
    rollout::RolloutSpec,
    schedule::Schedule,
};

use checker::Checker;
use file::{ClusterFile, ReportFile, ServerFile, StorageFile};

/// The code of a secret that is written down; the line it stands on must not be shown.
pub const SECRET_CODE: &str = code::SECRET;

/// The codes of what can be wrong with a configuration.
mod code {
    /// The file is not one readable YAML document.
    pub(super) const SYNTAX: &str = "PC0501";
    /// A field that is unknown, missing, or of another type.
    pub(super) const FIELD: &str = "PC0502";
    /// A value that its field cannot take.
    pub(super) const VALUE: &str = "PC0503";
    /// Fields that contradict each other, or a name that nothing has.
    pub(super) const CONFLICT: &str = "PC0504";
    /// A secret written down.
    pub(super) const SECRET: &str = "PC0505";
    /// A variable that overrides nothing.
    pub(super) const OVERRIDE: &str = "PC0506";
    /// Not supported yet.
    pub(super) const UNSUPPORTED: &str = "PC0510";
}

static SHAPE: LazyLock<Shape> = LazyLock::new(Shape::of::<ConfigFile>);

/// The shape of the configuration file; its schema is the reference.
pub fn shape() -> &'static Shape {
    &SHAPE
}

/// A validated configuration; every path is taken from the folder of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The cluster.
    pub cluster: Cluster,
    /// The owner label.
    pub instance: String,
    /// Where Gatekeeper is installed; no effect yet.
    pub gatekeeper: Gatekeeper,
    /// The policy repository.
    pub source: Source,
    /// How the cluster is changed.
    pub apply: Apply,
    /// How constraints move towards their target.
    pub rollout: Rollout,
    /// The audit of live resources.
    pub audit: Audit,
    /// Reports on a schedule or on demand.
    pub reports: Vec<Report>,
    /// Events that are told at once.
    pub notifications: Vec<Notification>,
    /// Where reports and notifications go; names are unique.
    pub sinks: Vec<Sink>,
    /// The database.
    pub storage: Storage,
    /// The folder of the git cache and of scratch files.
    pub state: PathBuf,
    /// The HTTP server, if any.
    pub server: Option<Server>,
    /// How long a silent leader keeps its place; no effect yet.
    pub lease: Duration,
    /// What is logged.
    pub log: Log,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in every report.
    pub name: String,
    /// What selectors in the repository are compared with.
    pub labels: BTreeMap<String, String>,
    /// The folder that stands for it.
    pub directory: PathBuf,
}

/// How the cluster is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// How much may be removed in one go.
    pub prune: Prune,
    /// What happens to drift.
    pub drift: Drift,
    /// The bound of every wait for acknowledgement.
    pub timeout: Duration,
    /// Requests a second; no effect yet.
    pub qps: u32,
}

/// How constraints move towards their target.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// How it is proved that deny denies; no effect yet.
    pub probe: Probe,
    /// Used where no Rollout document matches.
    pub default: RolloutSpec,
}

/// The audit of live resources.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// When.
    pub schedule: Schedule,
    /// Also after a sync that changed something.
    pub on_sync: bool,
    /// Threads; 0 means one per core.
    pub workers: usize,
    /// Objects asked for at once.
    pub page_size: usize,
    /// The bound of one evaluation.
    pub evaluation_timeout: Duration,
    /// Kinds matched only by a constraint that names them.
    pub exclude_kinds: Vec<String>,
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its unique name.
    pub name: String,
    /// When; `None` means on demand only.
    pub schedule: Option<Schedule>,
    /// The renderings that are delivered; not empty, without repetitions.
    pub formats: Vec<ReportFormat>,
    /// What it is about.
    pub filter: ReportFilter,
    /// Names of sinks that exist; not empty.
    pub to: Vec<String>,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `sqlite://` and the path.
    pub url: String,
    /// The file.
    pub path: PathBuf,
    /// How long history is kept.
    pub retention: Duration,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token that callers must show; the health routes do not ask for it.
    pub token: Option<Secret>,
}

/// A configuration, and what to say about it at start.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// One line for each key that was written and has no effect yet.
    pub notices: Vec<String>,
}

impl Config {
    /// Reads a configuration file with the overrides of the environment. `file` names it in problems,
    /// and its folder is where relative paths begin. Nothing but these is looked at.
    ///
    /// # Errors
    /// Everything that is wrong at once, what is not supported yet included.
    pub fn load(
        bytes: &[u8],
        file: &Path,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Loaded, Vec<Problem>> {
        let written = read::document(bytes, file).map_err(|problem| vec![*problem])?;
        let overrides::Overridden { node, variables, problems } = overrides::apply(shape(), &written, env);
        let mut checker = Checker::new(file, &node, &variables);
        checker.problems.extend(problems);
        let (config, notices) = match read::read(&mut checker, &node) {
            Some(file) => (validate(&mut checker, &file), unsupported::notices(&checker)),
            None => (None, Vec::new()),
        };
        let mut problems = checker.problems;
        problems.sort_by(|a, b| (a.file == ENVIRONMENT, a).cmp(&(b.file == ENVIRONMENT, b)));
        problems.dedup();
        match config {
            Some(config) if problems.is_empty() => Ok(Loaded { config, notices }),
            _ => Err(problems),
        }
    }

    /// The sink of a name.
    pub fn sink(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name() == name)
    }
}

fn validate(checker: &mut Checker<'_>, file: &ConfigFile) -> Option<Config> {
    let second = Duration::from_secs(1);
    unsupported::refuse(checker, file);
    let directory = cluster(checker, &file.cluster);
    if file.instance.is_empty() {
        checker.problem("/instance", code::VALUE, "the instance has no name", "write a short name");
    }
    let source = source::validate(checker, &file.source);
    let apply = Apply {
        prune: file.apply.prune,
        drift: file.apply.drift,
        timeout: checker.positive("/apply/timeout", file.apply.timeout, second),
        qps: file.apply.qps,
    };
    let schedule = checker.schedule("/audit", &file.audit.schedule, &file.audit.timezone);
    let default = rollout::validate(checker, file.rollout.default.as_ref(), schedule.as_ref());
    let evaluation = Duration::from_millis(1);
    checker.positive("/audit/evaluationTimeout", file.audit.evaluation_timeout, evaluation);
    let sinks = sink::validate(checker, &file.sinks);
    let names: Vec<&str> = file.sinks.iter().map(|sink| sink.name.as_str()).collect();
    let reports = reports(checker, &file.reports, &names);
    for (at, notification) in file.notifications.iter().enumerate() {
        sink::references(checker, &format!("/notifications/{at}/to"), &notification.to, &names);
    }
    let state = checker.path(&file.state);
    let storage = storage(checker, &file.storage, &state);
    let server = file.server.as_ref().map(|server| self::server(checker, server));
    checker.positive("/lease/duration", file.lease.duration, second);
    Some(Config {
        cluster: Cluster {
            name: file.cluster.name.clone(),
            labels: file.cluster.labels.clone(),
            directory: directory?,
        },
        instance: file.instance.clone(),
        gatekeeper: file.gatekeeper.clone(),
        source: source?,
        apply,
        rollout: Rollout { probe: file.rollout.probe, default },
        audit: Audit {
            schedule: schedule?,
            on_sync: file.audit.on_sync,
            workers: file.audit.workers.try_into().unwrap_or(usize::MAX),
            page_size: file.audit.page_size.try_into().unwrap_or(usize::MAX),
            evaluation_timeout: file.audit.evaluation_timeout,
            exclude_kinds: file.audit.exclude_kinds.clone(),
        },
        reports,
        notifications: file.notifications.clone(),
        sinks,
        storage: storage?,
        state,
        server: match server {
            Some(server) => Some(server?),
            None => None,
        },
        lease: file.lease.duration,
        log: file.log,
    })
}

fn cluster(checker: &mut Checker<'_>, cluster: &ClusterFile) -> Option<PathBuf> {
    match (&cluster.directory, &cluster.kubernetes) {
        (Some(_), Some(_)) => {
            let hint = "keep one of them";
            checker.problem(
                "/cluster/kubernetes",
                code::CONFLICT,
                "both `kubernetes` and `directory` are given",
                hint,
            );
            None
        }
        (Some(directory), None) if directory.as_os_str().is_empty() => {
            let hint = "name the folder that stands for the cluster";
            checker.problem(
                "/cluster/directory",
                code::VALUE,
                "expected a folder, found an empty text",
                hint,
            );
            None
        }
        (Some(directory), None) => Some(checker.path(directory)),
        // Refused as not supported yet.
        (None, _) => None,
    }
}

fn reports(checker: &mut Checker<'_>, reports: &[ReportFile], sinks: &[&str]) -> Vec<Report> {
    let mut found: Vec<Report> = Vec::new();
    for (at, report) in reports.iter().enumerate() {
        let section = format!("/reports/{at}");
        if reports.iter().take(at).any(|other| other.name == report.name) {
            let message = format!("another report is called `{}`", report.name);
            checker.problem(&format!("{section}/name"), code::CONFLICT, message, "give each its own name");
        }
        // A zone that is wrong is wrong, also while nothing is scheduled.
        let expression = report.schedule.as_deref().unwrap_or("@daily");
        let schedule = checker.schedule(&section, expression, &report.timezone);
        sink::references(checker, &format!("{section}/to"), &report.to, sinks);
        let mut formats = report.formats.clone();
        formats.sort_unstable();
        formats.dedup();
        found.push(Report {
            name: report.name.clone(),
            schedule: schedule.filter(|_| report.schedule.is_some()),
            formats,
            filter: report.filter.clone(),
            to: report.to.clone(),
        });
    }
    found
}

fn storage(checker: &mut Checker<'_>, storage: &StorageFile, state: &Path) -> Option<Storage> {
    let retention = checker.positive("/storage/retention", storage.retention, Duration::from_secs(1));
    let path = match storage.url.as_deref() {
        None => state.join("portcullis.db"),
        Some(url) if unsupported::is_postgres(url) => return None,
        Some(url) => match url.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() && !path.contains(['?', '#']) => checker.path(Path::new(path)),
            _ => {
                let message = "expected sqlite:// and a path";
                let hint = "write `sqlite:///var/lib/portcullis/portcullis.db`, or leave it out";
                checker.problem("/storage/url", code::VALUE, message, hint);
                return None;
            }
        },
    };
    Some(Storage { url: format!("sqlite://{}", path.display()), path, retention })
}

fn server(checker: &mut Checker<'_>, server: &ServerFile) -> Option<Server> {
    let token = checker.secret("/server", "token", server.token_file.as_deref(), server.token_env.as_deref());
    if let Ok(listen) = server.listen.parse() {
        return Some(Server { listen, token });
    }
    let message = format!("expected an address and a port, found `{}`", server.listen);
    let hint = "write `127.0.0.1:8080`, or `0.0.0.0:8080` to be reached from other machines";
    checker.problem("/server/listen", code::VALUE, message, hint);
    None
}
