//! Collects what is wrong with a configuration, each with its place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use portcullis_core::{
    document::{Duration, Mismatch, Node},
    problem::{Problem, Severity, Span},
    schedule::{Schedule, ScheduleError},
};
use reqwest::Url;

use super::{code, secret::Secret};

/// The file name problems have that come from an environment variable.
pub const ENVIRONMENT: &str = "environment";

/// The document under examination and what was found so far.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    file: String,
    folder: PathBuf,
    node: &'a Node,
    /// Variable by the pointer it sets.
    overrides: &'a BTreeMap<String, String>,
    /// Pointers of values that were left out because they are wrong already.
    left_out: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(file: &Path, node: &'a Node, overrides: &'a BTreeMap<String, String>) -> Self {
        Self {
            file: file.display().to_string(),
            folder: file.parent().unwrap_or(Path::new("")).to_owned(),
            node,
            overrides,
            left_out: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes a problem with what stands at a pointer; one that only follows from another is dropped.
    pub(super) fn problem(
        &mut self,
        pointer: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let follows = |left: &String| {
            is_within(pointer, left) || left.rsplit_once('/').is_some_and(|(parent, _)| parent == pointer)
        };
        if self.left_out.iter().any(follows) {
            return;
        }
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.push(pointer, self.node.span_at(pointer), code, message.into(), hint);
    }

    /// Notes what does not fit the shape.
    pub(super) fn mismatches(&mut self, mismatches: Vec<Mismatch>) {
        for Mismatch { pointer, span, message, hint } in mismatches {
            let secret = hint.as_ref().is_some_and(|hint| hint.starts_with("a secret"));
            let code = if secret { code::SECRET } else { code::FIELD };
            self.push(&pointer, span, code, message, hint);
            self.left_out.push(pointer);
        }
    }

    /// Says nothing more of what stands at a pointer.
    pub(super) fn leave_out(&mut self, pointer: String) {
        self.left_out.push(pointer);
    }

    fn push(&mut self, pointer: &str, span: Span, code: &'static str, message: String, hint: Option<String>) {
        let variable = self.overrides.iter().find(|(set, _)| is_within(pointer, set));
        let (file, span, message) = match variable {
            Some((_, name)) => (ENVIRONMENT.to_owned(), Span::default(), format!("{name}: {message}")),
            None => (self.file.clone(), span, message),
        };
        self.problems.push(Problem { file, span, severity: Severity::Error, code, message, hint });
    }

    /// Whether something within this was left out because it is wrong already.
    pub(super) fn is_partial(&self, pointer: &str) -> bool {
        self.left_out.iter().any(|left| is_within(left, pointer))
    }

    /// Whether the key was written, in the file or by a variable.
    pub(super) fn is_written(&self, pointer: &str) -> bool {
        self.node.find(pointer).is_some()
    }

    /// `name:line` of a key, or the variable that sets it.
    pub(super) fn place(&self, pointer: &str) -> String {
        match self.overrides.iter().find(|(set, _)| is_within(set, pointer)) {
            Some((_, name)) => name.clone(),
            None => format!("{}:{}", self.file, self.node.span_at(pointer).line),
        }
    }

    /// A path, taken from the folder of the file.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    pub(super) fn positive(&mut self, pointer: &str, duration: Duration, least: Duration) -> Duration {
        if duration < least {
            let message = format!("expected at least {least}, found {duration}");
            self.problem(pointer, code::VALUE, message, format!("write `{least}` or more"));
        }
        duration
    }

    /// The schedule of two neighbouring keys.
    pub(super) fn schedule(&mut self, section: &str, expression: &str, zone: &str) -> Option<Schedule> {
        match Schedule::parse(expression, zone) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                let key = if matches!(error, ScheduleError::Zone { .. }) { "timezone" } else { "schedule" };
                self.problem(&format!("{section}/{key}"), code::VALUE, error.to_string(), error.hint());
                // The other of the two may be wrong too.
                if key == "timezone"
                    && let Err(error) = Schedule::parse(expression, "UTC")
                {
                    self.problem(
                        &format!("{section}/schedule"),
                        code::VALUE,
                        error.to_string(),
                        error.hint(),
                    );
                }
                None
            }
        }
    }

    /// The secret of `…File` and `…Env`, of which at most one may be there.
    pub(super) fn secret(
        &mut self,
        section: &str,
        key: &str,
        file: Option<&Path>,
        env: Option<&str>,
    ) -> Option<Secret> {
        match (file, env) {
            (Some(_), Some(_)) => {
                let message = format!("both `{key}File` and `{key}Env` are given");
                self.problem(&format!("{section}/{key}Env"), code::CONFLICT, message, "keep one of them");
                None
            }
            (Some(file), None) => Some(Secret::File(self.path(file))),
            (None, Some(env)) => Some(Secret::Env(env.to_owned())),
            (None, None) => None,
        }
    }

    /// An `http://` or `https://` URL without credentials.
    pub(super) fn url(&mut self, pointer: &str, text: &str) -> Option<Url> {
        match web_url(text) {
            Ok(url) => Some(url),
            Err(UrlFault::Credentials) => {
                let hint = match pointer {
                    "/source/url" => "remove them, and use `source.auth` with `tokenFile` or `passwordFile`",
                    _ => "a secret is never written here: put the whole URL into a file and use `urlFile`",
                };
                self.problem(pointer, code::SECRET, "the URL holds credentials", hint);
                None
            }
            Err(UrlFault::Form(reason)) => {
                self.problem(pointer, code::VALUE, reason, "write `https://host/path`");
                None
            }
        }
    }
}

/// What is wrong with a URL; says nothing of what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// It carries a user name or a password.
    Credentials,
    /// It is no URL of the web.
    Form(String),
}

/// Reads an `http://` or `https://` URL without credentials.
///
/// # Errors
/// `Credentials` where it holds any, `Form` for everything else that is wrong.
pub fn web_url(text: &str) -> Result<Url, UrlFault> {
    let url = Url::parse(text).map_err(|error| UrlFault::Form(format!("not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlFault::Credentials);
    }
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(UrlFault::Form(format!("expected http:// or https://, found {scheme}:"))),
    }
}

/// Whether a pointer is that of a value or of something within it.
fn is_within(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
