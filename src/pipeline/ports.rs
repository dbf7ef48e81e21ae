//! Everything a pass or a run needs, opened once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use portcullis_core::{
    bundle::LoadOptions,
    document::{Duration, Limits},
    identity::Revision,
    plan::PruneBudget,
    policy::{CompiledTemplate, TemplateSpec},
    scope::Exemptions,
};

use crate::{
    chance::Chance,
    clock::Clock,
    config::{Config, Drift},
    edge::{
        cluster::{Cluster, ClusterError, directory::DirectoryCluster},
        git::{GitError, GitSettings, GitSource},
        store::{Store, StoreError},
    },
    pipeline::{apply::Undone, notify::Notifier, prepare::Prepared},
};

/// The longest one fetch may take.
const FETCH_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(2);

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cluster cannot be used.
    #[error("cannot open the cluster")]
    Cluster(#[source] ClusterError),
    /// The repository cannot be used.
    #[error("cannot open the git cache")]
    Source(#[source] GitError),
    /// The store cannot be used.
    #[error("cannot open the store")]
    Store(#[source] StoreError),
}

/// Cluster, repository, store, time and chance, with the configuration they were opened by.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The configuration.
    pub config: Arc<Config>,
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// The repository.
    pub source: Arc<GitSource>,
    /// History and evidence.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Jitter and identifiers.
    pub chance: Arc<Chance>,
    /// Who is told of what.
    pub notifier: Arc<Notifier>,
    /// Writes that were undone.
    pub undone: Arc<Undone>,
    cached: Arc<Mutex<Option<Arc<Prepared>>>>,
    templates: Arc<Mutex<BTreeMap<String, CompiledOrWhy>>>,
}

/// A template ready to judge by, or why it is not.
pub type CompiledOrWhy = Result<(Arc<CompiledTemplate>, TemplateSpec), String>;

impl Ports {
    /// Opens everything to write.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        chance: Arc<Chance>,
    ) -> Result<Self, StartError> {
        let cluster = DirectoryCluster::open(&config.cluster.directory).map_err(StartError::Cluster)?;
        let store = Store::open(&config.storage.url, &config.cluster.name, &config.instance)
            .await
            .map_err(StartError::Store)?;
        Self::assemble(config, Arc::new(cluster), store, clock, chance)
    }

    /// Opens everything to read beside a running daemon.
    pub async fn open_reading(
        config: Config,
        clock: Arc<dyn Clock>,
        chance: Arc<Chance>,
    ) -> Result<Self, StartError> {
        let cluster = DirectoryCluster::existing(&config.cluster.directory);
        let store = Store::open_reading(&config.storage.url, &config.cluster.name, &config.instance)
            .await
            .map_err(StartError::Store)?;
        let source = GitSource::open_reading(git_settings(&config)).map_err(StartError::Source)?;
        Ok(Self::join(config, Arc::new(cluster), source, store, clock, chance))
    }

    /// Opens cluster and store to read, and the cache so that it can fetch, for a look ahead; where there is no
    /// store yet, an empty one in `scratch` stands for it.
    pub async fn open_looking_ahead(
        config: Config,
        scratch: &Path,
        clock: Arc<dyn Clock>,
        chance: Arc<Chance>,
    ) -> Result<Self, StartError> {
        let cluster = DirectoryCluster::existing(&config.cluster.directory);
        let (url, cluster_name, instance) = (&config.storage.url, &config.cluster.name, &config.instance);
        let store = match Store::open_reading(url, cluster_name, instance).await {
            Err(StoreError::Absent { .. }) => {
                let url = format!("sqlite://{}", scratch.join("empty.db").display());
                Store::open(&url, cluster_name, instance).await
            }
            opened => opened,
        };
        let store = store.map_err(StartError::Store)?;
        Self::assemble(config, Arc::new(cluster), store, clock, chance)
    }

    /// Joins a cluster and a store that are open already with the repository of the configuration.
    pub fn assemble(
        config: Config,
        cluster: Arc<dyn Cluster>,
        store: Store,
        clock: Arc<dyn Clock>,
        chance: Arc<Chance>,
    ) -> Result<Self, StartError> {
        let source = GitSource::open(git_settings(&config)).map_err(StartError::Source)?;
        Ok(Self::join(config, cluster, source, store, clock, chance))
    }

    fn join(
        config: Config,
        cluster: Arc<dyn Cluster>,
        source: GitSource,
        store: Store,
        clock: Arc<dyn Clock>,
        chance: Arc<Chance>,
    ) -> Self {
        let notifier = Arc::new(Notifier::new(config.notifications.clone()));
        Self {
            config: Arc::new(config),
            cluster,
            source: Arc::new(source),
            store,
            clock,
            chance,
            notifier,
            undone: Arc::default(),
            cached: Arc::default(),
            templates: Arc::default(),
        }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The interval of the audit schedule.
    pub fn audit_interval(&self) -> Duration {
        self.config.audit.schedule.interval()
    }

    /// How much may be removed at once.
    pub fn prune_budget(&self) -> PruneBudget {
        let prune = &self.config.apply.prune;
        PruneBudget { max_objects: prune.max_objects.into(), max_percent: prune.max_percent.into() }
    }

    /// Whether drift is put back.
    pub fn correct_drift(&self) -> bool {
        self.config.apply.drift == Drift::Correct
    }

    /// The compiled form of a live template, by its version; compiled once.
    pub fn compiled(&self, version: &str, make: impl FnOnce() -> CompiledOrWhy) -> CompiledOrWhy {
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = templates.get(version) {
            return known.clone();
        }
        let made = make();
        templates.insert(version.to_owned(), made.clone());
        made
    }

    /// Lets go of compiled templates of other versions than these: an engine takes hundreds of KiB.
    pub fn keep_compiled(&self, versions: &BTreeSet<&str>) {
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        templates.retain(|version, _| versions.contains(version.as_str()));
    }

    /// The exemptions in force at `now`, from the revision in force. Where that cannot be read nobody is excused:
    /// a gate is then stricter, never looser.
    pub async fn exemptions(&self, now: Timestamp) -> Exemptions {
        let Ok(Some(accepted)) = self.store.accepted().await else { return Exemptions::default() };
        let Ok(prepared) = self.prepared(&accepted.revision).await else { return Exemptions::default() };
        let good = self.store.accepted_bundle().await.ok().flatten();
        let good = good.and_then(|good| serde_json::from_value(good).ok()).unwrap_or_default();
        prepared.exemptions(&good, now)
    }

    /// A revision of the cache, loaded; the newest one stays in memory.
    pub async fn prepared(&self, revision: &Revision) -> Result<Arc<Prepared>, GitError> {
        {
            let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(prepared) = cached.as_ref().filter(|prepared| prepared.revision == *revision) {
                return Ok(Arc::clone(prepared));
            }
        }
        let (source, config, revision) =
            (Arc::clone(&self.source), Arc::clone(&self.config), revision.clone());
        let now = self.now();
        let loaded = tokio::task::spawn_blocking(move || {
            let options = LoadOptions {
                external_templates: config.source.external_templates.clone(),
                limits: Limits {
                    bytes: usize::try_from(config.source.limits.file_size).unwrap_or(usize::MAX),
                    ..LoadOptions::default().limits
                },
                ..LoadOptions::default()
            };
            Prepared::load(&source, &revision, &config.source.paths, &options, now)
        })
        .await;
        let prepared = match loaded {
            Ok(prepared) => Arc::new(prepared?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&prepared));
        Ok(prepared)
    }
}

/// The part of the configuration that git needs.
pub fn git_settings(config: &Config) -> GitSettings {
    GitSettings::new(&config.source, config.state.join("git"), FETCH_TIMEOUT)
}
