//! Numbers that an object can bring: read as OPA reads them, and never for long.

use std::{sync::mpsc, time::Duration};

use serde_json::{Value, json};

use super::{EvaluationError, Violation, compiled, evaluate};

/// Fails, instead of hanging, where the work does not end; the thread is left behind.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// What an expression over `input.review.object.x` comes to, printed; `None` where it is undefined.
fn value(expression: &str, x: &Value) -> Result<Option<String>, EvaluationError> {
    let rego = format!(
        "package p\nviolation[{{\"msg\": m}}] {{ x := input.review.object.x; y := {expression}; m := sprintf(\"%v\", [y]) }}"
    );
    let review = json!({"object": {"x": x}});
    let shown = format!("{expression} of {x:.60}");
    let violations: Vec<Violation> = in_time(&shown, move || {
        evaluate(&compiled(&rego).unwrap(), &review, &json!({}), Duration::from_secs(50))
    })?;
    Ok(violations.into_iter().next().map(|violation| violation.message))
}

#[test]
fn no_text_takes_long_to_read_as_a_number() {
    let long = |digits: &str| digits.repeat(100_000);
    let number = r#"{"$serde_json::private::Number":"1e999999999"}"#;
    let texts = [
        "1e999999999".to_owned(),
        "-1e999999999".to_owned(),
        "1e99999999".to_owned(),
        "1e2147483647".to_owned(),
        "1e-2147483648".to_owned(),
        "0e999999999".to_owned(),
        "0e999999".to_owned(),
        "0.0e999999".to_owned(),
        "1e999999".to_owned(),
        "1e-999999Ei".to_owned(),
        "1e999999k".to_owned(),
        "1e999999999999999999999".to_owned(),
        "1e-999999999k".to_owned(),
        "1e999999999Ki".to_owned(),
        long("9"),
        format!("0.{}", long("7")),
        format!("0.{}1e99999", long("0")),
        format!("{}e-99999", long("3")),
        format!("{}1", long("0")),
        format!("1e{}1", long("0")),
        format!("{}Mi", long("1234567890")),
        number.to_owned(),
        format!("[{number}, 1e999999999]"),
    ];
    for text in &texts {
        for expression in [
            "to_number(x)",
            "units.parse(x)",
            "units.parse_bytes(x)",
            "json.unmarshal(x)",
            "json.is_valid(x)",
            "json.filter({\"a\": [1]}, [[\"a\", x]])",
            "json.remove({\"a\": [1]}, [[\"a\", x]])",
            "semver.is_valid(x)",
            "semver.compare(concat(\".\", [x, \"0\", \"0\"]), \"1.0.0\")",
            "time.parse_duration_ns(concat(\"\", [x, \"s\"]))",
            "net.cidr_expand(concat(\"/\", [\"10.0.0.0\", x]))",
        ] {
            let _ = value(expression, &json!(text));
        }
    }
}

#[test]
fn no_number_takes_long_to_work_with() {
    for number in [json!(1e308), json!(-1e308), json!(1e-308), json!(u64::MAX), json!(i64::MIN)] {
        for expression in [
            "numbers.range(x, x + 3)",
            "numbers.range(1, x)",
            "numbers.range(x, 1)",
            "bits.lsh(1, x)",
            "bits.lsh(x, 4096)",
            "bits.rsh(x, 5000)",
            "format_int(x, 2)",
            "sprintf(\"%d %b %.3f\", [x, x, x])",
            "x * x * x * x",
            "x % 7",
            "x / 3",
            "x - x * 3",
            "round(x) + floor(x) + ceil(x)",
            "json.marshal(x)",
            "time.add_date(0, x, x, x)",
            "numbers.range_step(1, x, 1)",
        ] {
            let _ = value(expression, &number);
        }
    }
    let many = json!(vec![u64::MAX; 100_000]);
    for expression in ["product(x)", "sum(x)", "max(x)", "product({y | y := x[_]})"] {
        let _ = value(expression, &many);
    }
    assert_eq!(value("product(x)", &json!([2, 3, 0.5])).unwrap().as_deref(), Some("3"));
    let squares: String =
        (0..40).fold("a0 := 9".to_owned(), |all, at| format!("{all}; a{} := a{at} * a{at}", at + 1));
    let rego = format!("package p\nviolation[{{\"msg\": \"x\"}}] {{ {squares}; a40 > 0 }}");
    let result = in_time("squares", move || {
        evaluate(&compiled(&rego).unwrap(), &json!({}), &json!({}), Duration::from_secs(50))
    });
    assert_eq!(result, Ok(Vec::new()));
}

#[test]
fn refuses_literals_out_of_range() {
    for literal in ["1e999999999", "0e999999999", "1e309", "-1e400"] {
        let rego = format!("package p\nviolation[{{\"msg\": \"x\"}}] {{ input.x > {literal} }}");
        let problems = in_time(literal, move || compiled(&rego).unwrap_err());
        assert_eq!(problems[0].code, "PC0116", "{literal}");
    }
    assert!(compiled("package p\nviolation[{\"msg\": \"x\"}] { input.x > 1e308; 0 < 1e-3 }").is_ok());
}

#[test]
fn documents_with_huge_numbers_are_read_in_time() {
    use crate::document::{Limits, json as json_document, yaml};
    for text in ["1e999999999", "-1e999999999", "0e999999999", "1e-999999999"] {
        in_time(text, move || {
            let _ = json_document::read(format!("{{\"a\": {text}}}").as_bytes(), &Limits::default());
            let _ = yaml::read(
                format!("a: {text}\nb: !!float {text}\n{text}: c\n").as_bytes(),
                &Limits::default(),
            );
        });
    }
}

/// The values are OPA's.
#[test]
fn amounts_are_those_of_opa() {
    for (text, bytes, amount) in [
        ("1e9", "1000000000", "1000000000"),
        ("1E9", "1000000000", "1000000000"),
        ("1e3k", "1000000", "1000000"),
        ("1e-3", "0", "0.001"),
        ("1e-3m", "999", "0.000001"),
        ("20Ei", "23058430092136939520", "23058430092136939520"),
        ("100Ei", "115292150460684697600", "115292150460684697600"),
        ("+1", "1", "1"),
        ("-1", "-1", "-1"),
        ("1.", "1", "1"),
        ("1.5", "1", "1.5"),
        (".5", "0", "0.5"),
        ("-0.1", "0", "-0.1"),
        ("-1.9", "-1", "-1.9"),
        ("-1.5k", "-1500", "-1500"),
        ("5m", "5000000", "0.005"),
        ("100m", "100000000", "0.1"),
        ("1000m", "1000000000", "1"),
        ("1M", "1000000", "1000000"),
        ("1mI", "1048576", "1048576"),
        ("2.01k", "2010", "2010"),
        ("2.5Gi", "2684354560", "2684354560"),
        ("017", "17", "17"),
        ("1e", "1000000000000000000", "1000000000000000000"),
        ("1e5E", "100000000000000000000000", "100000000000000000000000"),
        ("1e6E", "1000000000000000000000000", "1000000000000000000000000"),
        ("\"1k\"", "1000", "1000"),
        ("9007199254740993", "9007199254740993", "9007199254740993"),
        ("18446744073709551617", "18446744073709551616", "18446744073709551617"),
        (
            "123456789012345678901234567890",
            "123456789012345678899921813504",
            "123456789012345678901234567890",
        ),
        ("1e30", "1000000000000000000024696061952", "1000000000000000000000000000000"),
        ("0.9999999999999999999999999", "1", "1"),
        ("0.12345678905", "0", "0.1234567891"),
        ("-0.00000000005", "0", "-0.0000000001"),
        ("0.1e1k", "1000", "1000"),
        ("0e999999", "0", "0"),
        ("1e-999999", "0", "0"),
        ("1KiB", "1024", ""),
        ("1eb", "1000000000000000000", ""),
        ("1MB", "1000000", ""),
        ("1B", "", ""),
        ("", "", ""),
        ("k", "", ""),
        ("+k", "", ""),
        ("1+", "", ""),
        ("+-1", "", ""),
        ("1 k", "", ""),
        ("1_000", "", ""),
        ("0x10", "", ""),
        ("1.1.1", "", ""),
        ("1e1e1", "", ""),
        ("e5", "", ""),
        ("1é", "", ""),
        ("1e9999999", "", ""),
    ] {
        for (function, expected) in [("units.parse_bytes", bytes), ("units.parse", amount)] {
            // In OPA every one of these is true of the value it has.
            let holds = if expected.is_empty() { "false".to_owned() } else { format!("y == {expected}") };
            let rego = format!(
                "package p\nviolation[{{\"msg\": m}}] {{ y := {function}(input.review.x); m := sprintf(\"%v %v\", [y, {{true | {holds}}}]) }}"
            );
            let found =
                evaluate(&compiled(&rego).unwrap(), &json!({"x": text}), &json!({}), Duration::from_secs(50))
                    .unwrap();
            let found = found.first().map(|violation| violation.message.as_str());
            if expected.is_empty() {
                assert_eq!(found, None, "{function}({text})");
            } else {
                assert!(found.is_some_and(|found| found.contains("true")), "{function}({text}): {found:?}");
            }
        }
    }
}

#[test]
fn to_number_is_that_of_opa() {
    for (text, expected) in [
        ("1e9", Some("1000000000")),
        ("+1", Some("1")),
        ("1.", Some("1")),
        (".5", Some("0.5")),
        ("08", Some("8")),
        ("-0.1", Some("-0.1")),
        ("0e999999", Some("0")),
        ("1e-999999", Some("0")),
        ("18446744073709551617", Some("18446744073709551617")),
        ("1e309", None),
        ("1e999999999", None),
        ("inf", None),
        ("0x10", None),
        ("5m", None),
        ("", None),
    ] {
        assert_eq!(value("to_number(x)", &json!(text)).unwrap().as_deref(), expected, "{text}");
    }
}
