//! The bounds of one fetch: a deadline, and a stop from outside.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::error::GitError;

/// Asked at every step of a fetch whether it may go on.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    url: String,
    after: Duration,
    deadline: Instant,
    stop: CancellationToken,
}

impl Watch {
    /// Starts the count-down.
    pub(super) fn start(url: String, after: Duration, stop: CancellationToken) -> Self {
        let now = Instant::now();
        let deadline = now.checked_add(after).unwrap_or(now + Duration::from_hours(24));
        Self { url, after, deadline, stop }
    }

    /// The remote's URL, for messages.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// An error where the time is over or the fetch was stopped.
    pub(super) fn check(&self) -> Result<(), GitError> {
        if self.stop.is_cancelled() {
            return Err(GitError::Stopped { url: self.url.clone() });
        }
        if Instant::now() >= self.deadline {
            return Err(self.timeout());
        }
        Ok(())
    }

    /// Waits for `future` no longer than the fetch may take.
    pub(super) async fn bound<T>(
        &self,
        future: impl Future<Output = Result<T, GitError>>,
    ) -> Result<T, GitError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(GitError::Stopped { url: self.url.clone() }),
            result = tokio::time::timeout_at(self.deadline.into(), future) => {
                result.unwrap_or_else(|_| Err(self.timeout()))
            }
        }
    }

    fn timeout(&self) -> GitError {
        GitError::Timeout { url: self.url.clone(), after: self.after }
    }
}
