//! Suites against small repositories in memory; the expectations are those of `gator verify` 3.23.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Filter, Settings, SuiteResult, Verdict, verify};
use crate::problem::Severity;

const TEMPLATE: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k8slabel}
spec:
  crd:
    spec:
      names: {kind: K8sLabel}
      validation:
        openAPIV3Schema:
          type: object
          required: [labels]
          properties:
            labels: {type: array, items: {type: string}}
            who: {type: string, default: somebody}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package k8slabel
        violation[{"msg": msg, "details": {"label": label}}] {
          label := input.parameters.labels[_]
          not has(label)
          msg := sprintf("{%s} is missing, says %s", [label, input.parameters.who])
        }
        has(label) { input.review.object.metadata.labels[label] }
"#;

const CONSTRAINT: &str = "
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sLabel
metadata: {name: owned}
spec:
  match:
    kinds: [{apiGroups: [''], kinds: [Namespace, Pod]}]
  parameters: {labels: [owner, team]}
";

const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {owner: me}}}";

struct Tree(BTreeMap<String, String>);

impl Tree {
    fn new() -> Self {
        Self(BTreeMap::new())
            .with("p/template.yaml", TEMPLATE)
            .with("p/constraint.yaml", CONSTRAINT)
            .with("p/samples/ns.yaml", NAMESPACE)
    }

    fn with(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.to_owned(), text.to_owned());
        self
    }

    /// The suite with these tests, run.
    fn run(&self, tests: &str) -> SuiteResult {
        self.run_only(tests, "")
    }

    fn run_only(&self, tests: &str, filter: &str) -> SuiteResult {
        let suite = format!("apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\n{tests}");
        let files = |path: &str| match path {
            "p/suite.yaml" => Some(Arc::from(suite.as_bytes())),
            path => self.0.get(path).map(|text| Arc::from(text.as_bytes())),
        };
        let settings =
            Settings { filter: Filter::parse(filter).unwrap(), ..Settings::at(Timestamp::UNIX_EPOCH) };
        verify(&files, "p/suite.yaml", &settings)
    }

    /// One case of an object with assertions in flow style.
    fn case(&self, object: &str, assertions: &str) -> Result<(), String> {
        self.case_with(object, assertions, "")
    }

    fn case_with(&self, object: &str, assertions: &str, more: &str) -> Result<(), String> {
        let result = self.run(&format!(
            "tests:\n- name: t\n  template: template.yaml\n  constraint: constraint.yaml\n  cases:\n  \
             - {{name: c, object: {object}, assertions: {assertions}{more}}}\n"
        ));
        assert_eq!(result.error, None);
        if let Some(error) = &result.tests[0].error {
            return Err(format!("test: {error}"));
        }
        match &result.tests[0].cases[0] {
            case if case.result == Verdict::Pass => Ok(()),
            case => Err(case.message.clone()),
        }
    }

    fn test_error(&self, test: &str) -> Option<String> {
        let result = self.run(&format!("tests:\n- {test}\n"));
        assert_eq!(result.error, None);
        assert_eq!(result.tests[0].verdict() == Verdict::Fail, result.tests[0].error.is_some());
        result.tests[0].error.clone()
    }
}

#[test]
fn violations_are_counted_and_defaults_reach_the_policy() {
    let tree = Tree::new();
    assert_eq!(tree.case("samples/ns.yaml", "[{}]"), Ok(()));
    assert_eq!(tree.case("samples/ns.yaml", "[{violations: yes}]"), Ok(()));
    assert_eq!(
        tree.case("samples/ns.yaml", "[{violations: 1, message: '^{team} is missing, says somebody$'}]"),
        Ok(())
    );
    assert_eq!(tree.case("samples/ns.yaml", "[{violations: no, message: owner}]"), Ok(()));
    assert_eq!(
        tree.case("samples/ns.yaml", "[{}, {violations: 2}]").unwrap_err(),
        "expected exactly 2 violations, found 1 in: {team} is missing, says somebody"
    );
    assert!(tree.case("samples/ns.yaml", "[]").unwrap_err().contains("no assertions"));
    assert!(tree.case("samples/ns.yaml", "[{violations: maybe}]").unwrap_err().contains("found `maybe`"));
}

#[test]
fn objects_that_the_constraint_is_not_about_have_no_violations() {
    let tree = Tree::new().with(
        "p/samples/role.yaml",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x}}",
    );
    assert_eq!(tree.case("samples/role.yaml", "[{violations: no}]"), Ok(()));
    assert!(tree.case("samples/role.yaml", "[{violations: yes}]").is_err());
}

#[test]
fn an_object_file_holds_one_object() {
    let tree = Tree::new()
        .with("p/samples/two.yaml", "a: 1\n---\nb: 1\n")
        .with("p/samples/none.yaml", "# nothing\n")
        .with("p/samples/kindless.yaml", "a: 1\n");
    for (object, message) in [
        ("samples/two.yaml", "expected exactly one object, found 2"),
        ("samples/none.yaml", "expected exactly one object, found 0"),
        ("samples/kindless.yaml", "found no kind"),
        ("samples/absent.yaml", "p/samples/absent.yaml: no such file"),
        ("''", "the case names no object"),
    ] {
        let found = tree.case(object, "[{violations: no}]").unwrap_err();
        assert!(found.contains(message), "{object}: {found}");
    }
}

#[test]
fn a_test_that_cannot_be_set_up_is_an_error() {
    let tree = Tree::new()
        .with("p/broken.yaml", &TEMPLATE.replace("not has(label)", "not has(label"))
        .with("p/other.yaml", &CONSTRAINT.replace("K8sLabel", "K8sOther"))
        .with("p/unfit.yaml", &CONSTRAINT.replace("[owner, team]", "owner"));
    for (test, message) in [
        ("{constraint: constraint.yaml}", "the test names no template"),
        ("{template: template.yaml}", "the test names no constraint"),
        ("{template: absent.yaml, constraint: constraint.yaml}", "p/absent.yaml: no such file"),
        ("{template: constraint.yaml, constraint: constraint.yaml}", "expected templates.gatekeeper.sh/v1"),
        (
            "{template: template.yaml, constraint: samples/ns.yaml}",
            "expected constraints.gatekeeper.sh/v1beta1",
        ),
        ("{template: template.yaml, constraint: other.yaml}", "expected a K8sLabel, found a K8sOther"),
        ("{template: template.yaml, constraint: unfit.yaml}", "p/unfit.yaml: spec.parameters/labels"),
        ("{template: broken.yaml, constraint: constraint.yaml}", "does not compile"),
    ] {
        let found = tree.test_error(test).unwrap();
        assert!(found.contains(message), "{test}: {found}");
    }
    assert_eq!(tree.test_error("{template: template.yaml, constraint: constraint.yaml}"), None);
}

#[test]
fn invalid_expects_the_schema_to_refuse() {
    let constraint = |parameters: &str| CONSTRAINT.replace("{labels: [owner, team]}", parameters);
    let tree = Tree::new()
        .with("p/type.yaml", &constraint("{labels: owner}"))
        .with("p/required.yaml", &constraint("{who: me}"))
        .with("p/absent.yaml", &CONSTRAINT.replace("  parameters: {labels: [owner, team]}\n", ""))
        .with("p/unknown.yaml", &constraint("{labels: [owner], lables: [team]}"))
        .with("p/match.yaml", &CONSTRAINT.replace("kinds: [{", "namespaces: shop\n    kinds: [{"))
        .with("p/glob.yaml", &CONSTRAINT.replace("kinds: [{", "namespaces: ['a*b']\n    kinds: [{"))
        .with("p/long.yaml", &CONSTRAINT.replace("owned", &"o".repeat(64)))
        .with("p/named.yaml", &CONSTRAINT.replace("owned", "Owned"));
    let invalid = |constraint: &str| {
        tree.test_error(&format!("{{template: template.yaml, constraint: {constraint}, invalid: true}}"))
    };
    for schema in ["type.yaml", "required.yaml", "match.yaml", "glob.yaml", "long.yaml"] {
        assert_eq!(invalid(schema), None, "{schema}");
    }
    for other in ["constraint.yaml", "absent.yaml", "unknown.yaml", "named.yaml", "nowhere.yaml"] {
        assert!(
            invalid(other).unwrap().starts_with("expected the constraint to break the schema"),
            "{other}"
        );
    }
}

#[test]
fn what_is_skipped_is_not_run() {
    let tests = "tests:
- {name: one, skip: true, template: absent.yaml}
- name: two
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: a, skip: true, object: absent.yaml}
  - {name: b, object: samples/ns.yaml, assertions: [{violations: 1}]}
";
    let result = Tree::new().run(tests);
    assert_eq!(result.verdict(), Verdict::Pass);
    assert_eq!(
        result.tests.iter().map(super::TestResult::verdict).collect::<Vec<_>>(),
        [Verdict::Skip, Verdict::Pass]
    );
    assert_eq!(result.counts(), super::Counts { passed: 1, failed: 0, skipped: 2 });

    let suite = Tree::new().run(&format!("skip: true\n{tests}"));
    assert!(suite.skipped && suite.tests.is_empty());
    assert_eq!(suite.verdict(), Verdict::Skip);

    let chosen = Tree::new().run_only(tests, "two//a");
    assert_eq!(chosen.counts(), super::Counts { passed: 0, failed: 0, skipped: 3 });
}

#[test]
fn what_cannot_be_judged_yet_never_passes() {
    let inventory =
        TEMPLATE.replace("not has(label)", "not has(label)\n          not data.inventory.cluster[\"v1\"]");
    let cel = "
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k8slabel}
spec:
  crd: {spec: {names: {kind: K8sLabel}, validation: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      code:
        - engine: K8sNativeValidation
          source: {validations: [{expression: 'true', message: x}]}
";
    let tree = Tree::new().with("p/inventory.yaml", &inventory).with("p/cel.yaml", cel);
    for (test, message) in [
        ("{template: inventory.yaml, constraint: constraint.yaml}", "data.inventory"),
        ("{template: cel.yaml, constraint: constraint.yaml}", "CEL"),
        ("{template: template.yaml, constraint: constraint.yaml, expansion: e.yaml}", "ExpansionTemplate"),
    ] {
        let found = tree.test_error(test).unwrap();
        assert!(found.starts_with("not supported yet: ") && found.contains(message), "{test}: {found}");
        let problems = tree.run(&format!("tests:\n- {test}\n")).problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].severity, Severity::Warning, "it says nothing against the policy");
    }
}

#[test]
fn namespace_selectors_know_the_namespaces_of_the_inventory() {
    let tree = Tree::new()
        .with(
            "p/constraint.yaml",
            &CONSTRAINT
                .replace("    kinds:", "    namespaceSelector: {matchLabels: {owner: me}}\n    kinds:"),
        )
        .with("p/samples/pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}")
        .with(
            "p/samples/other.yaml",
            "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {owner: you}}}",
        );
    assert_eq!(
        tree.case(
            "samples/pod.yaml",
            "[{violations: 1, message: '^unable to match constraints: .*web :failed to run Match criteria: namespace selector'}]"
        ),
        Ok(())
    );
    assert_eq!(
        tree.case_with("samples/pod.yaml", "[{violations: 2}]", ", inventory: [samples/ns.yaml]"),
        Ok(())
    );
    assert_eq!(
        tree.case_with("samples/pod.yaml", "[{violations: no}]", ", inventory: [samples/other.yaml]"),
        Ok(())
    );
    assert_eq!(tree.case("samples/ns.yaml", "[{violations: 1}]"), Ok(()));
}

#[test]
fn admission_reviews_bring_operation_and_user() {
    let who = TEMPLATE.replace(
        "not has(label)",
        "not has(label)\n          input.review.operation != \"CREATE\"\n          not input.review.userInfo.username == \"root\"",
    );
    let review = |request: &str| {
        format!("{{apiVersion: admission.k8s.io/v1, kind: AdmissionReview, request: {request}}}")
    };
    let tree = Tree::new()
        .with("p/template.yaml", &who)
        .with("p/update.yaml", &review(&format!("{{operation: UPDATE, object: {NAMESPACE}}}")))
        .with("p/create.yaml", &review(&format!("{{operation: CREATE, object: {NAMESPACE}}}")))
        .with(
            "p/root.yaml",
            &review(&format!("{{operation: UPDATE, userInfo: {{username: root}}, object: {NAMESPACE}}}")),
        )
        .with("p/delete.yaml", &review(&format!("{{operation: DELETE, oldObject: {NAMESPACE}}}")))
        .with("p/no-old.yaml", &review(&format!("{{operation: DELETE, object: {NAMESPACE}}}")))
        .with("p/typo.yaml", &review(&format!("{{opration: UPDATE, object: {NAMESPACE}}}")))
        .with("p/nothing.yaml", &review("{operation: UPDATE}"))
        .with("p/no-request.yaml", &review("null"));
    assert_eq!(tree.case("update.yaml", "[{violations: 1}]"), Ok(()));
    assert_eq!(tree.case("create.yaml", "[{violations: no}]"), Ok(()));
    assert_eq!(tree.case("root.yaml", "[{violations: no}]"), Ok(()));
    assert_eq!(tree.case("delete.yaml", "[{violations: 1}]"), Ok(()));
    // An object by itself has the empty operation, not none.
    assert_eq!(tree.case("samples/ns.yaml", "[{violations: 1}]"), Ok(()));
    for (object, message) in [
        ("no-old.yaml", "needs an oldObject"),
        ("typo.yaml", "unknown field `opration`"),
        ("nothing.yaml", "neither an object nor an oldObject"),
        ("no-request.yaml", "has no request"),
    ] {
        let found = tree.case(object, "[{violations: no}]").unwrap_err();
        assert!(found.contains(message), "{object}: {found}");
    }
}

#[test]
fn a_scoped_constraint_is_judged_where_gator_is_in_scope() {
    let scoped = |point: &str| {
        CONSTRAINT.replace(
            "spec:\n",
            &format!("spec:\n  enforcementAction: scoped\n  scopedEnforcementActions: [{{action: deny, enforcementPoints: [{{name: {point}}}]}}]\n"),
        )
    };
    for (point, violations) in [("gator.gatekeeper.sh", "1"), ("'*'", "1"), ("validation.gatekeeper.sh", "0")]
    {
        let tree = Tree::new().with("p/constraint.yaml", &scoped(point));
        assert_eq!(
            tree.case("samples/ns.yaml", &format!("[{{violations: {violations}}}]")),
            Ok(()),
            "{point}"
        );
    }
}

#[test]
fn a_suite_that_cannot_be_read_says_where() {
    let broken = Tree::new().run("tests:\n- {name: [a]}\n");
    assert_eq!(broken.error.as_deref(), Some("line 4: expected text, found a list"));
    assert_eq!((broken.span.line, broken.tests.len()), (4, 0));
    let problems = broken.problems();
    assert_eq!((problems[0].file.as_str(), problems[0].span.line), ("p/suite.yaml", 4));

    let syntax = Tree::new().run("tests: [\n");
    assert!(syntax.error.is_some() && syntax.verdict() == Verdict::Fail);
    let none =
        |path: &str| verify(&|_| Some(Arc::from(&b"a: 1\n"[..])), path, &Settings::at(Timestamp::UNIX_EPOCH));
    assert!(none("x.yaml").error.unwrap().contains("expected a Suite"));
}

#[test]
fn failures_are_problems_at_their_case() {
    let result = Tree::new().run(
        "tests:
- name: two
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - name: good
    object: samples/ns.yaml
    assertions: [{violations: 1}]
  - name: bad
    object: samples/ns.yaml
    assertions: [{violations: no}]
- name: three
  template: absent.yaml
",
    );
    let problems: Vec<_> = result.problems().iter().map(|p| (p.span.line, p.message.clone())).collect();
    assert_eq!(
        problems,
        [
            (11, "case `bad` of test `two` fails: expected no violation, found 1 in: {team} is missing, says somebody".to_owned()),
            (14, "test `three` fails: p/absent.yaml: no such file".to_owned()),
        ]
    );
    assert_eq!(
        serde_json::to_value(&result).unwrap(),
        serde_json::json!({"file": "p/suite.yaml", "error": null, "skipped": false, "tests": [
            {"name": "two", "result": "fail", "error": null, "skipped": false, "cases": [
                {"name": "good", "result": "pass", "message": ""},
                {"name": "bad", "result": "fail", "message": "expected no violation, found 1 in: {team} is missing, says somebody"},
            ]},
            {"name": "three", "result": "fail", "error": "p/absent.yaml: no such file", "skipped": false, "cases": []},
        ]})
    );
}

#[test]
fn unknown_fields_are_warnings_and_stop_nothing() {
    let result = Tree::new().run(
        "tests:
- name: two
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: c, objcet: x.yaml, object: samples/ns.yaml, assertions: [{violations: 1}]}
",
    );
    assert_eq!(result.verdict(), Verdict::Pass);
    let problems = result.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].severity, problems[0].span.line), (Severity::Warning, 8));
    assert_eq!(problems[0].message, "unknown field `objcet`");
}
