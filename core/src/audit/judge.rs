//! One object against every constraint that is about it.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{
    Class, Finding, HoleClass, Ledger, Object, PolicySet, Surroundings, fingerprint, policy_set::Policy,
};
use crate::{
    policy::{EvaluationLimits, Evaluator, Violation},
    scope::{Outcome, Semantics},
};

/// A template that ran out of time this often in one worker is not asked again.
const MAX_TIMEOUTS: u32 = 3;

/// How objects are judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct JudgeOptions {
    /// Whose reading counts.
    pub semantics: Semantics,
    /// Bounds of one evaluation.
    pub limits: EvaluationLimits,
}

/// One worker's judge: its own engines, its own ledger.
pub struct Judge {
    set: Arc<PolicySet>,
    surroundings: Arc<Surroundings>,
    options: JudgeOptions,
    /// By template.
    evaluators: Vec<Option<Evaluator>>,
    /// By template: how often it ran out of time.
    timeouts: Vec<u32>,
    /// The policies that may be about a group and kind.
    candidates: HashMap<(String, String), Arc<[usize]>>,
    ledger: Ledger,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("options", &self.options)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// Why there is no verdict.
struct Failure {
    /// For the finding.
    message: String,
    /// For the ledger: the same for like failures.
    reason: &'static str,
}

enum Verdict {
    Violations(Vec<Violation>),
    Failed(Failure),
    /// The template ran out of time too often before.
    GivenUp,
}

impl Judge {
    /// A judge with an empty ledger.
    pub fn new(set: Arc<PolicySet>, surroundings: Arc<Surroundings>, options: JudgeOptions) -> Self {
        let templates = set.template_count();
        Self {
            set,
            surroundings,
            options,
            evaluators: std::iter::repeat_with(|| None).take(templates).collect(),
            timeouts: vec![0; templates],
            candidates: HashMap::new(),
            ledger: Ledger::default(),
        }
    }

    /// Everything the policies say about an object; `now` is the time that policies see.
    pub fn judge(&mut self, object: &Object, now: Timestamp) -> Vec<Finding> {
        let set = Arc::clone(&self.set);
        let surroundings = Arc::clone(&self.surroundings);
        let candidate = object.candidate(&surroundings);
        let mut review = None;
        let mut findings = Vec::new();
        for number in self.candidates(&object.gvk.group, &object.gvk.kind).iter() {
            let Some((policy, template)) = set.policy(*number) else { continue };
            let verdict = match policy.matching.applies(&candidate, self.options.semantics) {
                Ok(Outcome::Differs(_)) => continue,
                Ok(Outcome::Applies) => {
                    if let Some(reason) = policy.not_auditable() {
                        self.hole(policy, object, &reason);
                        continue;
                    }
                    if self.namespace_is_missing(policy, object) {
                        Verdict::Failed(Failure {
                            message: format!(
                                "the namespace `{}` is unknown, and the policy looks at it",
                                object.namespace
                            ),
                            reason: "namespace unknown",
                        })
                    } else {
                        let review = review
                            .get_or_insert_with(|| object.review(&surroundings, self.options.semantics));
                        self.evaluate(policy, template, review, now)
                    }
                }
                Err(error) => {
                    Verdict::Failed(Failure { message: error.to_string(), reason: "namespace unknown" })
                }
            };
            self.record(policy, object, verdict, &mut findings);
        }
        findings
    }

    /// Something that could not be read: it touches every constraint.
    pub fn unreadable(&mut self, reason: &str) {
        self.ledger.hole_everywhere(reason);
    }

    /// What this judge has seen.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    fn candidates(&mut self, group: &str, kind: &str) -> Arc<[usize]> {
        let key = (group.to_owned(), kind.to_owned());
        if let Some(known) = self.candidates.get(&key) {
            return Arc::clone(known);
        }
        let exclude = self.options.semantics == Semantics::Cluster;
        let numbers: Arc<[usize]> = self.set.candidates(group, kind, exclude).into();
        self.candidates.insert(key, Arc::clone(&numbers));
        numbers
    }

    fn namespace_is_missing(&self, policy: &Policy, object: &Object) -> bool {
        policy.reads_namespace
            && self.options.semantics == Semantics::Cluster
            && !object.namespace.is_empty()
            && self.surroundings.namespace_labels(&object.namespace).is_none()
    }

    fn evaluate(
        &mut self,
        policy: &Policy,
        template: usize,
        review: &regorus::Value,
        now: Timestamp,
    ) -> Verdict {
        let (Some(evaluator), Some(timeouts)) =
            (self.evaluators.get_mut(template), self.timeouts.get_mut(template))
        else {
            return Verdict::GivenUp;
        };
        if *timeouts >= MAX_TIMEOUTS {
            return Verdict::GivenUp;
        }
        let evaluator = evaluator.get_or_insert_with(|| policy.template.evaluator(&self.options.limits));
        match evaluator.evaluate(review, &policy.parameters, now) {
            Ok(violations) => Verdict::Violations(violations),
            Err(error) => {
                *timeouts += u32::from(error.timed_out);
                let reason = if error.timed_out { "evaluation ran out of time" } else { "evaluation failed" };
                Verdict::Failed(Failure { message: error.message, reason })
            }
        }
    }

    fn record(&mut self, policy: &Policy, object: &Object, verdict: Verdict, findings: &mut Vec<Finding>) {
        let (group, kind) = (object.gvk.group.as_str(), object.gvk.kind.as_str());
        let set = Arc::clone(&self.set);
        let exempt_by = set.exemptions().exempt_by(&policy.id, object.exemption_namespace());
        match verdict {
            Verdict::Violations(violations) => {
                self.ledger.evaluated(&policy.id, group, kind);
                match (violations.is_empty(), exempt_by) {
                    (true, _) => {}
                    (false, None) => self.ledger.violated(&policy.id, group, kind),
                    (false, Some(_)) => self.ledger.exempt(&policy.id, group, kind),
                }
                for Violation { message, details } in violations {
                    findings.push(self.finding(
                        policy,
                        object,
                        Class::Violation,
                        message,
                        details,
                        exempt_by,
                    ));
                }
            }
            Verdict::Failed(Failure { message, reason }) => {
                let class = match self.options.semantics {
                    Semantics::Cluster => Class::Error,
                    Semantics::Gator => Class::Violation,
                };
                // Where an exemption keeps the constraint away, its failure blocks nobody.
                if exempt_by.is_some() {
                    self.ledger.exempt(&policy.id, group, kind);
                } else {
                    self.ledger.error(&policy.id, group, kind, reason);
                }
                findings.push(self.finding(policy, object, class, message, Json::Null, exempt_by));
            }
            Verdict::GivenUp => {
                self.hole(policy, object, "not evaluated: the policy ran out of time on other objects");
            }
        }
    }

    fn hole(&mut self, policy: &Policy, object: &Object, reason: &str) {
        let (group, kind) = (object.gvk.group.as_str(), object.gvk.kind.as_str());
        self.ledger.hole(&policy.id, group, kind, HoleClass::Unknown, reason, 1);
    }

    fn finding(
        &self,
        policy: &Policy,
        object: &Object,
        class: Class,
        message: String,
        details: Json,
        exempt_by: Option<&str>,
    ) -> Finding {
        let subject = self.surroundings.subject(object);
        let fingerprint = fingerprint(&policy.id, &subject, object, &message, &details);
        let empty = details.as_object().is_some_and(serde_json::Map::is_empty);
        Finding {
            constraint: policy.id.clone(),
            enforcement_action: policy.enforcement_action.clone(),
            class,
            operation: String::new(),
            via: String::new(),
            object: object.reference(),
            subject,
            message,
            details: if object.is_secret() || empty { Json::Null } else { details },
            severity: policy.severity.clone(),
            fingerprint,
            exempt_by: exempt_by.unwrap_or_default().to_owned(),
            uncounted: object.uncounted,
            source: object.source.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
