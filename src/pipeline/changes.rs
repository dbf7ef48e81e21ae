//! What changed since a time, for a report: decisions that were carried out, and what git asked for that was
//! refused or is held.

use jiff::Timestamp;
use portcullis_core::report::{Change, ChangeKind};

use crate::edge::store::{DecisionRow, Store, StoreError, SyncRecord};

/// More than anybody reads; the newest are told.
const LIMIT: u32 = 5_000;

/// Everything that changed after `since`, newest first; all there is where that is `None`.
pub async fn since(store: &Store, since: Option<Timestamp>) -> Result<Vec<Change>, StoreError> {
    let decisions = store.carried_out_since(since, LIMIT).await?;
    let mut changes: Vec<Change> = decisions.into_iter().map(decided).collect();
    let syncs = store.syncs(LIMIT).await?;
    for (at, sync) in syncs.iter().enumerate() {
        if since.is_some_and(|since| sync.at <= since) {
            break;
        }
        let before = syncs.get(at + 1).map_or(&[][..], |before| &before.reasons);
        changes.extend(not_taken(sync, before));
    }
    Ok(changes)
}

fn decided(row: DecisionRow) -> Change {
    let decision = row.decision;
    let (word, why) = decision.reason.split_once(": ").unwrap_or(("", &decision.reason));
    let what = match word {
        "created" => ChangeKind::Added,
        "renamed" => ChangeKind::Renamed,
        "promoted" => ChangeKind::Promoted,
        "lowered" => ChangeKind::Demoted,
        // The version is a new one; only a constraint has a stage to lose.
        "restarted" if decision.from == decision.to => ChangeKind::Changed,
        "restarted" => ChangeKind::Demoted,
        "removed" => ChangeKind::Removed,
        "restored" => ChangeKind::Restored,
        "resumed" => ChangeKind::Resumed,
        "held" => ChangeKind::Held,
        "refused" => ChangeKind::Refused,
        "exemptions" => ChangeKind::Exemption,
        "updated" | "swapped" | "rewritten" => ChangeKind::Changed,
        _ => ChangeKind::Other,
    };
    // A template is known to the store by the kind it makes, to everybody else by its name.
    let name =
        if decision.kind == "ConstraintTemplate" { decision.name.to_lowercase() } else { decision.name };
    Change {
        at: decision.at,
        what,
        object: format!("{}/{name}", decision.kind),
        from: decision.from.unwrap_or_default(),
        to: decision.to.unwrap_or_default(),
        revision: decision.revision,
        who: decision.who,
        why: why.to_owned(),
    }
}

/// What a sync was the first to say stands in the way.
fn not_taken(sync: &SyncRecord, before: &[String]) -> Vec<Change> {
    let what = match sync.outcome.as_str() {
        "held" => ChangeKind::Held,
        "partial" | "refused" => ChangeKind::Refused,
        "failed" => ChangeKind::Other,
        _ => return Vec::new(),
    };
    let fresh = sync.reasons.iter().filter(|reason| !before.contains(reason));
    fresh
        .map(|reason| {
            let (object, why) = match reason.split_once(": ") {
                Some((object, why)) if is_object(object) => (object, why),
                _ => ("policy repository", reason.as_str()),
            };
            Change {
                at: sync.at,
                what,
                object: object.to_owned(),
                from: String::new(),
                to: String::new(),
                revision: sync.revision.clone(),
                who: "portcullis".to_owned(),
                why: why.to_owned(),
            }
        })
        .collect()
}

/// Whether a reason begins with the name of an object, `Kind/name`.
fn is_object(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, name)| {
        kind.starts_with(|letter: char| letter.is_ascii_uppercase())
            && kind.chars().all(|letter| letter.is_ascii_alphanumeric())
            && !name.is_empty()
            && !name.contains([' ', '/'])
    })
}
