//! What the daemon's tasks tell the server about themselves.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// A part of the daemon that must be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Ready once the first sync ended.
    Sync,
    /// Ready while the database answers.
    Store,
}

/// Which parts are not ready, and why. Cheap to clone; all clones tell and see the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    reasons: watch::Sender<BTreeMap<Part, String>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Nothing is ready yet.
    pub fn new() -> Self {
        let reasons = BTreeMap::from([
            (Part::Sync, "the first sync has not ended".to_owned()),
            (Part::Store, "the database has not answered".to_owned()),
        ]);
        Self { reasons: watch::Sender::new(reasons) }
    }

    /// The part is ready.
    pub fn ready(&self, part: Part) {
        self.reasons.send_if_modified(|reasons| reasons.remove(&part).is_some());
    }

    /// The part is not ready, and why: lower case, no full stop, no secret.
    pub fn not_ready(&self, part: Part, reason: impl Into<String>) {
        self.reasons.send_modify(|reasons| {
            reasons.insert(part, reason.into());
        });
    }

    /// Why the daemon is not ready; empty means it is.
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.borrow().values().cloned().collect()
    }

    /// Waits until every part is ready.
    pub async fn wait(&self) {
        // The sender lives in `self`, so the channel is open.
        let _ = self.reasons.subscribe().wait_for(BTreeMap::is_empty).await;
    }
}
