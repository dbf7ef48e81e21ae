//! Sinks: what is needed to reach each.

use std::path::PathBuf;

use reqwest::Url;

use super::{
    checker::Checker,
    code,
    file::{SinkFile, SinkType},
    secret::Secret,
};

/// Where reports and notifications go.
#[derive(Clone, Debug, PartialEq)]
pub enum Sink {
    /// An HTTP receiver.
    Webhook(WebhookSink),
    /// A folder.
    File(FileSink),
}

/// An HTTP receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookSink {
    /// Its unique name.
    pub name: String,
    /// The address.
    pub url: SinkUrl,
    /// The signing keys, one a line; `None` means unsigned.
    pub secret: Option<Secret>,
    /// PEM certificates to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The URL of an HTTP proxy, without credentials.
    pub proxy: Option<String>,
}

/// The address of a receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkUrl {
    /// Written in the configuration: not secret.
    Given(Url),
    /// Kept like a secret; read at each attempt.
    Secret(Secret),
}

/// A folder that deliveries are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSink {
    /// Its unique name.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
}

impl Sink {
    /// Its unique name.
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook(sink) => &sink.name,
            Self::File(sink) => &sink.name,
        }
    }
}

pub(super) fn validate(checker: &mut Checker<'_>, sinks: &[SinkFile]) -> Vec<Sink> {
    let mut found = Vec::new();
    for (at, sink) in sinks.iter().enumerate() {
        let section = format!("/sinks/{at}");
        if sinks.iter().take(at).any(|other| other.name == sink.name) {
            let message = format!("another sink is called `{}`", sink.name);
            checker.problem(&format!("{section}/name"), code::CONFLICT, message, "give each its own name");
        }
        found.extend(match sink.r#type {
            SinkType::File => file(checker, &section, sink).map(Sink::File),
            // Those that are refused for now are examined all the same.
            SinkType::Webhook
            | SinkType::Slack
            | SinkType::Teams
            | SinkType::Alertmanager
            | SinkType::Pagerduty => webhook(checker, &section, sink).map(Sink::Webhook),
        });
    }
    found
}

/// Notes the names that no sink has.
pub(super) fn references(checker: &mut Checker<'_>, pointer: &str, names: &[String], sinks: &[&str]) {
    if checker.is_partial("/sinks") {
        return;
    }
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !sinks.contains(&name.as_str())) {
        let hint = match portcullis_core::document::closest(name, sinks.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if sinks.is_empty() => "add it under `sinks`".to_owned(),
            None => format!("known: {}", sinks.join(", ")),
        };
        checker.problem(
            &format!("{pointer}/{at}"),
            code::CONFLICT,
            format!("no sink is called `{name}`"),
            hint,
        );
    }
}

fn webhook(checker: &mut Checker<'_>, section: &str, sink: &SinkFile) -> Option<WebhookSink> {
    if sink.path.is_some() {
        let hint = "remove it, or set `type: file`";
        checker.problem(
            &format!("{section}/path"),
            code::CONFLICT,
            "`path` is for sinks of type `file`",
            hint,
        );
    }
    let secret = checker.secret(section, "secret", sink.secret_file.as_deref(), sink.secret_env.as_deref());
    let kept = checker.secret(section, "url", sink.url_file.as_deref(), sink.url_env.as_deref());
    let is_kept = sink.url_file.is_some() || sink.url_env.is_some();
    if let Some(proxy) = &sink.proxy {
        checker.url(&format!("{section}/proxy"), proxy);
    }
    let url = match (&sink.url, kept) {
        (Some(_), _) if is_kept => {
            let message = "the URL is given twice";
            let hint = "keep one of `url`, `urlFile` and `urlEnv`";
            checker.problem(&format!("{section}/url"), code::CONFLICT, message, hint);
            None
        }
        (Some(url), _) => checker.url(&format!("{section}/url"), url).map(SinkUrl::Given),
        (None, Some(secret)) => Some(SinkUrl::Secret(secret)),
        (None, None) => {
            if !is_kept {
                let message = format!("the sink `{}` has no URL", sink.name);
                let hint = "add `urlFile` or `urlEnv`, or `url` where the address is not secret";
                checker.problem(section, code::CONFLICT, message, hint);
            }
            None
        }
    };
    Some(WebhookSink {
        name: sink.name.clone(),
        url: url?,
        secret,
        ca_file: sink.ca_file.as_deref().map(|path| checker.path(path)),
        proxy: sink.proxy.clone(),
    })
}

fn file(checker: &mut Checker<'_>, section: &str, sink: &SinkFile) -> Option<FileSink> {
    let foreign = [
        ("url", sink.url.is_some()),
        ("urlFile", sink.url_file.is_some()),
        ("urlEnv", sink.url_env.is_some()),
        ("secretFile", sink.secret_file.is_some()),
        ("secretEnv", sink.secret_env.is_some()),
        ("caFile", sink.ca_file.is_some()),
        ("proxy", sink.proxy.is_some()),
    ];
    for (key, _) in foreign.iter().filter(|(_, given)| *given) {
        let message = format!("`{key}` means nothing to a sink of type `file`");
        checker.problem(&format!("{section}/{key}"), code::CONFLICT, message, "remove it");
    }
    if sink.path.is_none() {
        let message = format!("the sink `{}` has no folder", sink.name);
        checker.problem(section, code::CONFLICT, message, "add `path`");
    }
    sink.path.as_deref().map(|path| FileSink { name: sink.name.clone(), path: checker.path(path) })
}
