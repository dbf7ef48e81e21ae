//! The configuration file as it is written; the doc comments are the reference that
//! `portcullis config schema` prints.

mod delivery;
mod source;

pub use delivery::{
    LogFile, LogFormat, LogLevel, MinSeverity, NotificationEvent, NotificationFile, ReportFile, ReportFilter,
    ReportFormat, ServerFile, SinkFile, SinkType, StorageFile,
};
pub use source::{AuthFile, SourceFile};

use std::{collections::BTreeMap, path::PathBuf};

use portcullis_core::{document::Duration, rollout::RolloutSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of the Portcullis daemon. Relative paths are taken from the folder of this file;
/// durations are written `30s`, `5m`, `1h30m`, `14d`; secrets are given as `…File` (a path) or `…Env`
/// (the name of an environment variable) and never written here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "PortcullisConfig")]
pub struct ConfigFile {
    /// Always `portcullis.dev/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `PortcullisConfig`.
    pub kind: ConfigKind,
    /// The cluster this daemon looks after.
    pub cluster: ClusterFile,
    /// The owner label of what this daemon applies; two instances never touch each other's objects.
    #[serde(default = "instance")]
    pub instance: String,
    /// Where Gatekeeper is installed. Accepted, without effect yet.
    #[serde(default)]
    pub gatekeeper: GatekeeperFile,
    /// The git repository that holds the policies.
    pub source: SourceFile,
    /// How the cluster is changed.
    #[serde(default)]
    pub apply: ApplyFile,
    /// How constraints move towards their target.
    #[serde(default)]
    pub rollout: RolloutFile,
    /// The audit of live resources.
    #[serde(default)]
    pub audit: AuditFile,
    /// Reports that are made and delivered on a schedule.
    #[serde(default)]
    pub reports: Vec<ReportFile>,
    /// Events that are told at once.
    #[serde(default)]
    pub notifications: Vec<NotificationFile>,
    /// Where reports and notifications go.
    #[serde(default)]
    pub sinks: Vec<SinkFile>,
    /// The database of history and evidence.
    #[serde(default)]
    pub storage: StorageFile,
    /// The folder of the git cache and of scratch files.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// The HTTP server; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFile>,
    /// The election of the one replica that writes. Accepted, without effect yet.
    #[serde(default)]
    pub lease: LeaseFile,
    /// What is logged, to standard error.
    #[serde(default)]
    pub log: LogFile,
}

fn instance() -> String {
    "default".to_owned()
}

fn state() -> PathBuf {
    "/var/lib/portcullis".into()
}

/// The version of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one there is.
    #[serde(rename = "portcullis.dev/v1alpha1")]
    V1alpha1,
}

/// The kind of this document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigKind {
    /// The only one there is.
    PortcullisConfig,
}

/// The cluster; exactly one of `kubernetes` and `directory`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterFile {
    /// Shown in every report.
    #[serde(default = "cluster_name")]
    #[schemars(length(min = 1))]
    pub name: String,
    /// What `clusters.matchLabels` in the policy repository is compared with.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A Kubernetes cluster: `{}` for the one the daemon runs in. Not supported yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesFile>,
    /// A folder that stands for the cluster: `objects/`, `policies/`, `status/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

fn cluster_name() -> String {
    "default".to_owned()
}

/// A Kubernetes cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesFile {
    /// A kubeconfig file; absent means the cluster the daemon runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of that file; absent means its current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Where Gatekeeper is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatekeeperFile {
    /// Its namespace.
    pub namespace: String,
    /// The name of its ValidatingWebhookConfiguration.
    pub webhook: String,
}

impl Default for GatekeeperFile {
    fn default() -> Self {
        Self {
            namespace: "gatekeeper-system".to_owned(),
            webhook: "gatekeeper-validating-webhook-configuration".to_owned(),
        }
    }
}

/// How the cluster is changed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApplyFile {
    /// How much may be removed in one go without being held.
    pub prune: PruneFile,
    /// What happens to policies that were edited by hand.
    pub drift: Drift,
    /// The bound of every wait for acknowledgement.
    pub timeout: Duration,
    /// Requests a second to the API server. Accepted, without effect yet.
    #[schemars(range(min = 1))]
    pub qps: u32,
}

impl Default for ApplyFile {
    fn default() -> Self {
        Self {
            prune: PruneFile::default(),
            drift: Drift::Correct,
            timeout: Duration::from_secs(120),
            qps: 20,
        }
    }
}

/// How much may be removed in one go without being held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PruneFile {
    /// Objects, those that a template takes along included.
    pub max_objects: u32,
    /// Percent of the managed objects; counts from ten managed objects on.
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: u8,
}

impl Default for PruneFile {
    fn default() -> Self {
        Self { max_objects: 5, max_percent: 25 }
    }
}

/// What happens to policies that were edited by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Drift {
    /// They are put back and reported.
    #[default]
    Correct,
    /// They are reported.
    Report,
}

/// How constraints move towards their target.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RolloutFile {
    /// How it is proved that deny denies. Accepted, without effect yet.
    pub probe: Probe,
    /// Used where no Rollout document matches; the fields of a Rollout's `spec`. Absent means: dryrun
    /// for 14d with 10 audits without violations, warn for 3d, deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<RolloutSpec>,
}

/// How it is proved that deny denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Probe {
    /// Not at all.
    Off,
    /// By a review sent to the webhook itself.
    #[default]
    Webhook,
    /// By a server-side dry run.
    ApiServer,
}

/// The audit of live resources.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditFile {
    /// Cron: minute, hour, day of month, month, day of week; seconds optional as a sixth, first field.
    pub schedule: String,
    /// IANA name of the schedule's time zone.
    pub timezone: String,
    /// Also after a sync that changed something; counts like a scheduled one.
    pub on_sync: bool,
    /// Threads that evaluate; 0 means one per core.
    pub workers: u32,
    /// Objects asked for at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: u32,
    /// The bound of one evaluation of one object by one constraint.
    pub evaluation_timeout: Duration,
    /// Kinds that are matched only by a constraint that names them.
    pub exclude_kinds: Vec<String>,
}

impl Default for AuditFile {
    fn default() -> Self {
        Self {
            schedule: "*/15 * * * *".to_owned(),
            timezone: "UTC".to_owned(),
            on_sync: true,
            workers: 0,
            page_size: 500,
            evaluation_timeout: Duration::from_millis(500),
            exclude_kinds: ["Event", "Lease", "EndpointSlice"].map(str::to_owned).to_vec(),
        }
    }
}

/// The election of the one replica that writes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaseFile {
    /// How long a leader that went silent keeps its place.
    pub duration: Duration,
    /// The namespace of the Lease; absent means the own Pod's, else `gatekeeper.namespace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Default for LeaseFile {
    fn default() -> Self {
        Self { duration: Duration::from_secs(15), namespace: None }
    }
}
