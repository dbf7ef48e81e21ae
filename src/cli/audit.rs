//! `portcullis audit`: one run now, of the cluster or of a bundle against manifests.

use std::sync::{Arc, atomic::AtomicU64};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{CliError, ConfigArg, Exit, audit_local, shared};
use crate::{edge::store::Cause, pipeline::audit::audit};

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
        let run = audit(&ports, Cause::Manual, false, progress, &CancellationToken::new())
            .await
            .map_err(|error| CliError::caused("the audit could not run", &error))?;
        ports.store.close().await;
        audit_local::show(&args.local, &run)
    })
}
