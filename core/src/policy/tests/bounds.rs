//! Hostile policies end in a clear message, in bounded time, stack and memory.

use std::time::Duration;

use serde_json::json;

use super::{compiled, evaluate, template};
use crate::policy::compile;

fn refused(rego: &str) -> (&'static str, String) {
    let problems = compiled(rego).expect_err("it should be refused");
    (problems[0].code, problems[0].message.clone())
}

#[test]
fn refuses_recursion() {
    for (rego, chain) in [
        ("package p\nf(x) = y { y := f(x) }\nviolation[{\"msg\": \"x\"}] { f(1) }", "f → f"),
        (
            "package p\nf(x) { g(x) }\ng(x) { h }\nh { f(1) }\nviolation[{\"msg\": \"x\"}] { h }",
            "f → g → h → f",
        ),
        ("package p\nviolation[{\"msg\": m}] { violation[{\"msg\": m}] }", "violation → violation"),
        ("package p\na { not b }\nb { not a }\nviolation[{\"msg\": \"x\"}] { a }", "a → b → a"),
        ("package p\na = [x | x := a[_]]\nviolation[{\"msg\": \"x\"}] { a }", "a → a"),
    ] {
        let (code, message) = refused(rego);
        assert_eq!(code, "PC0113");
        assert!(message.ends_with(chain), "{message}");
    }
    let entry = "package p\nimport data.lib.a\nviolation[{\"msg\": \"x\"}] { a.f(1) }";
    let libs = [
        "package lib.a\nimport data.lib.b as bb\nf(x) { bb.g(x) }",
        "package lib.b\ng(x) { data.lib.a.f(x) }",
    ];
    let problems = compile(&template(&[entry, libs[0], libs[1]], "v0")).unwrap_err();
    assert_eq!((problems[0].code, problems.len()), ("PC0113", 1));
    // A package chosen at run time may be this one.
    let dynamic = "package lib.a\nf { data.lib[x] }";
    assert_eq!(compile(&template(&[entry, dynamic], "v0")).unwrap_err()[0].code, "PC0113");
}

#[test]
fn a_local_name_is_no_recursion() {
    let rego = "package p\ncontainer = 1 { f({\"x\": 1}) }\nf(container) { container.x }\nviolation[{\"msg\": \"x\"}] { container }";
    assert!(compiled(rego).is_ok());
}

#[test]
fn bounds_what_is_nested_and_chained() {
    let policy =
        |expr: &str| format!("package p\nx = {expr} {{ true }}\nviolation[{{\"msg\": \"x\"}}] {{ x }}");
    for expr in [
        "[".repeat(5000) + &"]".repeat(5000),
        "{\"a\":".repeat(5000) + "1" + &"}".repeat(5000),
        "(".repeat(50_000) + "1" + &")".repeat(50_000),
        "1+".repeat(100_000) + "1",
        "- ".repeat(100_000) + "1",
        format!("input{}", ".a".repeat(100_000)),
        format!("input{}", "[0]".repeat(10_000)),
        "[x | x := ".repeat(30) + "1" + &"]".repeat(30),
    ] {
        assert_eq!(refused(&policy(&expr)).0, "PC0116");
    }
    for expr in ["[".repeat(12) + &"]".repeat(12), "1+".repeat(90) + "1", format!("input{}", ".a".repeat(90))]
    {
        assert!(compiled(&policy(&expr)).is_ok());
    }
    assert_eq!(refused(&format!("package p\n{}", "# x\n".repeat(200_000))).0, "PC0116");
}

#[test]
fn an_evaluation_fits_the_stack_of_a_worker() {
    let chain = |length: usize| {
        let functions: String =
            (0..length).fold(String::new(), |all, i| all + &format!("f{i}(x) {{ f{}(x) }}\n", i + 1));
        format!("package p\n{functions}f{length}(x) {{ x }}\nviolation[{{\"msg\": \"x\"}}] {{ f0(1) }}")
    };
    assert_eq!(refused(&chain(100)).0, "PC0116");
    let longest = (20..100).rev().find(|length| compiled(&chain(*length)).is_ok()).unwrap();
    let loops: String = (0..80).fold(String::new(), |all, i| all + &format!("input.review.xs[i{i}]; "));
    let wide = format!("package p\nviolation[{{\"msg\": \"x\"}}] {{ {loops} true }}");
    let sums = format!("package p\nviolation[{{\"msg\": \"x\"}}] {{ x := {}1; x > 0 }}", "1+".repeat(90));
    for rego in [chain(longest), wide, sums] {
        let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            let compiled = compiled(&rego).unwrap();
            evaluate(&compiled, &json!({"xs": [1]}), &json!({}), Duration::from_secs(20)).unwrap().len()
        });
        assert_eq!(worker.unwrap().join().unwrap(), 1);
    }
}

#[test]
fn ends_in_time_and_stays_usable() {
    let endless = "package p\nviolation[{\"msg\": \"x\"}] {
  input.review.endless
  xs := {[a, b, c] | a := numbers.range(1, 3000)[_]; b := numbers.range(1, 3000)[_]; c := numbers.range(1, 3000)[_]}
  count(xs) > 0
}
violation[{\"msg\": \"quick\"}] { true }";
    let swallowed = "package p\nslow(x) { x > 5; a := numbers.range(1, 5000)[_]; b := numbers.range(1, 5000)[_]; a * b < 0 }
slow(x) { x == 7 }\nviolation[{\"msg\": \"x\"}] { not slow(input.review.endless) }\nviolation[{\"msg\": \"quick\"}] { not input.review.endless }";
    for rego in [endless, swallowed] {
        let compiled = compiled(rego).unwrap();
        let limits = super::EvaluationLimits { timeout: Duration::from_millis(200) };
        let mut evaluator = compiled.evaluator(&limits);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let value = |value: serde_json::Value| regorus::Value::from_json_str(&value.to_string()).unwrap();
        let error = evaluator.evaluate(&value(json!({"endless": 9})), &value(json!({})), now).unwrap_err();
        assert!(error.timed_out);
        assert_eq!(error.message, "no verdict within 200 ms");
        let quick = evaluator.evaluate(&value(json!({})), &value(json!({})), now).unwrap();
        assert_eq!(quick[0].message, "quick");
    }
}

#[test]
fn values_do_not_grow_without_bounds() {
    let long = "a".repeat(2000);
    for body in [
        "count(numbers.range(1, 100000000)) > 0".to_owned(),
        "x := numbers.range(1, 1000000000000); count(x) > 0".to_owned(),
        format!("a := \"{long}\"; b := replace(a, \"a\", a); c := replace(b, \"a\", b); count(c) > 0"),
        "a := sprintf(\"%1000000d\", [1]); b := concat(a, [\"\" | numbers.range(1, 2000)[_]]); count(b) > 0"
            .to_owned(),
        "x := bits.lsh(1, 1000000000); x > 0".to_owned(),
        "count(net.cidr_expand(\"10.0.0.0/8\")) > 0".to_owned(),
        "count(net.cidr_expand(\"::/0\")) > 0".to_owned(),
        "regex.match(\"(((a{1000}){1000}){1000})\", \"a\")".to_owned(),
    ] {
        // Another body must not hide it.
        let rego = format!(
            "package p\nf(n) {{ {body} }}\nf(n) {{ n == 1 }}\nviolation[{{\"msg\": \"x\"}}] {{ f(1) }}"
        );
        let compiled = compiled(&rego).unwrap();
        let error = evaluate(&compiled, &json!({}), &json!({}), Duration::from_secs(20)).unwrap_err();
        assert!(error.message.contains("too large"), "{body}: {}", error.message);
    }
    let doubled: String =
        (0..40).fold("x0 := [1]".to_owned(), |all, i| all + &format!("; x{} := [x{i}, x{i}]", i + 1));
    let rego = format!("package p\nviolation[{{\"msg\": \"x\", \"details\": x40}}] {{ {doubled} }}");
    let error =
        evaluate(&compiled(&rego).unwrap(), &json!({}), &json!({}), Duration::from_secs(20)).unwrap_err();
    assert_eq!(error.message, "the details of a violation are too large");
}
