//! What audits say about one constraint at one stage and hash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::Subject;

/// A subject that violates, and the namespace by which an Exemption would excuse it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViolatingSubject {
    /// Who has to act.
    pub subject: Subject,
    /// The object's namespace; a Namespace's own name; empty for other cluster-scoped objects.
    pub namespace: String,
}

/// One audit run, as far as one constraint is concerned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvidence {
    /// The run's number.
    pub run: i64,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether the daemon ran it, on schedule or after a sync; only such runs count for `minAudits`.
    pub by_daemon: bool,
    /// The schedule slot it fell into (the last one at or before its start), in milliseconds.
    pub slot: i64,
    /// Why it says nothing about this constraint; `None` where it is complete and free of errors.
    pub incomplete: Option<String>,
    /// Counted subjects that violate, exempt ones included: who is exempt is judged when a gate is decided.
    pub subjects: Vec<ViolatingSubject>,
}

/// The runs of one hash, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The runs. The newest one is among them; earlier ones may be counted only.
    pub audits: Vec<AuditEvidence>,
    /// Slots of earlier runs that count for `minAudits` and are not among `audits`.
    pub counted: u64,
}

impl Evidence {
    /// Runs that count for `minAudits`: by the daemon, complete, begun after `since`, one a slot. Those that are
    /// counted only were begun after it.
    pub fn counted_since(&self, since: Timestamp) -> u64 {
        let slots: std::collections::BTreeSet<i64> = self
            .audits
            .iter()
            .filter(|audit| audit.by_daemon && audit.incomplete.is_none() && audit.started > since)
            .map(|audit| audit.slot)
            .collect();
        slots.len() as u64 + self.counted
    }

    /// The newest run begun after `since`, whatever its cause.
    pub fn newest_since(&self, since: Timestamp) -> Option<&AuditEvidence> {
        self.audits
            .iter()
            .filter(|audit| audit.started > since)
            .max_by_key(|audit| (audit.started, audit.run))
    }
}
