//! What a configuration names, tried without changing anything.

use std::{
    error::Error,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anstyle::{AnsiColor, Style};

use crate::{
    config::{Auth, Config, Secret, Sink, SinkUrl, Source, web_url},
    edge::git::{GitSettings, GitSource},
};

/// How long the remote may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How one trial went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    Note,
    Bad,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// The section of the configuration.
    pub(super) about: &'static str,
    pub(super) outcome: Outcome,
    /// What was found.
    message: String,
    /// Causes and advice, one a line.
    more: Vec<String>,
}

impl Trial {
    pub(super) fn good(about: &'static str, message: impl Into<String>) -> Self {
        Self { about, outcome: Outcome::Good, message: message.into(), more: Vec::new() }
    }

    pub(super) fn note(about: &'static str, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Note, ..Self::good(about, message) }
    }

    pub(super) fn bad(about: &'static str, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Bad, ..Self::good(about, message) }
    }

    fn failed(about: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut more = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            more.push(format!("because: {cause}"));
            source = cause.source();
        }
        Self { more, ..Self::bad(about, error.to_string()) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.more.push(hint.into());
        self
    }

    /// Section, result, message and details.
    pub(super) fn json(&self) -> serde_json::Value {
        let result = match self.outcome {
            Outcome::Good => "good",
            Outcome::Note => "note",
            Outcome::Bad => "bad",
        };
        serde_json::json!({
            "section": self.about, "result": result, "message": self.message, "details": self.more
        })
    }

    /// `✓ cluster  …`, coloured; causes and advice below.
    pub(super) fn line(&self, width: usize) -> String {
        let (mark, colour) = match self.outcome {
            Outcome::Good => ("✓", AnsiColor::Green),
            Outcome::Note => ("·", AnsiColor::Yellow),
            Outcome::Bad => ("✗", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        let first = format!("{style}{mark}{style:#} {:width$}  {}\n", self.about, self.message);
        let more = self.more.iter().map(|line| format!("  {:width$}  {line}\n", ""));
        std::iter::once(first).chain(more).collect::<Vec<_>>().concat()
    }
}

/// Whether the remote answers with the branch: the commit it is at, or what is wrong.
pub(super) type AskRemote<'a> = &'a dyn Fn(&Config) -> Result<String, Trial>;

/// Tries everything.
pub(super) fn run(config: &Config, ask: AskRemote<'_>) -> Vec<Trial> {
    let mut trials = vec![cluster(&config.cluster.directory)];
    trials.extend(source(config, ask));
    trials.extend(config.sinks.iter().flat_map(sink));
    trials.push(folder("storage", config.storage.path.parent().unwrap_or(Path::new("."))));
    trials.push(folder("state", &config.state));
    if let Some(server) = &config.server {
        trials.push(listen(server.listen));
        trials.extend(server.token.iter().map(|token| secret("server", "token", token)));
    }
    trials
}

fn cluster(directory: &Path) -> Trial {
    let objects = directory.join("objects");
    match (directory.is_dir(), std::fs::read_dir(&objects)) {
        (false, _) => Trial::bad("cluster", format!("there is no folder {}", directory.display()))
            .hint("make it, with the live resources as YAML or JSON in objects/"),
        (true, Err(_)) if !objects.exists() => {
            let message = format!("{} has no objects/: it stands for an empty cluster", directory.display());
            Trial::note("cluster", message)
        }
        (true, Err(error)) => Trial::failed("cluster", &error)
            .hint(format!("the folder {} must be readable", objects.display())),
        (true, Ok(_)) => Trial::good("cluster", format!("the folder {} can be read", directory.display())),
    }
}

fn source(config: &Config, ask: AskRemote<'_>) -> Vec<Trial> {
    let Source { auth, ca_file, url, branch, .. } = &config.source;
    let mut trials: Vec<Trial> = Vec::new();
    match auth {
        Some(Auth::Token(token)) => trials.push(secret("source", "token", token)),
        Some(Auth::Basic { password, .. }) => trials.push(secret("source", "password", password)),
        None => {}
    }
    trials.extend(ca_file.iter().map(|file| certificates("source", file)));
    if trials.iter().all(|trial| trial.outcome == Outcome::Good) {
        trials.push(match ask(config) {
            Ok(revision) => Trial::good("source", format!("{url} has the branch {branch}, at {revision}")),
            Err(trial) => trial,
        });
    } else {
        trials.push(Trial::note("source", format!("{url} was not asked")));
    }
    trials
}

/// Asks the remote for the branch's newest commit.
pub(super) fn ask_remote(config: &Config) -> Result<String, Trial> {
    // Nothing is fetched, so the cache is not touched.
    let settings = GitSettings::new(&config.source, config.state.join("git"), PATIENCE);
    match GitSource::probe(&settings) {
        Ok(revision) => Ok(revision.short().to_owned()),
        Err(error) => {
            let failed = Trial::failed("source", &error);
            Err(match error.hint() {
                Some(hint) => failed.hint(hint),
                None => failed,
            })
        }
    }
}

fn sink(sink: &Sink) -> Vec<Trial> {
    match sink {
        Sink::File(file) => vec![folder("sinks", &file.path)],
        Sink::Webhook(webhook) => {
            let name = &webhook.name;
            let url = match &webhook.url {
                SinkUrl::Given(_) => Trial::good("sinks", format!("{name} has a valid URL")),
                SinkUrl::Secret(place) => match place.read() {
                    Ok(text) if web_url(text.expose()).is_ok() => {
                        Trial::good("sinks", format!("{name} has a valid URL, in {place}"))
                    }
                    Ok(_) => Trial::bad("sinks", format!("{name} has no valid URL in {place}"))
                        .hint("write http:// or https://, a host and a path, without user and password"),
                    Err(error) => Trial::failed("sinks", &error),
                },
            };
            let keys = webhook.secret.iter().map(|keys| secret("sinks", "signing key", keys));
            let certificates = webhook.ca_file.iter().map(|file| certificates("sinks", file));
            std::iter::once(url).chain(keys).chain(certificates).collect()
        }
    }
}

fn secret(about: &'static str, what: &str, secret: &Secret) -> Trial {
    match secret.read() {
        Ok(_) => Trial::good(about, format!("the {what} can be read from {secret}")),
        Err(error) => Trial::failed(about, &error),
    }
}

fn certificates(about: &'static str, file: &Path) -> Trial {
    match std::fs::read(file) {
        Ok(bytes) if bytes.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") => {
            Trial::good(about, format!("{} holds certificates", file.display()))
        }
        Ok(_) => Trial::bad(about, format!("{} holds no certificate", file.display()))
            .hint("it must be in PEM form, with the line -----BEGIN CERTIFICATE-----"),
        Err(error) => Trial::failed(about, &error).hint(format!("the file is {}", file.display())),
    }
}

/// A folder that the daemon makes where it is missing, and writes to.
fn folder(about: &'static str, path: &Path) -> Trial {
    // A relative path of one part has an empty parent: the folder we are in.
    let here =
        |path: &Path| if path.as_os_str().is_empty() { Path::new(".").to_owned() } else { path.to_owned() };
    let existing = path.ancestors().map(here).find(|path| path.exists());
    let Some(existing) = existing else {
        return Trial::bad(about, format!("nothing exists of the path {}", path.display()));
    };
    let is_writable =
        existing.metadata().is_ok_and(|found| found.is_dir() && !found.permissions().readonly());
    match (is_writable, existing == here(path)) {
        (true, true) => Trial::good(about, format!("the folder {} is there", path.display())),
        (true, false) => Trial::good(about, format!("the folder {} will be made", path.display())),
        (false, _) if existing.is_dir() => {
            Trial::bad(about, format!("the folder {} cannot be written to", existing.display()))
        }
        (false, _) => Trial::bad(about, format!("{} is no folder", existing.display())),
    }
}

fn listen(address: SocketAddr) -> Trial {
    // Port 0, so that a daemon that runs already is not in the way.
    match TcpListener::bind(SocketAddr::new(address.ip(), 0)) {
        Ok(_) => Trial::good("server", format!("can listen on {address}")),
        Err(error) => Trial::failed("server", &error)
            .hint(format!("{} must be an address of this machine, 127.0.0.1 or 0.0.0.0", address.ip())),
    }
}
