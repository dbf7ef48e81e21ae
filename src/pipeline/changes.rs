//! What changed since a time, for a report: decisions that were carried out, and what git asked for that was
//! refused or is held.

use jiff::Timestamp;
use portcullis_core::{
    identity::Stage,
    report::{Change, ChangeKind},
};

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
    let stage = |text: &Option<String>| text.as_deref().and_then(Stage::parse);
    let weaker = stage(&decision.from).zip(stage(&decision.to)).is_some_and(|(from, to)| to < from);
    let what = match word {
        // A lower target, a restart, or a new version that git wants no further.
        _ if weaker => ChangeKind::Demoted,
        "created" => ChangeKind::Added,
        "renamed" => ChangeKind::Renamed,
        "promoted" => ChangeKind::Promoted,
        "removed" => ChangeKind::Removed,
        "restored" => ChangeKind::Restored,
        "resumed" => ChangeKind::Resumed,
        "held" => ChangeKind::Held,
        "refused" => ChangeKind::Refused,
        "exemptions" => ChangeKind::Exemption,
        "updated" | "swapped" | "restarted" | "rewritten" => ChangeKind::Changed,
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
            let (object, why) = match (reason.split_once(": "), tried(reason)) {
                (Some((object, why)), _) if is_object(object) => (object.to_owned(), why),
                (_, Some(revision)) => (format!("Revision/{revision}"), reason.as_str()),
                _ => ("policy repository".to_owned(), reason.as_str()),
            };
            // A revision that was refused whole is not the one in force.
            let in_force = sync.revision.as_ref();
            let in_force = in_force
                .filter(|in_force| tried(reason).is_none_or(|tried| in_force.as_str().starts_with(tried)));
            Change {
                at: sync.at,
                what,
                object,
                from: String::new(),
                to: String::new(),
                revision: in_force.cloned(),
                who: "portcullis".to_owned(),
                why: why.to_owned(),
            }
        })
        .collect()
}

/// The commit that a reason begins with, `revision 3f9c2ab is …`.
fn tried(reason: &str) -> Option<&str> {
    let (revision, _) = reason.strip_prefix("revision ")?.split_once(" is ")?;
    revision.chars().all(|digit| digit.is_ascii_hexdigit()).then_some(revision)
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
