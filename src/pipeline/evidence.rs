//! What audits said about every version in force that could still move, as far as its gate asks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use portcullis_core::{
    audit::Subject,
    identity::{ConstraintId, PolicyHash},
    plan::{ObjectKey, Observed, Record, Standing},
    rollout::{AuditEvidence, Evidence, ViolatingSubject},
};

use crate::{
    edge::store::{EvidenceRun, EvidenceSpan, StoreError},
    pipeline::{ports::Ports, prepare::Wanted},
};

/// The evidence of each version, by constraint and hash.
pub type Gathered = BTreeMap<(ConstraintId, PolicyHash), Arc<Evidence>>;

/// Gathers for all constraints at once: the runs and what they said are read once, and the subjects of each
/// version's newest run alone.
pub async fn gather(ports: &Ports, observed: &Observed, wanted: &Wanted) -> Result<Gathered, StoreError> {
    let moving = moving(ports, observed, wanted);
    let Some(earliest) = moving.iter().map(|(_, record)| since(record)).min() else {
        return Ok(Gathered::new());
    };
    let runs: Vec<(EvidenceRun, i64)> = ports
        .store
        .evidence_runs(earliest)
        .await?
        .into_iter()
        .map(|run| {
            let slot = ports.config.audit.schedule.previous_at_or_before(run.started);
            (run, slot.map_or(0, Timestamp::as_millisecond))
        })
        .collect();
    let Some((oldest, _)) = runs.first() else { return Ok(Gathered::new()) };
    let mut spans: HashMap<ConstraintId, Vec<EvidenceSpan>> = HashMap::new();
    for span in ports.store.evidence_spans(oldest.seq).await? {
        spans.entry(span.constraint.clone()).or_default().push(span);
    }
    let mut gathered = Gathered::new();
    for (id, record) in moving {
        let Some(stage) = record.stage else { continue };
        let mut its = spans.remove(&id).unwrap_or_default();
        its.retain(|span| span.hash == record.hash && span.stage == stage.as_str());
        let mut evidence = Evidence::default();
        if let Some(reading) = Reading::of(&its, &runs, since(&record)) {
            let subjects = ports.store.subjects(&reading.span.subjects_hash).await?;
            evidence.audits.push(AuditEvidence {
                run: reading.run.run.0,
                started: reading.run.started,
                finished: reading.run.finished,
                by_daemon: reading.run.by_daemon,
                slot: reading.slot,
                incomplete: incomplete(reading.span.complete, reading.span.errors),
                subjects: subjects.into_iter().map(violating).collect(),
            });
            evidence.counted = reading.counted;
        }
        gathered.insert((id, record.hash), Arc::new(evidence));
    }
    Ok(gathered)
}

/// The constraints in force below their target, with their state.
fn moving(ports: &Ports, observed: &Observed, wanted: &Wanted) -> Vec<(ConstraintId, Record)> {
    let constraints = wanted.desired.units.values().flat_map(|unit| unit.constraints.values());
    constraints
        .filter_map(|constraint| {
            let key = ObjectKey::Constraint(constraint.id.clone());
            let Standing::Known(known) = observed.standing(&key, &ports.config.instance) else { return None };
            let moves = known.record.stage.is_some_and(|stage| stage < constraint.spec.target.stage());
            moves.then(|| (constraint.id.clone(), known.record))
        })
        .collect()
}

/// Runs count that were begun after this.
fn since(record: &Record) -> Timestamp {
    record.acknowledged.unwrap_or(record.since).max(record.since)
}

/// The newest run, and how many slots of earlier ones count besides its own.
struct Reading<'a> {
    run: EvidenceRun,
    slot: i64,
    span: &'a EvidenceSpan,
    counted: u64,
}

impl<'a> Reading<'a> {
    /// `runs` are ordered by `seq`, each with its slot.
    fn of(spans: &'a [EvidenceSpan], runs: &[(EvidenceRun, i64)], since: Timestamp) -> Option<Self> {
        let mut newest: Option<(EvidenceRun, i64, &EvidenceSpan)> = None;
        let mut slots = BTreeSet::new();
        for span in spans {
            let first = runs.partition_point(|(run, _)| run.seq < span.from);
            let within = runs.iter().skip(first).take_while(|(run, _)| run.seq <= span.to);
            for (run, slot) in within.filter(|(run, _)| run.started > since) {
                if counts(run, span) {
                    slots.insert(*slot);
                }
                if newest.is_none_or(|(best, ..)| (best.started, best.run) < (run.started, run.run)) {
                    newest = Some((*run, *slot, span));
                }
            }
        }
        let (run, slot, span) = newest?;
        if counts(&run, span) {
            slots.remove(&slot);
        }
        Some(Self { run, slot, span, counted: slots.len() as u64 })
    }
}

/// Whether a run counts for `minAudits`: by the daemon, complete, without errors.
fn counts(run: &EvidenceRun, span: &EvidenceSpan) -> bool {
    run.by_daemon && incomplete(span.complete, span.errors).is_none()
}

fn incomplete(complete: bool, errors: u64) -> Option<String> {
    match (complete, errors) {
        (true, 0) => None,
        (_, 0) => Some("not everything was evaluated (see the ledger)".to_owned()),
        (_, 1) => Some("1 evaluation failed".to_owned()),
        (_, errors) => Some(format!("{errors} evaluations failed")),
    }
}

fn violating(subject: Subject) -> ViolatingSubject {
    let is_namespace = subject.group.is_empty() && subject.kind == "Namespace";
    let namespace = if is_namespace { subject.name.clone() } else { subject.namespace.clone() };
    ViolatingSubject { subject, namespace }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use portcullis_core::identity::{ConstraintId, PolicyHash};

    use super::Reading;
    use crate::edge::store::{EvidenceRun, EvidenceSpan, RunId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(number: i64, by_daemon: bool) -> (EvidenceRun, i64) {
        let (started, finished) = (at(number * 10), at(number * 10 + 1));
        (EvidenceRun { run: RunId(number), seq: number, started, finished, by_daemon }, number / 2)
    }

    fn span(from: i64, to: i64, complete: bool) -> EvidenceSpan {
        EvidenceSpan {
            constraint: ConstraintId::new("K", "c"),
            slot: "current".to_owned(),
            hash: PolicyHash::new("v1:a"),
            stage: "dryrun".to_owned(),
            complete,
            errors: 0,
            subjects_hash: format!("subjects of {from}"),
            from,
            to,
        }
    }

    #[test]
    fn the_newest_run_stands_out_and_the_slots_of_the_others_are_counted() {
        let runs: Vec<_> = (1..=9).map(|number| run(number, number != 5)).collect();
        // Runs 2 to 8 in the slots 1 1 2 2 3 3 4, of which 5 is a person's and 6 and 7 are incomplete.
        let spans = [span(2, 5, true), span(6, 7, false), span(8, 8, true)];
        let of = |spans: &[EvidenceSpan], since| {
            Reading::of(spans, &runs, at(since))
                .map(|reading| (reading.run.run.0, reading.counted, reading.span.subjects_hash.clone()))
        };
        assert_eq!(of(&spans, 0), Some((8, 2, "subjects of 8".to_owned())));
        assert_eq!(of(&spans, 40), Some((8, 0, "subjects of 8".to_owned())));
        assert_eq!(of(&spans[..2], 0), Some((7, 2, "subjects of 6".to_owned())));
        assert_eq!(of(&spans[..1], 0), Some((5, 2, "subjects of 2".to_owned())));
        assert_eq!(of(&spans, 80), None);
        assert_eq!(of(&[], 0), None);
    }
}
