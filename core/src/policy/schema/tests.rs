use serde_json::{Value, json};

use super::ParameterSchema;
use crate::policy::TemplateSpec;

fn template(schema: Option<Value>, legacy_schema: bool) -> TemplateSpec {
    TemplateSpec {
        name: "tee".to_owned(),
        kind: "Tee".to_owned(),
        rego: None,
        cel: None,
        schema,
        legacy_schema,
        operations: Vec::new(),
    }
}

fn schema(schema: Value) -> ParameterSchema {
    ParameterSchema::new(&template(Some(schema), false)).unwrap()
}

fn labels() -> ParameterSchema {
    schema(json!({
        "type": "object",
        "required": ["labels"],
        "properties": {
            "message": {"type": "string", "nullable": true},
            "action": {"type": "string", "enum": ["add", "drop"], "default": "add"},
            "most": {"type": "integer", "minimum": 1, "maximum": 5, "exclusiveMaximum": true},
            "port": {"x-kubernetes-int-or-string": true},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "labels": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"key": {"type": "string"}, "regex": {"type": "string", "default": ".*"}},
                },
            },
        },
    }))
}

#[test]
fn finds_what_does_not_fit() {
    for (parameters, expected) in [
        (json!({"labels": []}), vec![]),
        (
            json!({"labels": [{"key": "a"}], "message": null, "port": 5, "any": {"x": {"y": 1}}, "map": {"a": 1}}),
            vec![],
        ),
        (json!({"labels": [], "port": "http"}), vec![]),
        (json!({}), vec![("", "the required field `labels` is missing")]),
        (json!({"labels": "a"}), vec![("/labels", "expected a list, found a string \"a\"")]),
        (json!({"labels": [{"key": 5}]}), vec![("/labels/0/key", "expected a string, found a number 5")]),
        (
            json!({"labels": [], "action": "Add"}),
            vec![("/action", "expected one of \"add\", \"drop\", found \"Add\"")],
        ),
        (json!({"labels": [], "most": 0}), vec![("/most", "expected at least 1, found 0")]),
        (json!({"labels": [], "most": 5}), vec![("/most", "5 is greater than or equal to the maximum of 5")]),
        (json!({"labels": [], "most": 1.5}), vec![("/most", "expected a whole number, found a number 1.5")]),
        (
            json!({"labels": [], "port": true}),
            vec![("/port", "expected a whole number or a string, found a boolean true")],
        ),
        (
            json!({"labels": [], "map": {"a": "b"}}),
            vec![("/map/a", "expected a whole number, found a string \"b\"")],
        ),
        (
            json!({"labels": [], "labls": []}),
            vec![("/labls", "parameter `labls` is not in the schema of Tee")],
        ),
        (
            json!({"labels": [{"keey": "a"}]}),
            vec![("/labels/0/keey", "parameter `keey` is not in the schema of Tee")],
        ),
    ] {
        let found = labels().check(&parameters);
        let found: Vec<(&str, &str)> =
            found.iter().map(|m| (m.pointer.as_str(), m.message.as_str())).collect();
        assert_eq!(found, expected, "{parameters}");
    }
    assert_eq!(
        labels().check(&json!({"labels": [], "labls": []}))[0].hint.as_deref(),
        Some("did you mean `labels`?")
    );
    // The API server does not ask for what is required where there are no parameters at all.
    assert_eq!(labels().check(&Value::Null), []);
}

#[test]
fn defaults_and_prunes_as_the_api_server_does() {
    for (parameters, expected) in [
        (Value::Null, json!({})),
        (json!({}), json!({"action": "add"})),
        (json!({"action": null, "message": null, "most": null}), json!({"action": "add", "message": null})),
        (
            json!({"labels": [{"key": "a", "x": 1}, {"regex": "b"}], "y": 1}),
            json!({"action": "add", "labels": [{"key": "a", "regex": ".*"}, {"regex": "b"}]}),
        ),
        (
            json!({"any": {"x": {"y": 1}}, "map": {"a": 1}}),
            json!({"action": "add", "any": {"x": {"y": 1}}, "map": {"a": 1}}),
        ),
    ] {
        assert_eq!(labels().default_and_prune(&parameters), expected, "{parameters}");
    }
    let with_default = schema(
        json!({"type": "object", "default": {}, "properties": {"a": {"type": "integer", "default": 3}}}),
    );
    assert_eq!(with_default.default_and_prune(&Value::Null), json!({"a": 3}));
    let nested = schema(json!({
        "type": "object",
        "properties": {"open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"closed": {"type": "object", "properties": {"a": {"type": "string"}}}}}},
    }));
    assert_eq!(
        nested.default_and_prune(&json!({"open": {"x": 1, "closed": {"a": "b", "c": "d"}}})),
        json!({"open": {"x": 1, "closed": {"a": "b"}}})
    );
}

#[test]
fn knows_templates_without_a_schema() {
    let none = ParameterSchema::new(&template(None, false)).unwrap();
    assert_eq!(none.check(&json!({})), []);
    assert_eq!(none.check(&json!({"a": 1}))[0].message, "Tee takes no parameters, found a mapping");
    assert_eq!(none.default_and_prune(&json!({"a": 1})), json!({}));
    let legacy = ParameterSchema::new(&template(None, true)).unwrap();
    assert_eq!(legacy.check(&json!({"a": 1})), []);
    assert_eq!(legacy.default_and_prune(&json!({"a": {"b": 1}})), json!({"a": {"b": 1}}));
    let untyped = json!({"properties": {"a": {"type": "integer", "default": 3}, "b": {"properties": {"c": {"default": "d", "type": "string"}}}}});
    let legacy = ParameterSchema::new(&template(Some(untyped.clone()), true)).unwrap();
    assert_eq!(legacy.default_and_prune(&json!({"z": 1, "b": {}})), json!({"a": 3, "b": {"c": "d"}, "z": 1}));
    let error = ParameterSchema::new(&template(Some(untyped), false)).unwrap_err();
    assert_eq!(error.pointer, "/spec/crd/spec/validation/openAPIV3Schema");
}

#[test]
fn refuses_what_the_api_server_refuses() {
    for (broken, place) in [
        (json!({"type": "objekt"}), "/type"),
        (json!({"type": "object", "properties": {"a": {}}}), "/properties/a"),
        (json!({"type": "array"}), ""),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            "/additionalProperties",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/x", "type": "string"}}}),
            "/properties/a/$ref",
        ),
        (json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}), "/uniqueItems"),
        (json!({"type": "string", "pattern": "("}), "/pattern"),
    ] {
        let error = ParameterSchema::new(&template(Some(broken.clone()), false)).unwrap_err();
        assert_eq!(
            error.pointer,
            format!("/spec/crd/spec/validation/openAPIV3Schema{place}"),
            "{broken}: {error}"
        );
    }
}
