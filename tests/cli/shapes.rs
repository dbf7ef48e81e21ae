//! The forms that other programs read, field by field, and the exit codes that scripts branch on.

use serde_json::{Value, json};

use super::{OWNER, fields, has_fields, in_step, wants};
use crate::support::program::{Program, run};

/// A folder of policies on disk, as a working tree has it.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn starter() -> String {
    format!("{}/bundles/starter", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn check_is_an_array_of_problems_and_its_exit_code_says_whether_there_are_errors() {
    let template = super::labels("K8sLabels", "");
    let wrong = wants("K8sLabels", "owner", "owner", "deny").replace("labels: [owner]", "labls: [owner]");
    let bad = tree(&[("template.yaml", &template), ("owner.yaml", &wrong)]);
    let ran = run(&["check", bad.path().to_str().unwrap(), "--format", "json"]).ended(1, &[]);
    let problems = ran.json();
    for problem in problems.as_array().unwrap() {
        has_fields(problem, &["code", "severity", "message", "hint", "file", "line", "column"]);
        assert!(["error", "warning", "note"].contains(&problem["severity"].as_str().unwrap()));
    }
    let error = problems.as_array().unwrap().iter().find(|problem| problem["severity"] == "error").unwrap();
    assert!(error["file"].as_str().unwrap().ends_with("owner.yaml"), "{error}");
    assert!(error["line"].as_u64().unwrap() == 12 && error["column"].as_u64().unwrap() > 0, "{error}");
    assert!(error["message"].as_str().unwrap().contains("labls"), "{error}");

    let good =
        tree(&[("template.yaml", &template), ("owner.yaml", &wants("K8sLabels", "owner", "owner", "deny"))]);
    let good = good.path().to_str().unwrap();
    run(&["check", good]).ended(0, &["checked 2 documents: 1 template, 1 constraint"]);
    run(&["check", good, "--strict"]).ended(1, &["no suite tests K8sLabels"]);
    run(&["check", "/nowhere/at/all"]).ended(2, &["/nowhere/at/all"]);
    let clean = run(&["check", &starter(), "--format", "json"]).ended(0, &[]).json();
    assert!(clean.as_array().unwrap().iter().all(|problem| problem["severity"] != "error"));
}

#[test]
fn verify_has_the_form_of_its_suites_and_the_exit_codes_of_their_results() {
    let ran = run(&["verify", &starter(), "-o", "json"]).ended(0, &[]);
    let results = ran.json();
    assert_eq!(fields(&results), ["suites"]);
    let suite = &results["suites"][0];
    has_fields(suite, &["file", "error", "skipped", "tests"]);
    has_fields(&suite["tests"][0], &["name", "result", "error", "skipped", "cases"]);
    has_fields(&suite["tests"][0]["cases"][0], &["name", "result", "message"]);
    let cases =
        results["suites"].as_array().unwrap().iter().flat_map(|suite| suite["tests"].as_array().unwrap());
    let cases: Vec<&Value> = cases.flat_map(|test| test["cases"].as_array().unwrap()).collect();
    assert!(cases.len() > 100 && cases.iter().all(|case| case["result"] == "pass"));

    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- name: labels\n  template: template.yaml\n  constraint: owner.yaml\n  cases:\n  - name: without\n    object: cart.yaml\n    assertions: [{violations: no}]\n";
    let failing = tree(&[
        ("template.yaml", &super::labels("K8sLabels", "")),
        ("owner.yaml", &wants("K8sLabels", "owner", "owner", "deny")),
        ("cart.yaml", &super::deployment("shop", "cart", "{app: cart}")),
        ("suite.yaml", suite),
    ]);
    let failing = failing.path().to_str().unwrap();
    let results = run(&["verify", failing, "-o", "json"]).ended(1, &[]).json();
    let case = &results["suites"][0]["tests"][0]["cases"][0];
    assert_eq!(case["result"], "fail");
    assert!(!case["message"].as_str().unwrap().is_empty());
    run(&["check", failing]).ended(1, &["suite.yaml"]);
    run(&["verify", failing, "--run", "nothing"]).ended(0, &[]);
    let none = tree(&[("readme.md", "")]);
    run(&["verify", none.path().to_str().unwrap()]).ended(2, &["suite"]);
    run(&["verify", "/nowhere/at/all"]).ended(2, &["/nowhere/at/all"]);
    let broken = tree(&[("suite.yaml", &suite.replace("template: template.yaml", "template: gone.yaml"))]);
    run(&["verify", broken.path().to_str().unwrap()]).ended(1, &["gone.yaml: no such file"]);
}

#[test]
fn audit_of_files_has_its_form_and_its_exit_codes_in_their_order() {
    let audit = |bundle: &str, objects: &str, more: &[&str]| {
        run(&[&["audit", "--bundle", bundle, "--objects", objects, "-o", "json"], more].concat())
    };
    let bundle = tree(&[
        ("template.yaml", &super::labels("K8sLabels", "")),
        ("owner.yaml", &wants("K8sLabels", "owner", "owner", "warn")),
    ]);
    let bundle = bundle.path().to_str().unwrap();
    let objects = tree(&[
        ("cart.yaml", &super::deployment("shop", "cart", "{app: cart}")),
        ("web.yaml", &super::deployment("shop", "web", "{owner: shop}")),
    ]);
    let objects = objects.path().to_str().unwrap();
    let ran = audit(bundle, objects, &[]).ended(0, &[]).json();
    has_fields(&ran, &["schema", "run", "findings", "ledger"]);
    has_fields(&ran["run"], &["id", "complete", "started", "finished", "objects"]);
    let finding = &ran["findings"][0];
    has_fields(
        finding,
        &[
            "constraint",
            "enforcementAction",
            "class",
            "operation",
            "via",
            "object",
            "subject",
            "message",
            "details",
            "severity",
            "fingerprint",
            "exemptBy",
        ],
    );
    assert_eq!(fields(&finding["constraint"]), ["kind", "name"]);
    has_fields(&finding["object"], &["group", "version", "kind", "namespace", "name"]);
    assert_eq!(finding["enforcementAction"], "warn", "git's target");
    let row = &ran["ledger"][0];
    has_fields(row, &["constraint", "group", "kind", "evaluated", "violated", "exempt", "errors", "holes"]);
    assert_eq!(
        (&row["evaluated"], &row["violated"], &ran["run"]["objects"]),
        (&json!(2), &json!(1), &json!(2))
    );

    audit(bundle, objects, &["--fail-on", "warn"]).ended(1, &[]);
    audit(bundle, objects, &["--fail-on", "any"]).ended(1, &[]);
    audit(bundle, objects, &["--fail-on", "none"]).ended(0, &[]);
    audit(bundle, "/nowhere/at/all", &[]).ended(2, &["/nowhere/at/all"]);
    audit("/nowhere/at/all", objects, &[]).ended(2, &["/nowhere/at/all"]);
    run(&["audit", "--bundle", bundle]).ended(2, &["--objects"]);
    std::fs::write(format!("{objects}/half.yaml"), "kind: [\n").unwrap();
    let holes = audit(bundle, objects, &["--fail-on", "warn"]).ended(3, &[]).json();
    assert_eq!(holes["run"]["complete"], false, "incomplete goes before violated");
    has_fields(&holes["ledger"][0]["holes"][0], &["class", "reason", "count"]);
}

/// A program with one audit of one violation.
fn audited() -> Program {
    let program = in_step("");
    program.run(&["audit", "--fail-on", "none"]).ended(0, &[]);
    program
}

#[test]
fn an_audit_of_the_cluster_is_stored_and_has_the_same_form() {
    let program = audited();
    let ran = program.run(&["audit", "-o", "json"]).ended(0, &[]).json();
    has_fields(&ran, &["schema", "run", "findings", "ledger"]);
    assert_eq!(ran["run"]["id"], 2);
    assert_eq!(ran["findings"][0]["constraint"], json!({"kind": "K8sLabels", "name": "owner"}));
    program.run(&["audit", "--fail-on", "any"]).ended(1, &[]);
    let status = program.run(&["status", "-o", "json"]).ended(0, &[]).json();
    assert_eq!(status["audit"]["id"], "3");
}

#[test]
fn status_rollout_and_plan_have_their_forms() {
    let program = audited();
    let status = program.run(&["status", "-o", "json"]).ended(0, &[]).json();
    has_fields(
        &status,
        &[
            "cluster",
            "instance",
            "daemon",
            "sync",
            "policies",
            "enforced",
            "audit",
            "findings",
            "outbox",
            "attention",
        ],
    );
    assert_eq!(status["sync"]["verdict"], "inStep");
    assert_eq!(status["sync"]["revision"], program.repo.head().as_str());
    assert_eq!(status["policies"], json!({"templates": 1, "deny": 0, "warn": 0, "dryrun": 1}));
    assert_eq!(status["enforced"], "simulated");

    let rollout = program.run(&["rollout", "status", "-o", "json"]).ended(0, &[]).json();
    let constraint = &rollout["constraints"][0];
    has_fields(
        constraint,
        &[
            "constraint",
            "stage",
            "target",
            "since",
            "hash",
            "candidate",
            "state",
            "waiting",
            "next",
            "wouldBlock",
        ],
    );
    assert_eq!((&constraint["stage"], &constraint["target"]), (&json!("dryrun"), &json!("deny")));
    assert_eq!(constraint["wouldBlock"][0]["name"], "cart");
    assert!(constraint["hash"].as_str().unwrap().starts_with("v1:"));
    program
        .run(&["rollout", "status", "K8sLabels/gone"])
        .ended(2, &["there is no constraint K8sLabels/gone"]);

    program.repo.commit("lower", &[(OWNER, &wants("K8sLabels", "owner", "app", "warn"))]);
    let plan = program.run(&["plan", "-o", "json"]).ended(0, &[]).json();
    has_fields(
        &plan,
        &["revision", "applied", "refused", "writes", "constraints", "prune", "notices", "problems"],
    );
    assert_eq!(plan["revision"], program.repo.head().as_str());
    assert_eq!(plan["writes"][0]["object"], "K8sLabels/owner");
    assert_eq!(plan["writes"][0]["change"], "updated");
    program.run(&["plan"]).ended(0, &["1 commit ahead of what is applied", "~ K8sLabels/owner"]);
    let again = program.run(&["plan", "-o", "json"]).ended(0, &[]).json();
    assert_eq!(
        (&again["writes"], &again["applied"]),
        (&plan["writes"], &plan["applied"]),
        "it changes nothing"
    );
}

#[test]
fn sync_has_its_form_and_its_exit_codes() {
    let program = in_step("");
    let ran = program.run(&["sync", "--once", "-o", "json"]).ended(0, &[]).json();
    has_fields(&ran, &["verdict", "revision", "reasons", "done"]);
    assert_eq!((&ran["verdict"], &ran["done"]), (&json!("inStep"), &json!([])));
    program.repo.commit("half", &[(OWNER, "kind: [\n")]);
    let ran = program.run(&["sync", "--once", "-o", "json"]).ended(1, &[]).json();
    assert_eq!(ran["verdict"], "refused");
    std::fs::rename(program.path("policies.git"), program.path("away.git")).unwrap();
    let ran = program.run(&["sync", "--once", "-o", "json"]).ended(2, &[]).json();
    assert_eq!(ran["verdict"], "failed");
    assert!(ran["reasons"][0].as_str().unwrap().contains("stays in force"));
}

#[test]
fn a_report_is_rendered_in_every_format() {
    let program = audited();
    let json = program.run(&["report", "--format", "json"]).ended(0, &[]).json();
    assert_eq!(json["schema"], "portcullis.dev/report/v1alpha1");
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    program.run(&["report"]).ended(0, &["1"]);
    program.run(&["report", "--format", "markdown"]).ended(0, &["## What changed", "K8sLabels/owner"]);
    let html = program.run(&["report", "--format", "html"]).ended(0, &["</html>", "K8sLabels/owner"]).out;
    let outside = ["src=\"http", "href=\"http", "@import", "url(http"];
    assert!(outside.iter().all(|reference| !html.contains(reference)), "nothing is loaded from elsewhere");
    let path = program.path("report.html");
    let written = program.run(&["report", "--format", "html", "--output", path.to_str().unwrap()]);
    assert!(written.ended(0, &[]).out.is_empty());
    assert!(std::fs::read_to_string(path).unwrap().contains("</html>"));
    program.run(&["report", "--run", "99"]).ended(2, &["there is no audit run #99"]);
}

#[test]
fn the_schema_of_the_configuration_is_json_schema() {
    let schema = run(&["config", "schema"]).ended(0, &[]).json();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"));
    has_fields(&schema["properties"], &["cluster", "source", "audit", "reports", "sinks", "rollout"]);
}
