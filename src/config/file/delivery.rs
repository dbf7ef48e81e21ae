//! What goes out, as it is written: reports, notifications, sinks, and the sections that serve them.

use std::path::PathBuf;

use portcullis_core::document::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A report on a schedule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportFile {
    /// What `portcullis report send` calls it.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Cron, as in `audit.schedule`; absent means on demand only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// IANA name of the schedule's time zone.
    #[serde(default = "utc")]
    pub timezone: String,
    /// The renderings that are delivered, each as a delivery of its own.
    #[serde(default = "formats")]
    #[schemars(length(min = 1))]
    pub formats: Vec<ReportFormat>,
    /// What the report is about.
    #[serde(default)]
    pub filter: ReportFilter,
    /// Names of sinks.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn formats() -> Vec<ReportFormat> {
    vec![ReportFormat::Json]
}

/// A rendering of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReportFormat {
    /// The model, after the schema in `docs/schema/report.schema.json`.
    Json,
    /// Text for a ticket or a pull request.
    Markdown,
    /// One self-contained page.
    Html,
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReportFilter {
    /// Globs on the namespace; `*` alone includes what is cluster-scoped.
    pub namespaces: Vec<String>,
    /// Findings below this are left out.
    pub min_severity: MinSeverity,
}

impl Default for ReportFilter {
    fn default() -> Self {
        Self { namespaces: vec!["*".to_owned()], min_severity: MinSeverity::Low }
    }
}

/// How bad a finding must be to be in a report.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum MinSeverity {
    /// All.
    #[default]
    Low,
    /// Medium and worse.
    Medium,
    /// High and worse.
    High,
    /// Critical alone.
    Critical,
}

/// Events that are told at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotificationFile {
    /// Which events.
    #[schemars(length(min = 1))]
    pub on: Vec<NotificationEvent>,
    /// Names of sinks.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
}

/// An event that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotificationEvent {
    /// A constraint reached its next stage.
    Promotion,
    /// A constraint was put back a stage.
    Demotion,
    /// Something waits for a person.
    Hold,
    /// A sync failed or was partial.
    SyncFailed,
    /// Something violates a constraint at deny that did not before.
    NewViolationAtDeny,
    /// An exemption ends soon.
    ExemptionExpiring,
}

/// Where reports and notifications go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkFile {
    /// What `to` calls it; unique.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What speaks at the other end.
    pub r#type: SinkType,
    /// The address, where it is not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file with the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// An environment variable with the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    /// A file with the signing keys, one a line (`whsec_…`); absent means unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// An environment variable with the signing keys, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// For `file`: the folder the deliveries are written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// PEM certificates to trust besides the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The URL of an HTTP proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// What speaks at the other end of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SinkType {
    /// Any HTTP receiver.
    Webhook,
    /// A folder.
    File,
    /// Slack. Not supported yet.
    Slack,
    /// Microsoft Teams. Not supported yet.
    Teams,
    /// Alertmanager. Not supported yet.
    Alertmanager,
    /// PagerDuty. Not supported yet.
    Pagerduty,
}

/// The database of history and evidence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StorageFile {
    /// `sqlite:///absolute/path` or `sqlite://relative/path` (PostgreSQL is not supported yet); absent
    /// means `portcullis.db` in the folder `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long history is kept.
    pub retention: Duration,
}

impl Default for StorageFile {
    fn default() -> Self {
        Self { url: None, retention: Duration::from_secs(400 * 86_400) }
    }
}

/// The HTTP server; serves `/healthz` and `/readyz` so far.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServerFile {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// A file with the bearer token that callers must show. The health routes do not ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// An environment variable with the bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// Push hooks. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
}

impl Default for ServerFile {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".to_owned(), token_file: None, token_env: None, hooks: None }
    }
}

/// Push hooks.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Hooks {
    /// Pushes to the policy repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitHook>,
}

/// Pushes to the policy repository.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHook {
    /// Who sends them.
    pub provider: GitProvider,
    /// A file with the shared secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// An environment variable with the shared secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
}

/// Who sends push hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GitProvider {
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket.
    Bitbucket,
    /// Any other that signs with HMAC-SHA256.
    Generic,
}

/// What is logged, to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogFile {
    /// How an event looks.
    pub format: LogFormat,
    /// The least that is logged.
    pub level: LogLevel,
}

/// How an event in the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// One line: time, level, what, key=value.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what is probably not as meant.
    Warn,
    /// And what happened; a quiet day is a line an hour.
    #[default]
    Info,
    /// And each step.
    Debug,
    /// And everything else.
    Trace,
}
