//! The policy repository: what `source` means once it is validated.

use std::path::PathBuf;

use portcullis_core::document::Duration;

use super::{
    checker::Checker,
    code,
    file::{AuthFile, SourceFile},
    secret::Secret,
    unsupported,
};

/// The policy repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// `https://…`, `file:///…`, or a path taken from the folder of the configuration.
    pub url: String,
    /// The branch to follow.
    pub branch: String,
    /// Folders in the repository, `/` between their parts; `.` is the whole of it; not empty.
    pub paths: Vec<String>,
    /// How often the remote is asked.
    pub interval: Duration,
    /// Whether a rewritten branch is followed.
    pub allow_rewrite: bool,
    /// Whether one error refuses the whole revision.
    pub atomic: bool,
    /// Constraint kinds whose templates others own.
    pub external_templates: Vec<String>,
    /// What to show the server.
    pub auth: Option<Auth>,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The URL of an HTTP proxy, without credentials.
    pub proxy: Option<String>,
    /// Bounds of what is read from a revision.
    pub limits: SourceLimits,
}

/// What to show the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// An access token.
    Token(Secret),
    /// A user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// Bounds of what is read from a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// Files below `paths`.
    pub files: usize,
    /// Bytes of one file.
    pub file_size: u64,
    /// Bytes of all files together.
    pub total_size: u64,
}

pub(super) fn validate(checker: &mut Checker<'_>, source: &SourceFile) -> Option<Source> {
    let url = url(checker, &source.url);
    let branch = branch(checker, source);
    for (at, path) in source.paths.iter().enumerate() {
        let parts: Vec<&str> = path.split('/').collect();
        if path.is_empty() || path.starts_with('/') || path.contains('\\') || parts.contains(&"..") {
            let message = format!("expected a folder in the repository, found `{path}`");
            let hint = "write it from the root of the repository, such as `policies` or `clusters/prod`";
            checker.problem(&format!("/source/paths/{at}"), code::VALUE, message, hint);
        }
    }
    let interval = checker.positive("/source/interval", source.interval, Duration::from_secs(1));
    let auth = source.auth.as_ref().and_then(|auth| self::auth(checker, auth));
    if let Some(proxy) = &source.proxy {
        checker.url("/source/proxy", proxy);
    }
    for (key, size) in [("fileSize", source.limits.file_size), ("totalSize", source.limits.total_size)] {
        if size.bytes() == 0 {
            let pointer = format!("/source/limits/{key}");
            checker.problem(
                &pointer,
                code::VALUE,
                "expected more than 0 bytes",
                "write a size such as `1MiB`",
            );
        }
    }
    Some(Source {
        url: url?,
        branch: branch?,
        paths: source.paths.clone(),
        interval,
        allow_rewrite: source.allow_rewrite,
        atomic: source.atomic,
        external_templates: source.external_templates.clone(),
        auth,
        ca_file: source.ca_file.as_deref().map(|path| checker.path(path)),
        proxy: source.proxy.clone(),
        limits: SourceLimits {
            files: source.limits.files.try_into().unwrap_or(usize::MAX),
            file_size: source.limits.file_size.bytes(),
            total_size: source.limits.total_size.bytes(),
        },
    })
}

/// The URL as it is, a path taken from the folder of the file.
fn url(checker: &mut Checker<'_>, text: &str) -> Option<String> {
    let pointer = "/source/url";
    let text = text.trim();
    if unsupported::is_ssh(text) {
        return None;
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(checker.path(text.as_ref()).display().to_string());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" if rest.starts_with('/') => Some(text.to_owned()),
        "file" => {
            let hint = "write three slashes and an absolute path, or the path alone";
            checker.problem(pointer, code::VALUE, "expected file:/// and an absolute path", hint);
            None
        }
        "https" => checker.url(pointer, text).map(|_| text.to_owned()),
        "http" => {
            let url = checker.url(pointer, text)?;
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
            let here = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            if host == "localhost" || here {
                return Some(text.to_owned());
            }
            let message = "http:// neither encrypts nor authenticates: it is accepted for this machine only";
            checker.problem(pointer, code::VALUE, message, "use https://");
            None
        }
        _ => {
            let hint = "write `https://host/path`, `file:///path`, or a path";
            checker.problem(pointer, code::VALUE, "expected https://, file:// or a path", hint);
            None
        }
    }
}

fn branch(checker: &mut Checker<'_>, source: &SourceFile) -> Option<String> {
    let given: Vec<&str> = [
        ("branch", &source.branch),
        ("tag", &source.tag),
        ("semver", &source.semver),
        ("commit", &source.commit),
    ]
    .into_iter()
    .filter(|(_, value)| value.is_some())
    .map(|(key, _)| key)
    .collect();
    if let [first, second, ..] = given.as_slice() {
        let message = format!("both `{first}` and `{second}` are given");
        let hint = "keep one of branch, tag, semver and commit";
        checker.problem(&format!("/source/{second}"), code::CONFLICT, message, hint);
        return None;
    }
    let branch = source.branch.as_deref().unwrap_or("main");
    // The rules of git-check-ref-format that a person is likely to break.
    let bad = branch.is_empty()
        || branch.starts_with(['-', '/', '.'])
        || branch.ends_with(['/', '.'])
        || branch.strip_suffix(".lock").is_some()
        || branch.contains("..")
        || branch.contains("//")
        || branch.contains(|c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c));
    if bad {
        let message = format!("`{branch}` cannot be the name of a branch");
        checker.problem("/source/branch", code::VALUE, message, "write it as `git branch` shows it");
        return None;
    }
    (given.is_empty() || source.branch.is_some()).then(|| branch.to_owned())
}

fn auth(checker: &mut Checker<'_>, auth: &AuthFile) -> Option<Auth> {
    let section = "/source/auth";
    let token = checker.secret(section, "token", auth.token_file.as_deref(), auth.token_env.as_deref());
    let password =
        checker.secret(section, "password", auth.password_file.as_deref(), auth.password_env.as_deref());
    let ssh = auth.ssh_key_file.is_some() || auth.known_hosts_file.is_some();
    match (token, &auth.username, password) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            let message = "both a token and a user name with a password are given";
            checker.problem(section, code::CONFLICT, message, "keep one of them");
            None
        }
        (Some(token), None, None) => Some(Auth::Token(token)),
        (None, Some(username), Some(password)) => Some(Auth::Basic { username: username.clone(), password }),
        (None, Some(_), None) => {
            let hint = "add `passwordFile`, or use `tokenFile` alone";
            checker.problem(section, code::CONFLICT, "a user name without a password", hint);
            None
        }
        (None, None, Some(_)) => {
            checker.problem(section, code::CONFLICT, "a password without a user name", "add `username`");
            None
        }
        (None, None, None) => {
            // Two files of one token were already said to be one too many.
            if !ssh && auth.token_file.is_none() {
                let hint = "give `tokenFile`, or `username` and `passwordFile`, or leave `auth` out";
                checker.problem(section, code::CONFLICT, "`auth` names no credentials", hint);
            }
            None
        }
    }
}
