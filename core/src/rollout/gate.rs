//! Gates: the evidence a promotion needs, held against the evidence there is.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    audit::Subject,
    document::Duration,
    rollout::{Evidence, Gate, GateSpec},
};

/// The bounds of a gate with every default filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateBounds {
    /// Distinct violating subjects allowed, exemptions apart.
    pub max_violations: u64,
    /// Complete, error-free audits of the daemon needed.
    pub min_audits: u64,
    /// The age the newest audit may have.
    pub max_audit_age: Duration,
}

impl GateBounds {
    /// Fills in the defaults: no violation, three audits, twice the audit interval and at least one hour.
    /// `None` where the gate is explicitly `None`.
    pub fn resolve(gate: Option<&GateSpec>, audit_interval: Duration) -> Option<Self> {
        let default_gate = Gate::default();
        let gate = match gate {
            Some(GateSpec::Word(_)) => return None,
            Some(GateSpec::Bounds(gate)) => gate,
            None => &default_gate,
        };
        let default_age =
            Duration::from_millis(audit_interval.millis().saturating_mul(2)).max(Duration::from_secs(3_600));
        Some(Self {
            max_violations: gate.max_violations.unwrap_or(0),
            min_audits: gate.min_audits.unwrap_or(3),
            max_audit_age: gate.max_audit_age.unwrap_or(default_age),
        })
    }
}

/// How the evidence stands against a gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateReading {
    /// Every bound is kept by evidence that is there, complete and fresh.
    pub met: bool,
    /// Why the evidence says neither yes nor no.
    pub inconclusive: Option<String>,
    /// More subjects violate than allowed.
    pub violated: bool,
    /// The reading in words, one part a bound.
    pub parts: Vec<String>,
    /// Distinct violating subjects of the newest run, exemptions apart.
    pub subjects: Vec<Subject>,
}

/// Holds the evidence of one hash since `since` (its acknowledgement at this stage) against the bounds.
///
/// `exempt` says whether an Exemption excuses the constraint in a namespace now.
pub fn read_gate(
    bounds: &GateBounds,
    evidence: &Evidence,
    since: Timestamp,
    now: Timestamp,
    exempt: &dyn Fn(&str) -> bool,
) -> GateReading {
    let counted = evidence.counted_since(since);
    let mut reading = GateReading::default();
    reading.parts.push(format!("{counted} of {} audits", bounds.min_audits));

    let Some(newest) = evidence.newest_since(since) else {
        reading.inconclusive = Some("no audit of this version at this stage yet".to_owned());
        reading.parts.push("inconclusive: no audit of this version at this stage yet".to_owned());
        return reading;
    };
    let subjects: BTreeSet<Subject> = newest
        .subjects
        .iter()
        .filter(|violating| !exempt(&violating.namespace))
        .map(|violating| violating.subject.clone())
        .collect();
    reading.subjects = subjects.into_iter().collect();
    let count = reading.subjects.len() as u64;

    let age = now.as_millisecond() - newest.finished.as_millisecond();
    let inconclusive = if let Some(why) = &newest.incomplete {
        Some(format!("audit #{} is incomplete: {why}", newest.run))
    } else if age < 0 {
        Some(format!("audit #{} lies in the future: the clock went backwards", newest.run))
    } else if age > bounds.max_audit_age.millis() {
        Some(format!(
            "the newest audit is {} old, {} allowed",
            Duration::from_millis(age),
            bounds.max_audit_age
        ))
    } else {
        None
    };
    reading.violated = count > bounds.max_violations;
    if let Some(why) = inconclusive {
        reading.parts.push(format!("inconclusive: {why}"));
        reading.inconclusive = Some(why);
    }
    reading.parts.push(violating(&reading.subjects, bounds.max_violations));
    reading.met = reading.inconclusive.is_none() && counted >= bounds.min_audits && !reading.violated;
    reading
}

/// `2 subjects violate, 0 allowed: Deployment shop/cart, Pod shop/debug`; the first five, then a count.
fn violating(subjects: &[Subject], allowed: u64) -> String {
    let count = subjects.len();
    let noun = if count == 1 { "subject violates" } else { "subjects violate" };
    let mut text = format!("{count} {noun}");
    if count as u64 > allowed || allowed > 0 {
        text.push_str(&format!(", {allowed} allowed"));
    }
    if count > 0 {
        let first: Vec<String> = subjects.iter().take(5).map(ToString::to_string).collect();
        text.push_str(": ");
        text.push_str(&first.join(", "));
        if count > 5 {
            text.push_str(&format!(" and {} more", count - 5));
        }
    }
    text
}
