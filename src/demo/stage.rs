//! The stage of the demo: its folder, its configuration, and the daemon over them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    receiver::Receiver,
    repository::{DemoRepository, RepositoryError, write_objects},
};
use crate::{
    chance::Chance,
    clock::{Clock, ManualClock},
    config::Config,
    daemon::Daemon,
    edge::http::Readiness,
    pipeline::ports::{Ports, StartError},
};

/// The key the demo signs with; it protects nothing.
pub const KEY: &str = "whsec_cG9ydGN1bGxpcyBkZW1vIGtleSwgbm90IGEgc2VjcmV0";
/// Days that pass in the demo; its clock begins so long ago, so that it ends about now.
const DAYS: i64 = 17;
const DAY_MILLIS: i64 = 86_400_000;
/// The minutes that pass besides: what the demo leaves behind lies in the past.
const LEAD_MILLIS: i64 = 3 * 60_000;

/// What setting the stage can fail at.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The folder is there and not empty.
    #[error("the folder {} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The repository cannot be made.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The receiver cannot listen.
    #[error("cannot listen on a loopback port")]
    Receiver(#[source] std::io::Error),
    /// The configuration is wrong; only a mistake of ours makes it so.
    #[error("the demo's configuration is wrong: {0}")]
    Config(String),
    /// The ports do not open.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The set stage.
pub struct Stage {
    /// The folder everything lies in.
    pub folder: PathBuf,
    /// The repository.
    pub repository: DemoRepository,
    /// The receiver.
    pub receiver: Receiver,
    /// The clock.
    pub clock: Arc<ManualClock>,
    /// What the daemon sees.
    pub ports: Ports,
    /// The daemon, whose passes the demo calls one by one.
    pub daemon: Daemon,
    /// Files of live resources.
    pub object_files: usize,
}

impl Stage {
    /// Sets the stage in `folder`, which is made, or exists and is empty; `today` is when the demo ends.
    pub async fn set(folder: &Path, today: Timestamp) -> Result<Self, StageError> {
        let wrote = |path: &Path| {
            let path = path.to_owned();
            move |source| StageError::Write { path, source }
        };
        fs::create_dir_all(folder).map_err(wrote(folder))?;
        let mut entries = fs::read_dir(folder).map_err(wrote(folder))?;
        if entries.next().is_some() {
            return Err(StageError::NotEmpty(folder.to_owned()));
        }
        let folder = folder.canonicalize().map_err(wrote(folder))?;
        let repository = DemoRepository::create(&folder.join("repository"))?;
        let object_files = write_objects(&folder.join("cluster/objects"))?;
        let receiver = Receiver::start(KEY).await.map_err(StageError::Receiver)?;
        let key = folder.join("webhook.key");
        fs::write(&key, format!("{KEY}\n")).map_err(wrote(&key))?;

        let sink = format!(
            "{{name: security-team, type: webhook, url: \"http://{}/hooks/reports\", secretFile: webhook.key}}",
            receiver.address
        );
        let text = configuration(&sink);
        let file = folder.join("portcullis.yaml");
        let loaded = Config::load(text.as_bytes(), &file, std::iter::empty())
            .map_err(|problems| StageError::Config(format!("{problems:?}")))?;
        let start = today.as_millisecond().saturating_sub(DAYS * DAY_MILLIS + LEAD_MILLIS);
        let clock = Arc::new(ManualClock::new(Timestamp::from_millisecond(start).unwrap_or(today)));
        let ports =
            Ports::open(loaded.config, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(Chance::from_system()))
                .await?;
        let daemon = Daemon::new(ports.clone(), Readiness::new(), CancellationToken::new());
        Ok(Self { folder, repository, receiver, clock, ports, daemon, object_files })
    }

    /// Leaves a configuration that works without the receiver: reports go into a folder.
    pub fn leave_configuration(&self) -> Result<PathBuf, StageError> {
        let file = self.folder.join("portcullis.yaml");
        let text = configuration("{name: security-team, type: file, path: reports}");
        fs::write(&file, text).map_err(|source| StageError::Write { path: file.clone(), source })?;
        Ok(file)
    }

    /// Lets days pass.
    pub fn pass_days(&self, days: i64) {
        self.clock.advance_millis(days * DAY_MILLIS);
    }
}

fn configuration(sink: &str) -> String {
    format!(
        r#"apiVersion: portcullis.dev/v1alpha1
kind: PortcullisConfig
cluster: {{name: demo, directory: cluster}}
instance: demo
source: {{url: repository, branch: main, paths: [policies], interval: 1m}}
audit: {{schedule: "*/15 * * * *"}}
reports:
  - {{name: weekly-compliance, schedule: "0 8 * * MON", formats: [html, json], to: [security-team]}}
notifications:
  - {{on: [promotion, syncFailed], to: [security-team]}}
sinks:
  - {sink}
storage: {{url: "sqlite://state/portcullis.db"}}
state: state
"#
    )
}
