//! Keys that are read and validated, and that this version does not act on.

use portcullis_core::rollout::{Approval, Demotion};

use super::{
    checker::Checker,
    code,
    file::{ConfigFile, SinkType},
};

/// Notes every key that would be ignored if the daemon started.
pub(super) fn refuse(checker: &mut Checker<'_>, file: &ConfigFile) {
    let mut refuse = |pointer: &str, what: &str, hint: &str| {
        checker.problem(pointer, code::UNSUPPORTED, format!("{what} is not supported yet"), hint);
    };
    let cluster = &file.cluster;
    if cluster.directory.is_none() {
        let hint = "set `cluster.directory`: a folder then stands for the cluster";
        match cluster.kubernetes {
            Some(_) => refuse("/cluster/kubernetes", "`cluster.kubernetes`", hint),
            None => refuse("/cluster", "a cluster without `directory` (`cluster.kubernetes`)", hint),
        }
    }
    let source = &file.source;
    if is_ssh(&source.url) {
        refuse("/source/url", "`source.url` with ssh", "use https:// with `source.auth`, or a local path");
    }
    for (key, given) in [("tag", &source.tag), ("semver", &source.semver), ("commit", &source.commit)] {
        if given.is_some() {
            refuse(&format!("/source/{key}"), &format!("`source.{key}`"), "follow a `branch`");
        }
    }
    if let Some(auth) = &source.auth {
        for (key, given) in [("sshKeyFile", &auth.ssh_key_file), ("knownHostsFile", &auth.known_hosts_file)] {
            if given.is_some() {
                let what = format!("`source.auth.{key}`");
                refuse(
                    &format!("/source/auth/{key}"),
                    &what,
                    "use `tokenFile`, or `username` and `passwordFile`",
                );
            }
        }
    }
    if source.verify.is_some() {
        refuse("/source/verify", "`source.verify`", "remove it: signatures would not be verified");
    }
    if let Some(spec) = &file.rollout.default {
        let mut key = |pointer: &str, key: &str| {
            refuse(&format!("/rollout/default{pointer}"), &format!("`rollout.default.{key}`"), "remove it");
        };
        if !spec.windows.is_empty() {
            key("/windows", "windows");
        }
        if spec.approval != Approval::None {
            key("/approval", "approval");
        }
        if matches!(spec.demotion, Demotion::Bounds(_)) {
            key("/demotion", "demotion");
        }
        for (at, _) in spec.stages.iter().enumerate().filter(|(_, stage)| stage.rings.is_some()) {
            key(&format!("/stages/{at}/rings"), "stages[].rings");
        }
    }
    for (at, sink) in file.sinks.iter().enumerate() {
        let name = match sink.r#type {
            SinkType::Webhook | SinkType::File => continue,
            SinkType::Slack => "slack",
            SinkType::Teams => "teams",
            SinkType::Alertmanager => "alertmanager",
            SinkType::Pagerduty => "pagerduty",
        };
        let what = format!("the sink type `{name}` (`sinks[].type`)");
        refuse(&format!("/sinks/{at}/type"), &what, "use `webhook` or `file`");
    }
    if file.storage.url.as_deref().is_some_and(is_postgres) {
        refuse("/storage/url", "`storage.url` with PostgreSQL", "use sqlite://, or leave it out");
    }
    if file.server.as_ref().is_some_and(|server| server.hooks.is_some()) {
        refuse("/server/hooks", "`server.hooks`", "remove it: the remote is asked every `source.interval`");
    }
}

/// One line for each key that was written and changes nothing yet.
pub(super) fn notices(checker: &Checker<'_>) -> Vec<String> {
    [
        ("/lease", "lease"),
        ("/gatekeeper", "gatekeeper"),
        ("/rollout/probe", "rollout.probe"),
        ("/apply/qps", "apply.qps"),
    ]
    .into_iter()
    .filter(|(pointer, _)| checker.is_written(pointer))
    .map(|(pointer, key)| format!("`{key}` is accepted and has no effect yet ({})", checker.place(pointer)))
    .collect()
}

/// `ssh://…`, and `user@host:path` as git writes it.
pub(super) fn is_ssh(url: &str) -> bool {
    let url = url.trim();
    match url.split_once("://") {
        Some((scheme, _)) => scheme.to_ascii_lowercase().split('+').any(|part| part == "ssh"),
        None => url.split_once(':').is_some_and(|(host, _)| {
            !host.is_empty() && !host.contains(['/', '\\']) && !host.starts_with('.')
        }),
    }
}

/// `postgres://…` and `postgresql://…`.
pub(super) fn is_postgres(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("postgres" | "postgresql"))
}
