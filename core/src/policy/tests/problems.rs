//! What is wrong with a policy is said at its place.

use super::{compiled, shown, template};
use crate::policy::{Auditability, TemplateSpec, compile};

fn problems(rego: &str) -> Vec<String> {
    shown(&compiled(rego).expect_err("it should be refused"))
}

#[test]
fn points_at_what_is_wrong() {
    for (rego, expected) in [
        ("", "1:1+1 PC0104 the module is empty"),
        ("violation[x] { true }", "1:1+1 PC0104"),
        ("package p\nallow { true }", "1:1+9 PC0110 there is no rule `violation`"),
        ("package p\nviolation { true }", "2:1+9 PC0110 `violation` is true or false: expected a set"),
        ("package p\nviolation[{\"message\": \"x\"}] { true }", "2:1+9 PC0110 `violation` has no msg"),
        ("package p\nviolation[{\"msg\": msg}] {\n\tmsg := foo\n}", "3:9+3 PC0104 `foo` has no value here"),
        ("package p\nviolation[{\"msg\": msg}] { true }", "2:19+3 PC0104 `msg` has no value here"),
        ("package p\nviolation[{\"msg\": \"x\"}] {\n  not input.xs[i] == 2\n}", "3:16+1 PC0104"),
        (
            "package p\nviolation[{\"msg\": \"x\"}] {\n  not input.xs[_] == 2\n}",
            "3:16+1 PC0104 `_` has no value here: `not` does not iterate",
        ),
        (
            "package p\nviolation[{\"msg\": \"x\"}] {\n  strpos(\"a\", \"b\")\n}",
            "3:3+6 PC0114 there is no function `strpos`",
        ),
        (
            "package p\nviolation[{\"msg\": \"x\"}] {\n  http.send({})\n}",
            "3:3+9 PC0114 the function `http.send` is not supported: a policy may not reach the network",
        ),
        ("package p\nviolation[{\"msg\": \"x\"}] {\n  external_data({})\n}", "3:3+13 PC0114"),
        (
            "package p\nviolation[{\"msg\": \"x\"}] {\n  startswith(\"a\")\n}",
            "3:3+10 PC0114 `startswith` takes 2 arguments, found 1",
        ),
        (
            "package p\nf(x) { x }\nviolation[{\"msg\": \"x\"}] { f(1, 2, 3) }",
            "3:27+1 PC0114 `f` takes 1 arguments, found 3",
        ),
        (
            "package p\nf(x) { x }\nviolation[{\"msg\": \"x\"}] { y := f; y }",
            "3:32+1 PC0114 `f` is a function: expected a call, `f(…)`",
        ),
        (
            "package p\nviolation[{\"msg\": m}] {\n  m := sprintf(\"%v of %v\", [1])\n}",
            "3:16+10 PC0115 expected 2 values for this format, found 1",
        ),
        (
            "package p\nviolation[{\"msg\": m}] {\n  m := sprintf(\"%v\", [1, 2])\n}",
            "3:16+4 PC0115 expected 1 values for this format, found 2",
        ),
        (
            "package p\nviolation[{\"msg\": \"x\"}] { data.other.x }",
            "2:27+12 PC0112 expected data.inventory or data.lib, found `data.other.x`",
        ),
        (
            "package p\nviolation[{\"msg\": \"x\"}] { x := data; x }",
            "2:32+4 PC0112 expected data.inventory or data.lib, found `data`",
        ),
        (
            "package p\nimport data.inventory\nviolation[{\"msg\": \"x\"}] { true }",
            "2:1+21 PC0112 expected an import of data.lib or future.keywords, found `data.inventory`",
        ),
        (
            "package p\nimport rego.v1\nviolation contains {\"msg\": \"x\"} if true",
            "2:1+14 PC0112 expected an import of data.lib or future.keywords, found `rego.v1`",
        ),
        (
            "package p\nviolation[{\"msg\": m}] { m := $\"a{input.x}\" }",
            "2:30+13 PC0117 strings with expressions in them are not supported",
        ),
        (
            "package p\nviolation[{\"msg\": m}] {\n  m := count (input.xs)\n}",
            "3:14+1 PC0104 unexpected `(` behind `count`",
        ),
        ("package p\nviolation[{\"msg\": m}] {\n  m := \"open\n}", "3:8+5 PC0104 the string does not end"),
        ("package p\nviolation[{\"msg\": m}] {\n  m := 5 §\n}", "3:10+1 PC0104 unexpected `§`"),
        ("package p\nviolation[{\"msg\": \"x\"}] { x := - 1 + 2; x }", "2:32+7 PC0117"),
        (
            "package p\nviolation[{\"msg\": \"x\"}] {\n  true\n",
            "4:1+1 PC0104 expecting `}` while parsing query",
        ),
        (
            "package p\ni = 1\nviolation[{\"msg\": \"x\"}] { some i; input.xs[i] }",
            "3:32+1 PC0117 `i` is the name of a rule or an import as well",
        ),
    ] {
        let found = problems(rego);
        assert!(found[0].starts_with(expected), "{rego}\n  expected {expected}\n  found    {found:?}");
    }
}

#[test]
fn finds_everything_at_once() {
    let found = problems(
        "package p\nviolation[{\"msg\": msg}] {\n  data.secrets\n  msg := sprintf(\"%v\", [])\n  nosuch(1)\n  y == 1\n}\n",
    );
    let codes: Vec<&str> = found.iter().map(|problem| problem.split(' ').nth(1).unwrap()).collect();
    assert_eq!(codes, ["PC0112", "PC0115", "PC0114", "PC0104"], "{found:?}");
}

#[test]
fn places_survive_the_mending() {
    // Chained bodies, statements in parentheses and negations are rewritten before the engine sees them.
    let rego = "package some.long.name\nviolation[{\"msg\": \"x\"}] { not startswith(input.a, \"x\") } {\n  y := 1\n  (y == 1)\n  nosuch(y)\n}";
    assert_eq!(problems(rego), ["5:3+6 PC0114 there is no function `nosuch`"]);
}

#[test]
fn libraries_are_below_lib() {
    let entry = "package p\nimport data.lib.a\nviolation[{\"msg\": \"x\"}] { a.f(1) }";
    assert!(compile(&template(&[entry, "package lib.a\nf(x) { x }"], "v0")).is_ok());
    for lib in ["package other\nf(x) { x }", "package lib\nf(x) { x }", "package library.a\nf(x) { x }"] {
        let problems = compile(&template(&[entry, lib], "v0")).unwrap_err();
        let problem = problems.iter().find(|problem| problem.code == "PC0111").unwrap();
        assert_eq!(problem.pointer, "/spec/targets/0/code/0/source/libs/0");
    }
}

#[test]
fn version_1_is_strict() {
    let v1 = |rego: &str| compile(&template(&[rego], "v1"));
    assert!(v1("package p\nviolation contains {\"msg\": \"x\"} if true").is_ok());
    assert!(v1("package p\nviolation[{\"msg\": \"x\"}] { true }").is_err());
    let problems = v1("package p\nviolation contains {\"msg\": \"x\"} if any([true])").unwrap_err();
    assert_eq!(problems[0].message, "`any` does not exist in Rego v1");
}

#[test]
fn knows_what_an_audit_cannot_ask() {
    const WHOLE: &str = "reads the request as a whole";
    let reasons = |body: &str| {
        let rego = format!(
            "package p\n# operation userInfo oldObject\nviolation[{{\"msg\": \"x\"}}] {{ {body} }}
reads(r) {{ r.object.kind == \"x\" }}
keeps(r) {{ s := r; count(s) > 0 }}
same(r) = r
held = input.review"
        );
        match compiled(&rego).unwrap().auditability {
            Auditability::Auditable => Vec::new(),
            Auditability::NotYet { reasons } => reasons,
        }
    };
    for (body, expected) in [
        ("input.review.object.spec", None),
        ("input.review.object.spec.x == \"the operation fails\"", None),
        ("input.review.operation == \"CREATE\"", Some("asks for the operation")),
        ("input.review[\"operation\"]", Some("asks for the operation")),
        ("r := input.review; r.operation", Some("asks for the operation")),
        ("object.get(input, [\"review\", `operation`], \"\") == \"\"", Some("asks for the operation")),
        ("json.filter(input, [\"review/userInfo\"])", Some("asks who makes the request")),
        ("input.review.userInfo.username", Some("asks who makes the request")),
        ("input.review.oldObject", Some("asks for the old object")),
        ("input.review.options", Some("asks for the request options")),
        ("input.review.dryRun", Some("asks whether it is a dry run")),
        ("time.now_ns() > 0", Some("asks for the time")),
        ("data.inventory.cluster", Some("asks for other objects (data.inventory)")),
        ("k := \"x\"; input.review[k]", Some("reads the request by keys that are only known at run time")),
        ("walk(input.review, [p, v])", Some("reads the request by keys that are only known at run time")),
        ("input[_]", Some("reads the request by keys that are only known at run time")),
        ("json.marshal(input.review) == \"\"", Some(WHOLE)),
        ("json.marshal(input[\"review\"]) == \"\"", Some(WHOLE)),
        ("sprintf(\"%v\", [input]) == \"\"", Some(WHOLE)),
        ("object.keys(input.review) == {\"object\"}", Some(WHOLE)),
        ("count(input.review) > 3", Some(WHOLE)),
        ("input.review == {\"object\": 1}", Some(WHOLE)),
        ("{\"object\": 1} = input.review", Some(WHOLE)),
        ("some_value = [input.review]; some_value[0]", Some(WHOLE)),
        ("k := \"object\"; object.get(input.review, k, 1) == 1", Some(WHOLE)),
        ("r := input.review; json.marshal(r) == \"\"", Some(WHOLE)),
        ("r := input; s = r.review; k := \"x\"; s[k]", Some(WHOLE)),
        ("json.marshal(object.get(input, \"review\", {})) == \"\"", Some(WHOLE)),
        ("keeps(input.review)", Some(WHOLE)),
        ("json.marshal(same(input.review)) == \"\"", Some(WHOLE)),
        ("json.marshal(held) == \"\"", Some(WHOLE)),
        ("reads(input.review)", None),
        ("r := input.review; r.object.kind", None),
        ("same(input.review).object", None),
        ("held.object.kind", None),
        ("object.get(input.review, \"object\", {}) == {}", None),
        ("object.get(input, [\"review\", \"object\"], {}) == {}", None),
        ("object.filter(input.review, [\"object\"]) == {}", None),
        ("json.marshal(input.review.object) == \"\"", None),
        ("k := \"x\"; input.review.object[k]", None),
        ("input.review; not input.parameters.x", None),
        ("held.object.kind with input as {\"review\": 1}", None),
    ] {
        assert_eq!(reasons(body).first().map(String::as_str), expected, "{body}");
    }
    let mut with_cel = template(&["package p\nviolation[{\"msg\": \"x\"}] { true }"], "v0");
    with_cel.cel = Some(serde_json::json!({"validations": []}));
    assert_eq!(
        compile(&with_cel).unwrap().auditability,
        Auditability::NotYet { reasons: vec!["is written in CEL".to_owned()] }
    );
    let only_cel = TemplateSpec { rego: None, ..with_cel };
    let mut evaluator = compile(&only_cel).unwrap().evaluator(&super::EvaluationLimits::default());
    let empty = regorus::Value::new_object();
    assert!(evaluator.evaluate(&empty, &empty, jiff::Timestamp::UNIX_EPOCH).is_err());
}
