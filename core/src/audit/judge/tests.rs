use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use regorus::Value;
use serde_json::{Value as Json, json};

use super::{Judge, JudgeOptions};
use crate::{
    audit::{Class, Finding, Ledger, LedgerRow, Object, Placement, Policy, PolicySet, Surroundings},
    identity::{ConstraintId, Stage},
    policy::{CompiledTemplate, ConstraintSpec, EvaluationLimits, Target, TemplateSpec, compile},
    scope::{Exemption, Exemptions, Glob, Semantics},
};

const LABELS: &str = r#"package labels
violation[{"msg": msg, "details": {"missing": label}}] {
    label := input.parameters.labels[_]
    not input.review.object.metadata.labels[label]
    msg := sprintf("%v has no label %v", [input.review.name, label])
}"#;

fn template(kind: &str, rego: &str) -> Arc<CompiledTemplate> {
    let spec = TemplateSpec::from_json(&json!({
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {
            "crd": {"spec": {"names": {"kind": kind}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}],
        },
    }))
    .unwrap();
    Arc::new(compile(&spec).unwrap())
}

fn policy(template: &Arc<CompiledTemplate>, name: &str, matching: Json, parameters: &Json) -> Policy {
    let constraint = ConstraintSpec {
        id: ConstraintId::new(template.spec.kind.clone(), name),
        match_spec: matching,
        parameters: Json::Null,
        target: Target::Plain(Stage::Deny),
        annotations: [("portcullis.dev/severity".to_owned(), "high".to_owned())].into(),
        labels: [].into(),
    };
    Policy::new(Arc::clone(template), &constraint, parameters, "deny")
}

fn pods() -> Json {
    json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]})
}

fn pod(namespace: &str, name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}})
}

fn namespace(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": "a"}}})
}

fn judged(set: PolicySet, objects: &[Json], semantics: Semantics) -> (Vec<Finding>, Ledger) {
    let mut surroundings = Surroundings::new(semantics);
    for object in objects {
        surroundings.note(&Value::from(object.clone()), "default");
    }
    let surroundings = Arc::new(surroundings);
    let limits = EvaluationLimits { timeout: std::time::Duration::from_secs(5) };
    let mut judge = Judge::new(Arc::new(set), Arc::clone(&surroundings), JudgeOptions { semantics, limits });
    let mut findings = Vec::new();
    for json in objects {
        let placement = Placement { semantics, default_namespace: "default", surroundings: &surroundings };
        let object = Object::new(Value::from(json.clone()), "f.yaml:1".to_owned(), &placement).unwrap();
        findings.extend(judge.judge(&object, Timestamp::UNIX_EPOCH));
    }
    (findings, judge.into_ledger())
}

fn set(policies: Vec<Policy>) -> PolicySet {
    PolicySet::new(policies, Exemptions::default())
}

fn row<'a>(rows: &'a [LedgerRow], name: &str, kind: &str) -> &'a LedgerRow {
    rows.iter().find(|row| row.constraint.name == name && row.kind == kind).unwrap()
}

#[test]
fn a_violation_becomes_a_finding_and_counts_in_the_ledger() {
    let template = template("Labels", LABELS);
    let parameters = json!({"labels": ["owner", "team"]});
    let (findings, ledger) = judged(
        set(vec![policy(&template, "all", pods(), &parameters)]),
        &[pod("shop", "web"), namespace("shop")],
        Semantics::Cluster,
    );
    assert_eq!(findings.len(), 2);
    let finding = &findings[0];
    assert_eq!(finding.message, "web has no label owner");
    assert_eq!(finding.details, json!({"missing": "owner"}));
    assert_eq!((finding.class, finding.severity.as_str()), (Class::Violation, "high"));
    assert_eq!(finding.subject.to_string(), "Pod shop/web");
    assert_eq!(finding.source, "f.yaml:1");
    let rows = ledger.rows();
    assert_eq!(rows.len(), 1);
    let row = row(&rows, "all", "Pod");
    assert_eq!((row.evaluated, row.violated, row.exempt, row.errors), (1, 1, 0, 0));
    assert!(ledger.complete());
}

#[test]
fn the_review_is_what_gatekeeper_passes() {
    let template = template("Show", "package show\nviolation[{\"msg\": msg}] { msg := json.marshal(input) }");
    // Code that takes the request as a whole is not audited; here it is what shows the request.
    let mut open = (*template).clone();
    open.auditability = crate::policy::Auditability::Auditable;
    let template = Arc::new(open);
    let shown = |semantics, object: Json| {
        let all = vec![policy(&template, "all", json!({"kinds": [{"kinds": ["Pod", "Node"]}]}), &Json::Null)];
        let (findings, _) = judged(set(all), &[namespace("shop"), object], semantics);
        serde_json::from_str::<Json>(&findings[0].message).unwrap()
    };
    let review = |namespace_object: Json| {
        json!({"parameters": {}, "review": {
            "uid": "", "operation": "", "userInfo": {}, "oldObject": null, "options": null,
            "resource": {"group": "", "version": "", "resource": ""},
            "kind": {"group": "", "version": "v1", "kind": "Pod"}, "name": "web", "namespace": "shop",
            "object": pod("shop", "web"), "namespaceObject": namespace_object,
        }})
    };
    assert_eq!(shown(Semantics::Gator, pod("shop", "web")), review(json!({})));
    let labels = json!({"team": "a", "kubernetes.io/metadata.name": "shop"});
    assert_eq!(
        shown(Semantics::Cluster, pod("shop", "web")),
        review(json!({"metadata": {"name": "shop", "labels": labels}, "spec": {}, "status": {}}))
    );
    let node =
        shown(Semantics::Cluster, json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}));
    assert_eq!(node["review"]["namespaceObject"], json!({}));
    assert_eq!(node["review"].get("namespace"), None);
}

#[test]
fn an_unknown_namespace_is_an_error_where_its_labels_decide() {
    let template = template("Labels", LABELS);
    let matching = json!({"namespaceSelector": {"matchLabels": {"team": "a"}}});
    let policies = || set(vec![policy(&template, "all", matching.clone(), &json!({"labels": ["owner"]}))]);
    let objects = [pod("shop", "web"), pod("nowhere", "lost"), namespace("shop")];
    let (findings, ledger) = judged(policies(), &objects, Semantics::Cluster);
    let errors: Vec<_> = findings.iter().filter(|f| f.class == Class::Error).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].object.name, "lost");
    assert!(errors[0].message.contains("`nowhere` is unknown"), "{}", errors[0].message);
    let rows = ledger.rows();
    assert_eq!((row(&rows, "all", "Pod").evaluated, row(&rows, "all", "Pod").errors), (1, 1));
    assert!(!ledger.complete_for(&ConstraintId::new("Labels", "all")));

    let (findings, _) = judged(policies(), &objects, Semantics::Gator);
    assert!(findings.iter().all(|f| f.class == Class::Violation));
    assert_eq!(findings.iter().filter(|f| f.object.name == "lost").count(), 1);
}

#[test]
fn a_policy_that_looks_at_an_unknown_namespace_has_no_verdict() {
    let rego = "package ns\nviolation[{\"msg\": \"no team\"}] { not input.review.namespaceObject.metadata.labels.team }";
    let policies = set(vec![policy(&template("Ns", rego), "all", pods(), &Json::Null)]);
    let objects = [pod("shop", "web"), pod("nowhere", "lost"), namespace("shop")];
    let (findings, ledger) = judged(policies, &objects, Semantics::Cluster);
    assert_eq!(
        findings.iter().map(|f| (f.class, f.object.name.as_str())).collect::<Vec<_>>(),
        [(Class::Error, "lost")]
    );
    assert!(!ledger.complete());
}

#[test]
fn what_is_not_auditable_yet_is_a_hole_and_never_a_verdict() {
    let rego = "package op\nviolation[{\"msg\": \"no\"}] { input.review.operation == \"\" }";
    let policies = set(vec![policy(&template("Op", rego), "all", pods(), &Json::Null)]);
    let (findings, ledger) =
        judged(policies, &[pod("a", "x"), pod("a", "y"), namespace("a")], Semantics::Cluster);
    assert_eq!(findings, []);
    let rows = ledger.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].evaluated, rows[0].holes[0].count), (0, 2));
    assert!(rows[0].holes[0].reason.contains("asks for the operation"), "{}", rows[0].holes[0].reason);
}

#[test]
fn exempt_objects_are_judged_and_shown_as_exempt() {
    let template = template("Labels", LABELS);
    let exemption = Exemption {
        name: "system".to_owned(),
        constraints: vec![(Glob::new("Labels"), Glob::new("*"))],
        namespaces: vec![Glob::new("kube-*")],
        from: None,
        expires: None,
        timezone: TimeZone::UTC,
    };
    let exemptions = Exemptions::at([exemption], Timestamp::UNIX_EPOCH);
    let all = policy(&template, "all", json!({}), &json!({"labels": ["owner"]}));
    let (findings, ledger) = judged(
        PolicySet::new(vec![all], exemptions),
        &[pod("kube-system", "a"), pod("shop", "b"), namespace("kube-system")],
        Semantics::Cluster,
    );
    let shown: Vec<_> = findings.iter().map(|f| (f.object.name.as_str(), f.exempt_by.as_str())).collect();
    assert_eq!(shown, [("a", "system"), ("b", ""), ("kube-system", "system")]);
    let rows = ledger.rows();
    assert_eq!((row(&rows, "all", "Pod").violated, row(&rows, "all", "Pod").exempt), (1, 1));
    assert_eq!((row(&rows, "all", "Namespace").violated, row(&rows, "all", "Namespace").exempt), (0, 1));
}

#[test]
fn secrets_and_excluded_kinds_are_judged_only_where_they_are_named() {
    let template = template("Labels", LABELS);
    let parameters = json!({"labels": ["owner"]});
    let named = json!({"kinds": [{"apiGroups": [""], "kinds": ["Secret"]}]});
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "a"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}});
    let policies = || {
        set(vec![
            policy(&template, "every", json!({}), &parameters),
            policy(&template, "secrets", named.clone(), &parameters),
        ])
        .exclude_kinds(["Event".to_owned()])
    };
    let objects = [event, secret, pod("a", "p")];
    let (findings, _) = judged(policies(), &objects, Semantics::Cluster);
    let shown: Vec<_> =
        findings.iter().map(|f| (f.constraint.name.as_str(), f.object.name.as_str())).collect();
    assert_eq!(shown, [("secrets", "s"), ("every", "p")]);
    assert_eq!(findings[0].details, Json::Null);
    assert_eq!(findings[1].details, json!({"missing": "owner"}));
    assert_eq!(judged(policies(), &objects, Semantics::Gator).0.len(), 4);
}

#[test]
fn an_evaluation_that_fails_is_an_error_and_a_hole() {
    let rego =
        "package bad\nf(x) = y { y := x }\nf(x) = y { y := [x] }\nviolation[{\"msg\": \"no\"}] { f(1) == 2 }";
    let policies = set(vec![policy(&template("Bad", rego), "all", pods(), &Json::Null)]);
    let (findings, ledger) = judged(policies, &[pod("a", "x")], Semantics::Cluster);
    assert_eq!(findings.iter().map(|f| f.class).collect::<Vec<_>>(), [Class::Error]);
    let rows = ledger.rows();
    assert_eq!((rows[0].evaluated, rows[0].violated, rows[0].errors, rows[0].holes[0].count), (0, 0, 1, 1));
}

#[test]
fn an_endless_evaluation_is_given_up_and_not_tried_for_ever() {
    let rego = "package slow\nviolation[{\"msg\": \"no\"}] { x := numbers.range(1, 100000)[_]; y := numbers.range(1, 100000)[_]; x + y < 0 }";
    let slow = policy(&template("Slow", rego), "all", pods(), &Json::Null);
    let surroundings = Arc::new(Surroundings::new(Semantics::Cluster));
    let options = JudgeOptions {
        semantics: Semantics::Cluster,
        limits: EvaluationLimits { timeout: std::time::Duration::from_millis(20) },
    };
    let mut judge = Judge::new(Arc::new(set(vec![slow])), Arc::clone(&surroundings), options);
    let mut classes = Vec::new();
    for number in 0..10 {
        let placement = Placement {
            semantics: Semantics::Cluster,
            default_namespace: "default",
            surroundings: &surroundings,
        };
        let object =
            Object::new(Value::from(pod("a", &format!("p{number}"))), String::new(), &placement).unwrap();
        classes.extend(judge.judge(&object, Timestamp::UNIX_EPOCH).into_iter().map(|f| f.class));
    }
    assert_eq!(classes, [Class::Error; 3]);
    let rows = judge.into_ledger().rows();
    assert_eq!(rows[0].errors, 3);
    assert_eq!(rows[0].holes.iter().map(|hole| hole.count).sum::<u64>(), 10);
}
