//! Verdicts that were compared with OPA once.

use std::time::Duration;

use serde_json::{Value, json};

use super::{compiled, evaluate, template};
use crate::policy::compile;

const LIMIT: Duration = Duration::from_secs(20);

/// Each case was run by OPA: its `outcome`, where it differs from OPA's (`opa`) is always a refusal.
#[test]
fn means_what_opa_means() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../fixtures/semantics.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let modules: Vec<&str> =
            case["modules"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
        let version = if case["v1"] == json!(true) { "v1" } else { "v0" };
        let outcome = match compile(&template(&modules, version)) {
            Err(_) => json!({"refused": true}),
            Ok(compiled) => match evaluate(&compiled, &case["review"], &json!({}), LIMIT) {
                Err(_) => json!({"fails": true}),
                Ok(violations) => match violations.first() {
                    None => json!({"undefined": true}),
                    Some(violation) => json!({"value": violation.details["v"]}),
                },
            },
        };
        if outcome != case["outcome"] {
            wrong.push(format!("{}\n  expected {}\n  found    {outcome}", modules[0], case["outcome"]));
        }
    }
    assert!(cases.len() > 600);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

macro_rules! policies {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../../fixtures/policies/", $name, ".rego")))),*]
    };
}

/// Policies of the kinds that clusters have, with the violations Gatekeeper's engine reports.
#[test]
fn judges_common_policies_as_gatekeeper_does() {
    let exempt = include_str!("../../../fixtures/policies/privileged.lib.rego");
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../fixtures/policies/cases.json")).unwrap();
    let mut judged = 0;
    for (name, rego) in policies![
        "allowed_repos",
        "block_node_port",
        "capabilities",
        "container_limits",
        "disallowed_tags",
        "host_namespaces",
        "https_only",
        "image_digests",
        "privileged",
        "read_only_root",
        "replica_limits",
        "required_labels",
        "seccomp",
        "users"
    ] {
        let modules: &[&str] = if name == "privileged" { &[rego, exempt] } else { &[rego] };
        let version = if name == "disallowed_tags" { "v1" } else { "v0" };
        let compiled =
            compile(&template(modules, version)).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        assert!(compiled.auditability.is_auditable(), "{name}: {:?}", compiled.auditability);
        for case in cases.iter().filter(|case| case["policy"] == json!(name)) {
            let violations = evaluate(&compiled, &case["review"], &case["parameters"], LIMIT).unwrap();
            let violations: Vec<Value> =
                violations.into_iter().map(|v| json!({"msg": v.message, "details": v.details})).collect();
            assert_eq!(json!(violations), case["violations"], "{name}: {case}");
            judged += 1;
        }
    }
    assert_eq!(judged, cases.len());
}

#[test]
fn reads_violations_as_gatekeeper_does() {
    let judge = |rego: &str| {
        evaluate(&compiled(rego).unwrap(), &json!({}), &json!({}), LIMIT)
            .map(|violations| violations.into_iter().map(|v| (v.message, v.details)).collect::<Vec<_>>())
    };
    assert_eq!(
        judge(
            "package p\nviolation[{\"msg\": \"b\"}] { true }\nviolation[{\"msg\": \"a\", \"details\": [1]}] { true }"
        ),
        Ok(vec![("a".to_owned(), json!([1])), ("b".to_owned(), json!({}))])
    );
    assert_eq!(judge("package p\nviolation[x] { x := {\"no\": 1} }"), Ok(Vec::new()));
    let error = judge("package p\nviolation[{\"msg\": m}] { m := 5 }").unwrap_err();
    assert_eq!(error.message, "expected a text as msg of a violation, found 5");
    assert_eq!(
        judge("package p\nviolation = {{\"msg\": \"x\"}} { true }"),
        Ok(vec![("x".to_owned(), json!({}))])
    );
}

#[test]
fn tells_the_runs_own_time() {
    let compiled =
        compiled("package p\nviolation[{\"msg\": msg}] { msg := sprintf(\"%d\", [time.now_ns()]) }").unwrap();
    let mut evaluator = compiled.evaluator(&super::EvaluationLimits::default());
    let empty = regorus::Value::new_object();
    for nanoseconds in [1_234_567_890_i128, 42] {
        let now = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap();
        let violations = evaluator.evaluate(&empty, &empty, now).unwrap();
        assert_eq!(violations[0].message, nanoseconds.to_string());
    }
}

#[test]
fn one_template_serves_many_workers() {
    let compiled = compiled("package p\nviolation[{\"msg\": m}] { m := upper(input.review.name) }").unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let compiled = &compiled;
            scope.spawn(move || {
                for turn in 0..20 {
                    let review = json!({"name": format!("w{worker}-{turn}")});
                    let violations = evaluate(compiled, &review, &json!({}), LIMIT).unwrap();
                    assert_eq!(violations[0].message, format!("W{worker}-{turn}"));
                }
            });
        }
    });
}
