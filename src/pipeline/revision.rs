//! Which revision a pass works with: the newest, or the last good one where the newest cannot be had or is refused.

use std::sync::Arc;

use portcullis_core::{identity::Revision, problem::Severity};
use tokio_util::sync::CancellationToken;

use crate::{
    edge::{git::GitError, store::Accepted},
    pipeline::{
        apply::error_line,
        ports::Ports,
        prepare::Prepared,
        sync::{SyncError, Verdict},
    },
};

/// The revision of a pass, and what is to be said about how it was chosen.
pub(super) struct Chosen {
    /// The revision.
    pub prepared: Arc<Prepared>,
    /// The one that was tried and refused, where it is another.
    pub refused: Option<Arc<Prepared>>,
    /// What choosing came to.
    pub verdict: Verdict,
    /// Why, in words.
    pub reasons: Vec<String>,
}

/// Which revision this pass works with: the newest, or the last good one where the newest cannot be had or
/// is refused.
pub(super) async fn choose(
    ports: &Ports,
    accepted: Option<&Accepted>,
    cancel: &CancellationToken,
) -> Result<Chosen, SyncError> {
    let (source, stop) = (Arc::clone(&ports.source), cancel.clone());
    let fetched = tokio::task::spawn_blocking(move || source.fetch_until(&stop)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let last_good = accepted.map(|accepted| accepted.revision.clone()).or_else(|| ports.source.kept());
    let last_good = last_good.filter(|revision| ports.source.contains(revision));
    let newest = match fetched {
        Ok(fetched) => fetched.revision,
        Err(error) => {
            let Some(revision) = last_good else { return Err(SyncError::NoRevision(error)) };
            let reason = format!("{}; {} stays in force", advised(&error), revision.short());
            let prepared = ports.prepared(&revision).await.map_err(SyncError::Source)?;
            return Ok(Chosen { prepared, refused: None, verdict: Verdict::Failed, reasons: vec![reason] });
        }
    };
    if let Some(old) = last_good.as_ref().filter(|old| **old != newest) {
        let forward = ports.source.is_ancestor(old, &newest).map_err(SyncError::Source)?;
        if !forward && !ports.config.source.allow_rewrite {
            let reason = format!(
                "the branch `{}` was rewritten: {} is no longer an ancestor of {} (to accept it: \
                 source.allowRewrite: true)",
                ports.config.source.branch,
                old.short(),
                newest.short()
            );
            return stay(ports, last_good, &newest, reason, Verdict::Held, None).await;
        }
    }
    let strange = accepted.filter(|accepted| !ports.source.contains(&accepted.revision));
    if let Some(accepted) = strange.filter(|_| last_good.is_none() && !ports.config.source.allow_rewrite) {
        let reason = format!(
            "the revision in force, {}, is not in the history of `{}` at {}: it was rewritten, or source.url is \
             another repository (to accept it: source.allowRewrite: true)",
            accepted.revision.short(),
            ports.config.source.branch,
            newest.short()
        );
        return stay(ports, None, &newest, reason, Verdict::Held, None).await;
    }
    let prepared = match ports.prepared(&newest).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let reason = format!("revision {} is refused: {}", newest.short(), advised(&error));
            return stay(ports, last_good, &newest, reason, Verdict::Refused, None).await;
        }
    };
    let atomic = ports.config.source.atomic && prepared.bundle.has_errors();
    if prepared.bundle.refused_whole || atomic {
        let reason = format!("revision {} is refused whole: {}", newest.short(), first_errors(&prepared));
        return stay(ports, last_good, &newest, reason, Verdict::Refused, Some(prepared)).await;
    }
    Ok(Chosen { prepared, refused: None, verdict: Verdict::InStep, reasons: Vec::new() })
}

/// The newest revision is not taken: the last good one stays, or nothing is applied where there is none.
async fn stay(
    ports: &Ports,
    last_good: Option<Revision>,
    newest: &Revision,
    reason: String,
    verdict: Verdict,
    refused: Option<Arc<Prepared>>,
) -> Result<Chosen, SyncError> {
    let Some(revision) = last_good else {
        let reasons = vec![format!("{reason}; nothing is applied")];
        return Ok(Chosen { prepared: Arc::new(Prepared::nothing(newest)), refused, verdict, reasons });
    };
    let reasons = vec![format!("{reason}; {} stays in force", revision.short())];
    let prepared = ports.prepared(&revision).await.map_err(SyncError::Source)?;
    Ok(Chosen { prepared, refused, verdict, reasons })
}

/// The first errors of a revision, on one line.
pub(super) fn first_errors(prepared: &Prepared) -> String {
    let errors: Vec<String> = prepared
        .bundle
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| {
            let place = match problem.span.line {
                0 => problem.file.clone(),
                line => format!("{}:{line}:{}", problem.file, problem.span.column),
            };
            format!("{place} {} {}", problem.code, problem.message)
        })
        .collect();
    let first: Vec<String> = errors.iter().take(5).cloned().collect();
    let more = if errors.len() > 5 { format!(" and {} more", errors.len() - 5) } else { String::new() };
    format!("{}{more}", first.join("; "))
}

fn advised(error: &GitError) -> String {
    match error.hint() {
        Some(hint) => format!("{} ({hint})", error_line(error)),
        None => error_line(error),
    }
}
