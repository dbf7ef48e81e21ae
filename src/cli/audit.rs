//! `portcullis audit`: one run now, of the cluster or of a bundle against manifests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{CliError, ConfigArg, Exit, audit_local, shared};
use crate::{edge::store::Cause, pipeline::audit::audit};

/// How often the count of objects is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);

/// Audit once: the cluster of the configuration, or with --bundle and --objects manifests against policies
///
/// Exit code 0, 1 where --fail-on says so, 3 where the run is incomplete, 2 where it could not run.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    local: audit_local::Args,
}

/// Runs the audit; of the cluster it is stored, and counts for no gate.
pub fn run(args: &AuditArgs) -> Result<Exit, CliError> {
    if args.local.is_local() {
        return audit_local::run(&args.local);
    }
    shared::block_on(async {
        let ports = shared::writing(&args.config).await?;
        let progress = Arc::new(AtomicU64::new(0));
        let bar = audit_local::bar();
        let watched = Arc::clone(&progress);
        let cancel = CancellationToken::new();
        let work = audit(&ports, Cause::Manual, false, progress, &cancel);
        tokio::pin!(work);
        let run = loop {
            tokio::select! {
                run = &mut work => break run,
                () = tokio::time::sleep(REDRAW) => bar.set_position(watched.load(Ordering::Relaxed)),
            }
        };
        bar.finish_and_clear();
        let run = run.map_err(|error| CliError::caused("the audit could not run", &error))?;
        ports.store.close().await;
        audit_local::show(&args.local, &run)
    })
}
