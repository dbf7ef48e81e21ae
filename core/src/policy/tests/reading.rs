//! Templates and constraints read from JSON.

use serde_json::{Value, json};

use crate::{
    identity::Stage,
    policy::{ConstraintSpec, RegoVersion, Target, TemplateSpec},
};

fn document() -> Value {
    json!({
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": "tee"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "Tee"}}},
            "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "rego": "package p",
                "libs": ["package lib.a"],
                "operations": ["CREATE", "*"],
            }],
        },
    })
}

#[test]
fn reads_both_forms() {
    let old = TemplateSpec::from_json(&document()).unwrap();
    let rego = old.rego.unwrap();
    assert_eq!((rego.version, rego.entry.pointer.as_str()), (RegoVersion::V0, "/spec/targets/0/rego"));
    assert_eq!(rego.libs[0].pointer, "/spec/targets/0/libs/0");
    assert_eq!((old.legacy_schema, old.operations), (false, vec!["CREATE".to_owned(), "*".to_owned()]));

    let mut new = document();
    new["apiVersion"] = json!("templates.gatekeeper.sh/v1beta1");
    new["spec"]["targets"] = json!([{
        "target": "admission.k8s.gatekeeper.sh",
        "code": [
            {"engine": "K8sNativeValidation", "source": {"validations": []}},
            {"engine": "Rego", "source": {"version": "v1", "rego": "package p", "libs": ["package lib.a"]}},
        ],
    }]);
    let new = TemplateSpec::from_json(&new).unwrap();
    let rego = new.rego.unwrap();
    assert_eq!(
        (rego.version, rego.libs[0].pointer.as_str()),
        (RegoVersion::V1, "/spec/targets/0/code/1/source/libs/0")
    );
    assert_eq!((new.legacy_schema, new.cel), (true, Some(json!({"validations": []}))));
}

#[test]
fn says_where_a_template_is_wrong() {
    for (pointer, value, place) in [
        ("/apiVersion", json!("v1"), "/apiVersion"),
        ("/kind", json!("Pod"), "/kind"),
        ("/metadata/name", json!("other"), "/metadata/name"),
        ("/metadata", json!([]), "/metadata"),
        ("/spec/crd/spec/names/kind", json!(5), "/spec/crd/spec/names/kind"),
        ("/spec/targets", json!([]), "/spec"),
        ("/spec/targets", json!([{}, {}]), "/spec/targets/1"),
        ("/spec/targets/0/target", json!("x"), "/spec/targets/0/target"),
        ("/spec/targets/0/rego", json!(""), "/spec/targets/0/libs"),
        ("/spec/targets/0/libs", json!(["a", 5]), "/spec/targets/0/libs/1"),
        ("/spec/targets/0/operations", json!(["create"]), "/spec/targets/0/operations/0"),
    ] {
        let mut document = document();
        *document.pointer_mut(pointer).unwrap() = value;
        let error = TemplateSpec::from_json(&document).unwrap_err();
        assert_eq!(error.pointer, place, "{error}");
    }
}

#[test]
fn reads_the_target_of_a_constraint() {
    let read = |spec: Value| {
        ConstraintSpec::from_json(&json!({
            "apiVersion": "constraints.gatekeeper.sh/v1beta1",
            "kind": "Tee",
            "metadata": {"name": "one"},
            "spec": spec,
        }))
        .map(|constraint| constraint.target)
        .map_err(|error| error.pointer)
    };
    let scoped = |action: &str, point: &str| {
        json!({
            "enforcementAction": "scoped",
            "scopedEnforcementActions": [{"action": action, "enforcementPoints": [{"name": point}]}],
        })
    };
    assert_eq!(read(json!({})), Ok(Target::Plain(Stage::Deny)));
    assert_eq!(read(json!({"enforcementAction": "warn"})), Ok(Target::Plain(Stage::Warn)));
    assert_eq!(read(json!({"enforcementAction": ""})), Err("/spec/enforcementAction".to_owned()));
    assert_eq!(read(json!({"enforcementAction": "Deny"})), Err("/spec/enforcementAction".to_owned()));
    assert_eq!(read(json!({"enforcementAction": "scoped"})), Err("/spec".to_owned()));
    assert_eq!(read(scoped("warn", "validation.gatekeeper.sh")), Ok(Target::Scoped(Some(Stage::Warn))));
    assert_eq!(read(scoped("deny", "*")), Ok(Target::Scoped(Some(Stage::Deny))));
    assert_eq!(read(scoped("deny", "audit.gatekeeper.sh")), Ok(Target::Scoped(None)));
    let wrong = "/spec/scopedEnforcementActions/0/enforcementPoints/0/name";
    assert_eq!(read(scoped("deny", "webhook")), Err(wrong.to_owned()));
    assert_eq!(read(json!({"parameters": []})), Err("/spec/parameters".to_owned()));
}
