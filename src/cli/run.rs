//! `portcullis run`: the daemon, until it is told to stop.

use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, ConfigArg, Exit, shared};
use crate::{
    chance::Chance,
    clock::SystemClock,
    daemon::Daemon,
    edge::http::{self, Readiness},
    pipeline::ports::Ports,
    telemetry,
};

/// Keep a cluster in step with its policy repository: sync, audit, promote, report, until told to stop
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the daemon. Exit code 0 after SIGTERM or SIGINT, 2 where it cannot start.
pub fn run(args: &RunArgs) -> Result<Exit, CliError> {
    let loaded = args.config.load()?;
    telemetry::init(loaded.config.log);
    shared::block_on(async {
        // First of all, so that a stop during a long start is a stop too.
        let cancel = CancellationToken::new();
        stop_on_signals(&cancel)?;
        for notice in &loaded.notices {
            tracing::warn!("{notice}");
        }
        let ports = Ports::open(loaded.config, Arc::new(SystemClock), Arc::new(Chance::from_system()))
            .await
            .map_err(|error| shared::start(&error))?;
        let readiness = Readiness::new();
        let server = match &ports.config.server {
            Some(server) => {
                let server = http::start(server.listen, readiness.clone(), cancel.clone())
                    .await
                    .map_err(|error| CliError::caused("cannot start", &error))?;
                tracing::info!(address = %server.address, "serving /healthz and /readyz");
                Some(server)
            }
            None => None,
        };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            cluster = %ports.config.cluster.name,
            source = %ports.source.url(),
            enforced = ports.cluster.enforced_by(),
            "started"
        );
        let store = ports.store.clone();
        Daemon::new(ports, readiness, cancel).run().await;
        if let Some(server) = server
            && let Err(error) = server.wait().await
        {
            tracing::warn!(%error, "the server did not end well");
        }
        store.close().await;
        tracing::info!("stopped");
        Ok(Exit::Ok)
    })
}

/// Cancels at SIGTERM or SIGINT.
fn stop_on_signals(cancel: &CancellationToken) -> Result<(), CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::caused("cannot listen for signals", &error));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let cancel = cancel.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(())
}
