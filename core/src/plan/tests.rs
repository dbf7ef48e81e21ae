//! The rules of the rollout on whole plans, with a folder-less cluster in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    AllowPrune, Change, Context, Desired, DesiredConstraint, DesiredTemplate, DesiredUnit, Drift, LiveObject,
    MirrorObject, ObjectKey, Observed, Phase, Plan, PruneBudget, State, plan, render,
};
use crate::{
    audit::Subject,
    document::Duration,
    identity::{ConstraintId, PolicyHash, Revision, Stage},
    policy::{ConstraintSpec, TemplateSpec},
    rollout::{AuditEvidence, Evidence, RolloutSpec, Strategy, ViolatingSubject, Waiting},
};

const HOUR: i64 = 3_600_000;

/// A repository, a cluster and a store in memory.
struct World {
    desired: Desired,
    observed: Observed,
    evidence: BTreeMap<(ConstraintId, PolicyHash), Vec<AuditEvidence>>,
    exempt: BTreeSet<(String, String)>,
    now: i64,
    version: u64,
    allow: Option<AllowPrune>,
}

fn template(kind: &str, body: &str) -> Value {
    json!({
        "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {
            "crd": {"spec": {"names": {"kind": kind}, "validation": {"openAPIV3Schema": {
                "type": "object", "properties": {"labels": {"type": "array", "items": {"type": "string"}}}}}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh",
                "rego": format!("package {}\n\nviolation[{{\"msg\": msg}}] {{\n  {body}\n  msg := \"no\"\n}}\n", kind.to_lowercase())}]
        }
    })
}

fn constraint(kind: &str, name: &str, action: &str, labels: &[&str]) -> Value {
    json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": {"name": name},
        "spec": {"enforcementAction": action, "parameters": {"labels": labels},
                 "match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}}
    })
}

fn rollout(strategy: Strategy) -> RolloutSpec {
    let mut spec: RolloutSpec = serde_json::from_value(json!({"stages": [
        {"action": "dryrun", "soak": "2h", "gate": {"minAudits": 2, "maxAuditAge": "1h"}},
        {"action": "warn", "soak": "1h", "gate": {"minAudits": 1}},
        {"action": "deny"}
    ]}))
    .unwrap();
    spec.change.strategy = strategy;
    spec
}

impl World {
    fn new() -> Self {
        let desired = Desired { revision: Some(Revision::new("a".repeat(40))), ..Desired::default() };
        Self {
            desired,
            observed: Observed::default(),
            evidence: BTreeMap::new(),
            exempt: BTreeSet::new(),
            now: 0,
            version: 0,
            allow: None,
        }
    }

    /// A commit that holds exactly these units.
    fn commit(&mut self, units: &[(&str, &str, &[Value])], strategy: Strategy) {
        self.desired.units.clear();
        for (kind, body, constraints) in units {
            let manifest = template(kind, body);
            let spec = TemplateSpec::from_json(&manifest).unwrap();
            let hash = render::hash_template(&manifest).unwrap();
            let constraints = constraints
                .iter()
                .map(|document| {
                    let spec = ConstraintSpec::from_json(document).unwrap();
                    let desired = DesiredConstraint {
                        id: spec.id.clone(),
                        manifest: document.clone(),
                        hash: render::hash_constraint(&manifest, document).unwrap(),
                        hash_in_force: None,
                        rollout: rollout(strategy),
                        capped: Vec::new(),
                        exempt: self
                            .exempt
                            .iter()
                            .filter(|(name, _)| *name == spec.id.name)
                            .map(|(_, namespace)| namespace.clone())
                            .collect(),
                        not_auditable: None,
                        spec,
                    };
                    (desired.id.name.clone(), desired)
                })
                .collect();
            self.desired.units.insert(
                (*kind).to_owned(),
                DesiredUnit {
                    kind: (*kind).to_owned(),
                    template: Some(DesiredTemplate { name: kind.to_lowercase(), manifest, spec, hash }),
                    constraints,
                    refused: None,
                },
            );
        }
    }

    fn plan(&self) -> Plan {
        let evidence = |id: &ConstraintId, hash: &PolicyHash| {
            let audits = self.evidence.get(&(id.clone(), hash.clone())).cloned().unwrap_or_default();
            Arc::new(Evidence { audits, counted: 0 })
        };
        let exempt = |id: &ConstraintId, namespace: &str| {
            self.exempt.contains(&(id.name.clone(), namespace.to_owned()))
        };
        plan(
            &self.desired,
            &self.observed,
            PruneBudget { max_objects: 5, max_percent: 25 },
            self.allow.as_ref(),
            &Context {
                instance: "platform",
                now: at(self.now),
                revision: self.desired.revision.as_ref().unwrap(),
                audit_interval: Duration::from_secs(900),
                evidence: &evidence,
                exempt: &exempt,
                correct_drift: true,
                keep_exempted: false,
            },
        )
    }

    /// Carries a plan out, as a cluster that acknowledges at once.
    fn sync(&mut self) -> Plan {
        let plan = self.plan();
        for write in &plan.writes {
            self.version += 1;
            let live = LiveObject { manifest: write.manifest.clone(), version: self.version.to_string() };
            let mut record = write.record.clone();
            record.acknowledged = record.acknowledged.or(Some(at(self.now)));
            self.observed.live.insert(write.key.clone(), live);
            self.observed
                .mirror
                .insert(write.key.clone(), MirrorObject { record, manifest: Some(write.manifest.clone()) });
        }
        if plan.prune.held.is_empty() {
            let renamed = plan.prune.renamed.iter().map(|(old, _)| ObjectKey::Constraint(old.clone()));
            for key in plan.prune.objects.iter().cloned().chain(renamed) {
                self.observed.live.remove(&key);
                self.observed.mirror.remove(&key);
            }
        }
        for key in &plan.prune.forgotten {
            self.observed.mirror.remove(key);
        }
        plan
    }

    fn audit(&mut self, violating: &[(&str, &str)], incomplete: Option<&str>) {
        self.now += 1;
        for unit in self.desired.units.values() {
            for desired in unit.constraints.values() {
                let Some(mirror) = self.observed.mirror.get(&ObjectKey::Constraint(desired.id.clone()))
                else {
                    continue;
                };
                let runs = self.evidence.entry((desired.id.clone(), mirror.record.hash.clone())).or_default();
                runs.insert(
                    0,
                    AuditEvidence {
                        run: self.now,
                        started: at(self.now),
                        finished: at(self.now),
                        by_daemon: true,
                        slot: self.now,
                        incomplete: incomplete.map(str::to_owned),
                        subjects: violating
                            .iter()
                            .map(|(namespace, name)| ViolatingSubject {
                                subject: Subject {
                                    group: String::new(),
                                    kind: "Pod".to_owned(),
                                    namespace: (*namespace).to_owned(),
                                    name: (*name).to_owned(),
                                },
                                namespace: (*namespace).to_owned(),
                            })
                            .collect(),
                    },
                );
            }
        }
    }

    fn pass(&mut self, millis: i64) {
        self.now += millis;
    }

    fn stage(&self, kind: &str, name: &str) -> Option<Stage> {
        let live = self.observed.live.get(&ObjectKey::Constraint(ConstraintId::new(kind, name)))?;
        render::live_stage(&live.manifest)
    }

    fn status(&self, kind: &str, name: &str) -> super::ConstraintStatus {
        let id = ConstraintId::new(kind, name);
        self.plan().statuses.into_iter().find(|status| status.constraint == id).unwrap()
    }

    fn annotate(&mut self, kind: &str, name: &str, key: &str, value: &str) {
        let live = self.observed.live.get_mut(&ObjectKey::Constraint(ConstraintId::new(kind, name))).unwrap();
        live.manifest["metadata"]["annotations"][key] = json!(value);
        self.version += 1;
        live.version = self.version.to_string();
    }

    /// A policy that went all the way.
    fn at_deny(strategy: Strategy) -> Self {
        let mut world = Self::new();
        world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], strategy);
        world.sync();
        for _ in 0..8 {
            world.pass(HOUR);
            world.audit(&[], None);
            world.sync();
        }
        assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
        world
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

#[test]
fn a_new_constraint_enters_at_dryrun_and_climbs_one_stage_at_a_time_on_evidence() {
    let mut world = World::new();
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    let first = world.sync();
    assert_eq!(
        first.writes.iter().map(|write| write.phase).collect::<Vec<_>>(),
        [Phase::Templates, Phase::Constraints]
    );
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Dryrun));
    assert!(world.plan().writes.is_empty(), "a second sync has nothing to do");

    world.pass(3 * HOUR);
    assert_eq!(world.status("Labels", "all").waiting, Some(Waiting::Inconclusive), "no audit, no promotion");
    world.audit(&[], None);
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Dryrun), "one audit of two");
    world.pass(HOUR / 2);
    world.audit(&[], None);
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Warn));
    world.pass(HOUR);
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Warn), "audits of the stage before do not count");
    world.audit(&[], None);
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
    assert_eq!(world.status("Labels", "all").waiting, Some(Waiting::AtTarget));
}

#[test]
fn violations_and_holes_hold_and_say_why() {
    let mut world = World::new();
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    world.sync();
    for _ in 0..3 {
        world.pass(HOUR);
        world.audit(&[("shop", "cart"), ("shop", "debug")], None);
    }
    let status = world.status("Labels", "all");
    assert_eq!(status.waiting, Some(Waiting::Violations));
    assert_eq!(
        status.next,
        "soak 3h of 2h · 3 of 2 audits · 2 subjects violate, 0 allowed: Pod shop/cart, Pod shop/debug"
    );
    world.exempt.insert(("all".to_owned(), "shop".to_owned()));
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    assert_eq!(world.status("Labels", "all").waiting, Some(Waiting::Moving), "exempt subjects are apart");
    world.exempt.clear();
    world.audit(&[], Some("1 file could not be read"));
    let status = world.status("Labels", "all");
    assert_eq!(status.waiting, Some(Waiting::Inconclusive), "{}", status.next);
    world.pass(2 * HOUR);
    world.audit(&[], None);
    world.pass(2 * HOUR);
    assert!(world.status("Labels", "all").next.contains("inconclusive: the newest audit is 2h old"));
    world.now = -HOUR;
    assert_eq!(
        world.status("Labels", "all").waiting,
        Some(Waiting::Inconclusive),
        "the clock went backwards"
    );
}

#[test]
fn a_lowered_target_acts_at_once_and_a_raised_one_climbs() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "dryrun", &["a"])])], Strategy::Shadow);
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Dryrun));
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "warn", &["a"])])], Strategy::Shadow);
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Dryrun));
    for _ in 0..5 {
        world.pass(HOUR);
        world.audit(&[], None);
        world.sync();
    }
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Warn), "the target is the ceiling");
}

#[test]
fn a_changed_policy_past_dryrun_follows_its_strategy() {
    for (body, labels) in [("1 == 1", "a"), ("true", "b")] {
        let commit = |world: &mut World, strategy| {
            world.commit(&[("Labels", body, &[constraint("Labels", "all", "deny", &[labels])])], strategy);
        };
        let mut world = World::at_deny(Strategy::Shadow);
        let old = world.observed.live.clone();
        commit(&mut world, Strategy::Shadow);
        world.sync();
        assert_eq!(world.observed.live, old, "held: nothing that is enforced changes");
        let status = world.status("Labels", "all");
        assert_eq!(status.state, State::HeldVersion);
        assert!(status.next.contains("rollout promote Labels/all --now"), "{}", status.next);
        world.annotate("Labels", "all", "portcullis.dev/promote", r#"{"reason": "urgent", "by": "mara"}"#);
        world.sync();
        assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny), "a person puts it in at the same stage");
        assert_eq!(world.status("Labels", "all").state, State::Current);
        assert!(world.plan().writes.is_empty(), "{:?}", world.plan().writes);

        let mut world = World::at_deny(Strategy::Apply);
        commit(&mut world, Strategy::Apply);
        world.sync();
        assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
        assert_eq!(world.status("Labels", "all").state, State::Current);

        let mut world = World::at_deny(Strategy::Restart);
        commit(&mut world, Strategy::Restart);
        let plan = world.sync();
        assert_eq!(world.stage("Labels", "all"), Some(Stage::Dryrun));
        let weakened_first = plan.writes.first().unwrap();
        if body == "1 == 1" {
            assert_eq!(weakened_first.phase, Phase::Weaken, "never the new template at deny");
        }
        assert!(world.plan().writes.is_empty());
    }
}

#[test]
fn what_is_deleted_or_edited_by_hand_comes_back_at_its_stage() {
    let mut world = World::at_deny(Strategy::Shadow);
    let key = ObjectKey::Constraint(ConstraintId::new("Labels", "all"));
    world.observed.live.remove(&key);
    let plan = world.sync();
    assert_eq!(plan.writes.first().unwrap().change, Change::Restore(Drift::Deleted));
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));

    world.observed.live.get_mut(&key).unwrap().manifest["spec"]["enforcementAction"] = json!("dryrun");
    world.observed.live.get_mut(&key).unwrap().manifest["spec"]["match"]["excludedNamespaces"] = json!(["*"]);
    let plan = world.sync();
    let parts = ["spec.enforcementAction", "spec.match"].map(str::to_owned).to_vec();
    assert_eq!(plan.writes.first().unwrap().change, Change::Restore(Drift::Changed(parts)));
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
    let live = &world.observed.live.get(&key).unwrap().manifest;
    assert!(live.pointer("/spec/match/excludedNamespaces").is_none());

    world.observed.live.clear();
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny), "with its template too");
    assert!(world.plan().writes.is_empty());
}

#[test]
fn a_lost_database_weakens_nothing_and_a_contradiction_is_kept_as_enforced() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.observed.mirror.clear();
    world.sync();
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
    assert_eq!(world.status("Labels", "all").waiting, Some(Waiting::AtTarget));

    world.observed.mirror.clear();
    let key = ObjectKey::Constraint(ConstraintId::new("Labels", "all"));
    world.observed.live.get_mut(&key).unwrap().manifest["spec"]["enforcementAction"] = json!("warn");
    world.sync();
    assert_eq!(world.status("Labels", "all").state, State::Unknown);
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Warn), "kept exactly as enforced");
}

#[test]
fn a_rename_inherits_stage_and_soak_and_the_old_name_goes() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.commit(&[("Labels", "true", &[constraint("Labels", "renamed", "deny", &["a"])])], Strategy::Shadow);
    let plan = world.sync();
    assert_eq!(plan.prune.held, Vec::<String>::new());
    assert_eq!((world.stage("Labels", "renamed"), world.stage("Labels", "all")), (Some(Stage::Deny), None));
}

#[test]
fn removals_keep_to_the_budget_and_a_person_can_allow_this_very_plan() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.commit(&[], Strategy::Shadow);
    let plan = world.sync();
    assert_eq!(plan.prune.held, ["every constraint of Labels at deny would go"]);
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
    world.allow = Some(AllowPrune { count: 3, revision: "aaaaaaa".to_owned() });
    assert_eq!(world.sync().prune.held.len(), 1, "another count is another plan");
    world.allow = Some(AllowPrune { count: 2, revision: "bbbbbbb".to_owned() });
    assert_eq!(world.sync().prune.held.len(), 1, "another revision is another plan");
    world.allow = Some(AllowPrune { count: 2, revision: "aaaaaaa".to_owned() });
    world.sync();
    assert!(world.observed.live.is_empty());
}

#[test]
fn nothing_is_pruned_while_anything_is_refused_and_a_refused_unit_stays() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.desired.units.get_mut("Labels").unwrap().refused = Some("PC0104".to_owned());
    world.desired.anything_refused = true;
    let before = world.observed.live.clone();
    world.sync();
    assert_eq!(world.observed.live, before);
    assert_eq!(world.status("Labels", "all").state, State::Refused);
    world.commit(&[], Strategy::Shadow);
    world.allow = Some(AllowPrune { count: 2, revision: "aaaaaaa".to_owned() });
    assert_eq!(world.sync().prune.held, ["nothing is pruned while anything in the revision is refused"]);
    assert_eq!(world.observed.live, before);
}

#[test]
fn others_objects_are_left_alone_and_never_taken_along() {
    let mut world = World::at_deny(Strategy::Shadow);
    let foreign = ObjectKey::Constraint(ConstraintId::new("Labels", "theirs"));
    let manifest = constraint("Labels", "theirs", "deny", &["z"]);
    world.observed.live.insert(foreign.clone(), LiveObject { manifest, version: "f".to_owned() });
    world.commit(
        &[(
            "Labels",
            "true",
            &[constraint("Labels", "all", "deny", &["a"]), constraint("Labels", "theirs", "deny", &["a"])],
        )],
        Strategy::Shadow,
    );
    let before = world.observed.live.get(&foreign).cloned();
    world.sync();
    assert_eq!(world.observed.live.get(&foreign).cloned(), before);
    assert_eq!(world.status("Labels", "theirs").state, State::Foreign);
    world.commit(&[], Strategy::Shadow);
    let plan = world.plan();
    assert!(!plan.prune.objects.iter().any(|key| key.is_template() || *key == foreign));
    assert!(plan.prune.kept.iter().any(|(key, why)| key.is_template() && why.contains("Labels/theirs")));
}

#[test]
fn people_hold_resume_and_promote_by_annotations() {
    let mut world = World::new();
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Apply);
    world.sync();
    world.annotate("Labels", "all", "portcullis.dev/hold", r#"{"reason": "release", "by": "mara"}"#);
    for _ in 0..4 {
        world.pass(HOUR);
        world.audit(&[], None);
        world.sync();
    }
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Dryrun));
    let status = world.status("Labels", "all");
    assert_eq!(status.waiting, Some(Waiting::Held));
    assert!(status.next.starts_with("held by mara: release"), "{}", status.next);
    world.annotate("Labels", "all", "portcullis.dev/resume", r#"{"by": "mara"}"#);
    world.sync();
    let key = ObjectKey::Constraint(ConstraintId::new("Labels", "all"));
    let annotations = render::annotations(&world.observed.live.get(&key).unwrap().manifest);
    assert!(
        !annotations.contains_key("portcullis.dev/hold")
            && !annotations.contains_key("portcullis.dev/resume")
    );
    let stage = world.stage("Labels", "all");
    world.annotate("Labels", "all", "portcullis.dev/promote", r#"{"by": "mara", "reason": "zero-day"}"#);
    let plan = world.sync();
    assert!(world.stage("Labels", "all") > stage);
    assert_eq!(plan.writes.first().unwrap().by.as_ref().unwrap().by, "mara");
    assert!(
        !render::annotations(&world.observed.live.get(&key).unwrap().manifest)
            .contains_key("portcullis.dev/promote")
    );
}

#[test]
fn exemptions_are_composed_into_the_match_and_change_no_hash() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.exempt.insert(("all".to_owned(), "kube-system".to_owned()));
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    let plan = world.sync();
    assert_eq!(plan.writes.first().unwrap().change, Change::Exemptions);
    let key = ObjectKey::Constraint(ConstraintId::new("Labels", "all"));
    let live = &world.observed.live.get(&key).unwrap().manifest;
    assert_eq!(live.pointer("/spec/match/excludedNamespaces"), Some(&json!(["kube-system"])));
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
    world.observed.mirror.clear();
    world.sync();
    assert_eq!(world.status("Labels", "all").state, State::Current, "recomputed without the exemption");
    world.exempt.clear();
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    world.sync();
    let live = &world.observed.live.get(&key).unwrap().manifest;
    assert_eq!(live.pointer("/spec/match/excludedNamespaces"), None);
}

#[test]
fn where_the_rules_are_not_known_a_changed_policy_is_held_whatever_the_strategy() {
    for (body, labels) in [("1 == 1", "a"), ("true", "b")] {
        for strategy in [Strategy::Apply, Strategy::Restart] {
            let mut world = World::at_deny(strategy);
            let before = world.observed.live.clone();
            world.commit(&[("Labels", body, &[constraint("Labels", "all", "deny", &[labels])])], strategy);
            let unit = world.desired.units.get_mut("Labels").unwrap();
            unit.constraints.get_mut("all").unwrap().capped =
                vec!["the Rollout `strict` is broken".to_owned()];
            world.sync();
            assert_eq!(world.observed.live, before, "{strategy:?}");
            assert_eq!(world.status("Labels", "all").state, State::HeldVersion);
        }
    }
}

#[test]
fn a_hold_outlives_a_rename_and_a_deletion_by_hand() {
    let mut world = World::new();
    world.commit(&[("Labels", "true", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    world.sync();
    world.annotate("Labels", "all", "portcullis.dev/hold", r#"{"reason": "release", "by": "mara"}"#);
    let key = ObjectKey::Constraint(ConstraintId::new("Labels", "all"));
    let hold = crate::rollout::PersonIntent::read(r#"{"reason": "release", "by": "mara"}"#);
    world.observed.mirror.get_mut(&key).unwrap().record.hold = Some(hold);
    world.observed.live.remove(&key);
    for _ in 0..4 {
        world.pass(HOUR);
        world.sync();
        world.audit(&[], None);
    }
    assert_eq!(world.status("Labels", "all").waiting, Some(Waiting::Held), "restored with its hold");

    world.commit(&[("Labels", "true", &[constraint("Labels", "new", "deny", &["a"])])], Strategy::Shadow);
    for _ in 0..4 {
        world.sync();
        world.pass(HOUR);
        world.audit(&[], None);
    }
    assert_eq!(world.stage("Labels", "new"), Some(Stage::Dryrun));
    assert_eq!(world.status("Labels", "new").waiting, Some(Waiting::Held), "renamed with its hold");
}

#[test]
fn a_swap_that_was_cut_short_after_its_template_is_finished() {
    let mut world = World::at_deny(Strategy::Shadow);
    world.commit(&[("Labels", "1 == 1", &[constraint("Labels", "all", "deny", &["a"])])], Strategy::Shadow);
    world.annotate("Labels", "all", "portcullis.dev/promote", r#"{"by": "mara"}"#);
    let plan = world.plan();
    let template = plan.writes.iter().find(|write| write.key.is_template()).unwrap();
    let live = LiveObject { manifest: template.manifest.clone(), version: "new".to_owned() };
    let mirror = MirrorObject { record: template.record.clone(), manifest: Some(template.manifest.clone()) };
    world.observed.live.insert(template.key.clone(), live);
    world.observed.mirror.insert(template.key.clone(), mirror);
    let key = ObjectKey::Constraint(ConstraintId::new("Labels", "all"));
    let annotations =
        world.observed.live.get_mut(&key).unwrap().manifest.pointer_mut("/metadata/annotations");
    annotations.unwrap().as_object_mut().unwrap().remove("portcullis.dev/promote");
    world.sync();
    assert_eq!(world.status("Labels", "all").state, State::Current, "the new template judges it already");
    assert_eq!(world.stage("Labels", "all"), Some(Stage::Deny));
}
