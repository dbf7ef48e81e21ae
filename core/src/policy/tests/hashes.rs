//! The semantic hash changes with what can change a verdict, and with nothing else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::template;
use crate::policy::{ConstraintSpec, TemplateSpec, semantic_hash, template_hash};

const REGO: &str = "package p
import data.lib.a
violation[{\"msg\": msg}] {
  x := input.review.object.spec.containers[_]
  not a.f(x)
  [y] := [1]
  msg := sprintf(\"%v %d\", [x.name, y])
}";

fn base() -> TemplateSpec {
    let mut spec = template(&[REGO, "package lib.a\nf(x) { x.ok }", "package lib.b\ng = 1"], "v0");
    spec.schema = Some(json!({
        "type": "object",
        "description": "what it takes",
        "properties": {"most": {"type": "integer", "default": 3}, "names": {"type": "array", "items": {"type": "string"}}},
    }));
    spec.operations = vec!["CREATE".to_owned(), "UPDATE".to_owned()];
    spec
}

fn constraint(parameters: &Value) -> ConstraintSpec {
    ConstraintSpec::from_json(&json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": "Tee",
        "metadata": {"name": "one", "labels": {"a": "b"}},
        "spec": {"parameters": parameters},
    }))
    .unwrap()
}

type Change = fn(&mut TemplateSpec);

#[expect(clippy::needless_pass_by_value, reason = "tests write json!(…)")]
fn hash(spec: &TemplateSpec, parameters: Value) -> String {
    semantic_hash(spec, &constraint(&parameters), &json!({"kinds": []})).as_str().to_owned()
}

/// If this changes, every policy of every cluster looks changed: a new form needs a new version.
#[test]
fn the_form_is_pinned() {
    assert_eq!(
        (hash(&base(), json!({"names": ["x"]})), template_hash(&base()).as_str().to_owned()),
        (
            "v1:f2b48aacddc7373a011bcf401e523f39b9fd8f70aa111682cf2b4da825be9b56".to_owned(),
            "v1:88e1be403a404aae89b7ea784aaa708309110dc1e65f6f0790325b144eadcd2a".to_owned()
        )
    );
}

#[test]
fn nothing_else_changes_it() {
    let original = hash(&base(), json!({"names": []}));
    let same: [(&str, Change); 7] = [
        ("operations are a set", |spec| {
            spec.operations = vec!["UPDATE".into(), "CREATE".into(), "CREATE".into()];
        }),
        ("documentation", |spec| {
            spec.schema.as_mut().unwrap()["properties"]["most"]["description"] = json!("at most");
        }),
        ("an explicit false", |spec| {
            spec.schema.as_mut().unwrap()["properties"]["most"]["nullable"] = json!(false);
        }),
        ("libraries in another order", |spec| spec.rego.as_mut().unwrap().libs.reverse()),
        ("where the code stands", |spec| spec.rego.as_mut().unwrap().entry.pointer = "/elsewhere".into()),
        ("raw strings", |spec| {
            let entry = &mut spec.rego.as_mut().unwrap().entry;
            entry.text = entry.text.replace("\"%v %d\"", "`%v %d`");
        }),
        ("layout", |spec| {
            let entry = &mut spec.rego.as_mut().unwrap().entry;
            entry.text =
                entry.text.replace("[x.name, y]", "[ # both\n\t x.name,\n y ]").replace("] {", "]\n{ # go");
        }),
    ];
    for (what, change) in same {
        let mut spec = base();
        change(&mut spec);
        assert_eq!(hash(&spec, json!({"names": []})), original, "{what}");
    }
    assert_eq!(hash(&base(), json!({"most": 3, "names": []})), original, "a parameter that is the default");
    assert_eq!(hash(&base(), json!({"names": [], "nosuch": 1})), original, "a parameter that is pruned");
}

#[test]
fn what_matters_changes_it() {
    let original = hash(&base(), json!({"names": []}));
    let changes: [(&str, Change); 12] = [
        ("a token", |spec| replace(spec, "spec", "speck")),
        ("a string", |spec| replace(spec, "%v %d", "%v  %d")),
        ("a number", |spec| replace(spec, ":= [1]", ":= [2]")),
        ("a call becomes a statement", |spec| replace(spec, "  [y]", "  a.f(x)\n  [y]")),
        ("a list becomes an index", |spec| replace(spec, "not a.f(x)\n  [y]", "not a.f(x)[y]")),
        ("the version", |spec| spec.rego.as_mut().unwrap().version = super::super::RegoVersion::V1),
        ("a library", |spec| spec.rego.as_mut().unwrap().libs[1].text.push_str("\nh = 2")),
        ("a library less", |spec| drop(spec.rego.as_mut().unwrap().libs.pop())),
        ("operations", |spec| spec.operations = vec!["CREATE".into()]),
        ("a default", |spec| spec.schema.as_mut().unwrap()["properties"]["most"]["default"] = json!(4)),
        ("a type", |spec| spec.schema.as_mut().unwrap()["properties"]["most"]["type"] = json!("number")),
        ("CEL", |spec| spec.cel = Some(json!({"validations": []}))),
    ];
    for (what, change) in changes {
        let mut spec = base();
        change(&mut spec);
        assert_ne!(hash(&spec, json!({"names": []})), original, "{what}");
    }
    assert_ne!(hash(&base(), json!({"names": ["x"]})), original, "a parameter");
    assert_ne!(
        hash(&base(), json!({"most": 5, "names": []})),
        original,
        "a parameter that is not the default"
    );
    let narrower =
        semantic_hash(&base(), &constraint(&json!({"names": []})), &json!({"kinds": [{"kinds": ["Pod"]}]}));
    assert_ne!(narrower.as_str(), original, "the match");
}

fn replace(spec: &mut TemplateSpec, from: &str, to: &str) {
    let entry = &mut spec.rego.as_mut().unwrap().entry;
    assert!(entry.text.contains(from));
    entry.text = entry.text.replace(from, to);
}

proptest! {
    #[test]
    fn comments_and_blank_lines_never_change_it(
        at in prop::collection::vec((0_usize..7, "[ \t]{0,4}(# ?[a-z{}\\[\\]\"`]{0,8})?"), 0..6),
        indent in "[ \t]{0,6}",
    ) {
        let mut lines: Vec<String> = REGO.lines().map(|line| format!("{indent}{line}{indent}")).collect();
        for (index, line) in at {
            lines.insert(index.min(lines.len()), line);
        }
        let mut spec = base();
        spec.rego.as_mut().unwrap().entry.text = lines.join("\n");
        prop_assert_eq!(hash(&spec, json!({})), hash(&base(), json!({})));
    }

    #[test]
    fn another_token_always_changes_it(index in 0_usize..1000, other in "[a-z]{1,6}") {
        let tokens: Vec<&str> = REGO.split_inclusive([' ', '\n']).collect();
        let index = index % tokens.len();
        let changed: String = tokens
            .iter()
            .enumerate()
            .map(|(at, token)| if at == index { format!("{other} {token}") } else { (*token).to_owned() })
            .collect();
        let mut spec = base();
        spec.rego.as_mut().unwrap().entry.text = changed;
        prop_assert_ne!(hash(&spec, json!({})), hash(&base(), json!({})));
    }
}
