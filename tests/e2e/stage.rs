//! The stage of a test: repository, cluster, receiver and daemon in a temporary folder.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use portcullis::{
    chance::Chance,
    clock::{Clock, ManualClock},
    config::Config,
    daemon::Daemon,
    edge::{
        cluster::{Cluster as _, directory::DirectoryCluster},
        http::Readiness,
        store::{Cause, Store},
    },
    pipeline::{
        ports::Ports,
        sync::{SyncOutcome, Verdict},
    },
};
use portcullis_core::{
    document::{Limits, yaml},
    identity::{ConstraintId, Revision},
    plan::ObjectKey,
};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio_util::sync::CancellationToken;

use super::documents;
use crate::support::{
    receiver::{Received, Receiver},
    repo::TestRepo,
};

/// The key the receiver knows.
pub const KEY: &str = "whsec_cG9ydGN1bGxpcyBlbmQtdG8tZW5kIHRlc3Qga2V5";
/// A Monday morning.
const START: &str = "2026-03-02T08:00:00Z";
const MINUTE: i64 = 60_000;

/// Everything a test of the whole daemon needs.
pub struct Stage {
    pub repo: TestRepo,
    pub receiver: Receiver,
    pub clock: Arc<ManualClock>,
    pub cluster: DirectoryCluster,
    pub daemon: Daemon,
    pub ports: Ports,
    pub folder: tempfile::TempDir,
    settings: String,
    starts: u64,
}

impl Stage {
    /// A stage with two Deployments and an empty repository.
    pub async fn set() -> Self {
        Self::with("").await
    }

    /// The same with further lines of configuration.
    pub async fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = TestRepo::at(&folder.path().join("policies.git"));
        let receiver = Receiver::start().await;
        let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
        let cluster = DirectoryCluster::open(folder.path().join("cluster")).unwrap();
        fs::write(folder.path().join("key"), KEY).unwrap();
        let config = configuration(folder.path(), &receiver, settings);
        let ports = open(config, &cluster, &clock, 1).await;
        let daemon = Daemon::new(ports.clone(), Readiness::new(), CancellationToken::new());
        let settings = settings.to_owned();
        let stage = Self { repo, receiver, clock, cluster, daemon, ports, folder, settings, starts: 1 };
        stage.object("shop/cart.yaml", &documents::deployment("shop", "cart", "{app: cart, owner: shop}"));
        stage.object(
            "data/queue.yaml",
            &documents::deployment("data", "queue", "{app: queue, owner: data, tier: back}"),
        );
        stage
    }

    /// Ends the daemon and starts another over the same folders, as a restart does.
    pub async fn restart(&mut self) {
        self.ports.store.close().await;
        self.start().await;
    }

    /// Starts another daemon over what is there.
    pub async fn start(&mut self) {
        let config = configuration(self.folder.path(), &self.receiver, &self.settings);
        self.starts += 1;
        self.ports = open(config, &self.cluster, &self.clock, self.starts).await;
        self.daemon = Daemon::new(self.ports.clone(), Readiness::new(), CancellationToken::new());
    }

    /// Writes a file of live resources.
    pub fn object(&self, path: &str, text: &str) {
        let path = self.path("cluster/objects").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A path in the folder of the test.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Makes the remote unusable, or usable again; commits reach it in either case.
    pub fn hide_remote(&self, hidden: bool) {
        let (from, to) = if hidden { ("HEAD", "AWAY") } else { ("AWAY", "HEAD") };
        let repository = self.path("policies.git");
        fs::rename(repository.join(from), repository.join(to)).unwrap();
    }

    /// The file of a constraint or, with one part, of a template.
    pub fn policy(&self, name: &str) -> PathBuf {
        let folder = if name.contains('/') { "constraints" } else { "constrainttemplates" };
        self.path("cluster/policies").join(folder).join(format!("{name}.yaml"))
    }

    /// Pushes files and makes one pass.
    pub async fn push(&self, message: &str, files: &[(&str, &str)]) -> Pass {
        self.repo.commit(message, files);
        self.sync().await
    }

    /// Pushes a removal and makes one pass.
    pub async fn remove(&self, message: &str, paths: &[&str]) -> Pass {
        self.repo.delete(message, paths);
        self.sync().await
    }

    /// One pass of the sync task, a minute later.
    pub async fn sync(&self) -> Pass {
        self.clock.advance_millis(MINUTE);
        Pass(self.daemon.sync_pass().await)
    }

    /// Lets the audits of so many quarters of an hour pass.
    pub async fn quarters(&self, count: u32) {
        for _ in 0..count {
            self.clock.advance_millis(15 * MINUTE);
            self.daemon.audit_pass(Cause::Schedule).await;
        }
    }

    /// Soaks long enough for one stage of the usual Rollout, and makes one pass.
    pub async fn soak(&self) -> Pass {
        self.quarters(5).await;
        self.sync().await
    }

    /// The stages as the cluster folder has them: `Kind/name` to `enforcementAction`.
    pub fn stages(&self) -> BTreeMap<String, String> {
        let mut stages = BTreeMap::new();
        for (path, manifest) in self.in_force() {
            if let Some(path) = path.strip_prefix("constraints/") {
                let action = manifest["spec"]["enforcementAction"].as_str().unwrap();
                stages.insert(path.to_owned(), action.to_owned());
            }
        }
        stages
    }

    /// The names of the templates in the cluster folder.
    pub fn templates(&self) -> Vec<String> {
        let files = self.in_force();
        files.keys().filter_map(|path| path.strip_prefix("constrainttemplates/")).map(str::to_owned).collect()
    }

    /// Everything in `policies/`, by path without its ending. No other file may be there.
    pub fn in_force(&self) -> BTreeMap<String, Value> {
        let root = self.path("cluster/policies");
        let mut found = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&root) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap();
                let documents = yaml::read(&fs::read(entry.path()).unwrap(), &Limits::default()).unwrap();
                assert_eq!(documents.len(), 1, "{path}");
                found.insert(path.strip_suffix(".yaml").unwrap().to_owned(), documents[0].to_json());
            }
        }
        found
    }

    /// One manifest in force.
    pub fn manifest(&self, path: &str) -> Value {
        self.in_force().remove(path).unwrap_or_else(|| panic!("{path} is not in force"))
    }

    /// Edits a file in force by hand.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.policy(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name} does not contain {from}:\n{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Writes an annotation as a person does.
    pub async fn annotate(&self, name: &str, verb: &str, value: Option<&str>) {
        let changes = BTreeMap::from([(format!("portcullis.dev/{verb}"), value.map(str::to_owned))]);
        assert!(self.cluster.annotate(&constraint(name), &changes).await.unwrap(), "{name} is not there");
    }

    /// Makes the report of the configuration and delivers what is due; returns its JSON as it arrived.
    pub async fn report(&self) -> Value {
        self.clock.advance_millis(MINUTE);
        let rule = self.ports.config.reports[0].clone();
        assert!(self.daemon.report_pass(&rule, self.clock.now()).await);
        self.daemon.deliverer().deliver_due().await.unwrap();
        let arrived = self.arrived("dev.portcullis.report.json.v1");
        serde_json::from_slice(&arrived.last().unwrap().body).unwrap()
    }

    /// The deliveries of one type that arrived, each with a signature that is right.
    pub fn arrived(&self, kind: &str) -> Vec<Received> {
        let all = self.receiver.received();
        all.into_iter().filter(|got| got.header("ce-type") == kind).inspect(assert_signed).collect()
    }
}

/// Fails where a delivery is not signed with the test's key.
pub fn assert_signed(got: &Received) {
    let at = got.header("webhook-timestamp").parse().unwrap();
    let expected = Webhook::new(KEY).unwrap().sign(got.header("webhook-id"), at, &got.body).unwrap();
    assert!(got.header("webhook-signature").split(' ').any(|signature| signature == expected));
}

/// The key of a constraint written `Kind/name`.
pub fn constraint(name: &str) -> ObjectKey {
    let (kind, name) = name.split_once('/').unwrap();
    ObjectKey::Constraint(ConstraintId::new(kind, name))
}

fn configuration(folder: &std::path::Path, receiver: &Receiver, settings: &str) -> Config {
    let text = format!(
        r#"apiVersion: portcullis.dev/v1alpha1
kind: PortcullisConfig
cluster: {{name: test, directory: cluster}}
instance: platform
source: {{url: policies.git, branch: main, interval: 1m}}
audit: {{schedule: "*/15 * * * *"}}
reports:
  - {{name: compliance, schedule: "0 8 * * MON", formats: [html, json], to: [officer]}}
notifications:
  - {{on: [promotion, demotion, hold, syncFailed, newViolationAtDeny], to: [officer]}}
sinks:
  - {{name: officer, type: webhook, url: "{}", secretFile: key}}
state: state
{settings}
"#,
        receiver.url("/hook")
    );
    let file = folder.join("portcullis.yaml");
    fs::write(&file, &text).unwrap();
    Config::load(text.as_bytes(), &file, std::iter::empty()).unwrap().config
}

/// Each start has its own seed, or identifiers would come twice.
async fn open(config: Config, cluster: &DirectoryCluster, clock: &Arc<ManualClock>, seed: u64) -> Ports {
    let store = Store::open(&config.storage.url, &config.cluster.name, &config.instance).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    Ports::assemble(config, Arc::new(cluster.clone()), store, clock, Arc::new(Chance::from_seed(seed)))
        .unwrap()
}

/// What one pass came to.
pub struct Pass(pub SyncOutcome);

impl Pass {
    /// What was done, a line each: `created K8sLabels/owner dryrun`.
    pub fn done(&self) -> Vec<String> {
        let lines = self.0.applied.done.iter().map(|done| {
            let stages = match done.stages {
                (Some(from), Some(to)) if from != to => format!(" {from} → {to}"),
                (None, Some(to)) => format!(" {to}"),
                _ => String::new(),
            };
            format!("{} {}{stages}", done.word, done.key)
        });
        lines.collect()
    }

    /// Fails unless exactly this was done, and the pass ended in step.
    pub fn did(&self, lines: &[&str]) {
        self.came_to(Verdict::InStep, lines);
        assert!(self.0.reasons.is_empty(), "{:?}", self.0.reasons);
    }

    /// Fails unless exactly this was done, with this verdict.
    pub fn came_to(&self, verdict: Verdict, lines: &[&str]) {
        assert_eq!((self.0.verdict, self.done()), (verdict, owned(lines)), "{:#?}", self.0.reasons);
    }

    /// The reason that holds all these phrases; fails where there is none.
    pub fn because(&self, phrases: &[&str]) -> &str {
        let found = self.0.reasons.iter().find(|reason| phrases.iter().all(|phrase| reason.contains(phrase)));
        found.unwrap_or_else(|| panic!("no reason with {phrases:?} in {:#?}", self.0.reasons))
    }

    /// The revision in force.
    pub fn revision(&self) -> Revision {
        self.0.revision.clone().unwrap()
    }

    /// The sentence of a constraint.
    pub fn next(&self, name: &str) -> &str {
        let found = self.0.plan.statuses.iter().find(|status| status.constraint.to_string() == name);
        &found.unwrap_or_else(|| panic!("{name} is not in the plan")).next
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// The time of the manual clock after so many minutes.
pub fn minutes_after(at: Timestamp, minutes: i64) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond() + minutes * MINUTE).unwrap()
}

/// A stage on which `K8sLabels/owner` is at deny and `K8sLabels/tier` is held at dryrun by what it would block.
pub async fn enforced(settings: &str) -> Stage {
    let stage = Stage::with(settings).await;
    let files = [
        ("rollouts.yaml", documents::rollout("Shadow")),
        ("labels/template.yaml", documents::labels("K8sLabels", "")),
        ("labels/owner.yaml", documents::wants("K8sLabels", "owner", "owner", "deny")),
        ("labels/tier.yaml", documents::wants("K8sLabels", "tier", "tier", "deny")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    stage.push("labels", &files).await.came_to(
        Verdict::InStep,
        &[
            "created ConstraintTemplate/k8slabels",
            "created K8sLabels/owner dryrun",
            "created K8sLabels/tier dryrun",
        ],
    );
    stage.soak().await.did(&["promoted K8sLabels/owner dryrun → warn"]);
    stage.soak().await.did(&["promoted K8sLabels/owner warn → deny"]);
    stage
}
