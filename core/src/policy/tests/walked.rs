//! `walk` in each of its forms, and what else the engine has as a list, with what Gatekeeper's engine finds.

use std::time::Duration;

use serde_json::json;

use super::{compiled, evaluate};

#[test]
fn every_form_of_walk_finds_what_opa_finds() {
    let cases: [(&str, &[&str]); 15] = [
        ("walk(o, [p, v]); is_number(v)", &[r#"["q", 0, "z"] 0.3"#, r#"["x"] 0.5"#]),
        ("[p, v] = walk(o); is_number(v)", &[r#"["q", 0, "z"] 0.3"#, r#"["x"] 0.5"#]),
        ("[p, v] := walk(o); is_number(v)", &[r#"["q", 0, "z"] 0.3"#, r#"["x"] 0.5"#]),
        ("y := walk(o); p := y[0]; v := y[1]; is_number(v)", &[r#"["q", 0, "z"] 0.3"#, r#"["x"] 0.5"#]),
        ("y = walk(o); [p, v] = y; is_number(v)", &[r#"["q", 0, "z"] 0.3"#, r#"["x"] 0.5"#]),
        (r#"[["x"], v] = walk(o); p := "fixed""#, &["fixed 0.5"]),
        (r#"vs := {w | [_, w] = walk(o); is_number(w)}; p := "set"; v := sort(vs)"#, &["set [0.3, 0.5]"]),
        (
            r#"p := "list"; v := [w | w := walk(o)[1]]"#,
            &[r#"list [{"q": [{"z": 0.3}], "w": "s", "x": 0.5}, [{"z": 0.3}], {"z": 0.3}, 0.3, "s", 0.5]"#],
        ),
        (r#"walk(o)[1] == 0.5; p := "step"; v := 1"#, &["step 1"]),
        (r#"not has(o); p := "not"; v := 1"#, &[]),
        ("[p, v] = walk(o); v == 0.5", &[r#"["x"] 0.5"#]),
        ("[p, 0.5] = walk(o); v := 1", &[r#"["x"] 1"#]),
        ("some p, v; [p, v] = walk(o); is_string(v)", &[r#"["w"] s"#]),
        (r#"p := "paths"; v := count({q | [q, _] = walk(o)})"#, &["paths 6"]),
        (r#"y := [1 | walk(o)]; p := "all"; v := count(y)"#, &["all 6"]),
    ];
    let review = json!({"object": {"x": 0.5, "q": [{"z": 0.3}], "w": "s"}});
    for (body, expected) in cases {
        let module = format!(
            "package t\nviolation[{{\"msg\": msg}}] {{ o := input.review.object; {body}; msg := sprintf(\"%v %v\", \
             [p, v]) }}\nhas(o) {{ [p, v] = walk(o); v == 0.5 }}\n"
        );
        let compiled = compiled(&module).unwrap();
        let found = evaluate(&compiled, &review, &json!({}), Duration::from_secs(20)).unwrap();
        let messages: Vec<&str> = found.iter().map(|violation| violation.message.as_str()).collect();
        assert_eq!(messages, expected, "{body}");
    }
}

#[test]
fn the_addresses_of_a_network_are_a_set() {
    let module = r#"package t
violation[{"msg": "in"}] { net.cidr_expand("10.0.0.0/30")["10.0.0.2"] }
violation[{"msg": "out"}] { net.cidr_expand("10.0.0.0/30")["10.0.0.4"] }
violation[{"msg": "by number"}] { net.cidr_expand("10.0.0.0/30")[0] }
"#;
    let found =
        evaluate(&compiled(module).unwrap(), &json!({}), &json!({}), Duration::from_secs(20)).unwrap();
    let messages: Vec<&str> = found.iter().map(|violation| violation.message.as_str()).collect();
    assert_eq!(messages, ["in"]);
}
