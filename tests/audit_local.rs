//! `portcullis audit --bundle`: findings, ledger and exit codes, of files alone.

use std::{fs, path::Path};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: owners}
spec:
  crd: {spec: {names: {kind: Owners}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package owners
      violation[{"msg": msg, "details": {"missing": "owner"}}] {
        not input.review.object.metadata.labels.owner
        msg := sprintf("%v has no owner", [input.review.object.metadata.name])
      }
"#;

/// A folder with `bundle/` (the template and a constraint on Pods with this enforcementAction) and `objects/`.
fn folder(action: &str, objects: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("objects")).unwrap();
    write(&folder, "bundle/template.yaml", TEMPLATE);
    write(&folder, "bundle/constraint.yaml", &constraint(action));
    for (name, text) in objects {
        write(&folder, &format!("objects/{name}"), text);
    }
    folder
}

fn constraint(action: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Owners\nmetadata: {{name: pods}}\nspec:\n  enforcementAction: {action}\n  match: {{kinds: [{{apiGroups: [\"\"], kinds: [Pod]}}]}}\n"
    )
}

fn write(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn pod(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop{more}}}\n")
}

fn audit(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("portcullis")
        .unwrap()
        .current_dir(folder)
        .args(["audit", "--bundle", "bundle", "--objects", "objects"])
        .args(more)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(folder: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let (code, out, error) = audit(folder, &[&["-o", "json"], more].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
}

#[test]
fn the_json_form_says_what_was_found_and_what_was_evaluated() {
    let list = format!(
        "{}---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Service, metadata: {{name: s}}}}\n",
        pod("web", "")
    );
    let folder = folder("deny", &[("a.yaml", &list), ("b.yaml", &pod("ok", ", labels: {owner: a}"))]);
    let (code, json) = json(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert_eq!(json["schema"], "portcullis.dev/audit/v1alpha1");
    assert_eq!((&json["run"]["objects"], &json["run"]["complete"]), (&json!(3), &json!(true)));
    let fingerprint = json["findings"][0]["fingerprint"].as_str().unwrap();
    assert!(fingerprint.starts_with("f1:") && fingerprint.len() == 35, "{fingerprint}");
    assert_eq!(
        json["findings"],
        json!([{
            "constraint": {"kind": "Owners", "name": "pods"}, "enforcementAction": "deny", "class": "violation",
            "operation": "", "via": "",
            "object": {"group": "", "version": "v1", "kind": "Pod", "namespace": "shop", "name": "web"},
            "subject": {"group": "", "kind": "Pod", "namespace": "shop", "name": "web"},
            "message": "web has no owner", "details": {"missing": "owner"}, "severity": "medium",
            "fingerprint": fingerprint, "exemptBy": "", "uncounted": false, "source": "objects/a.yaml:1",
        }])
    );
    assert_eq!(
        json["ledger"],
        json!([{
            "constraint": {"kind": "Owners", "name": "pods"}, "group": "", "kind": "Pod",
            "evaluated": 2, "violated": 1, "exempt": 0, "errors": 0, "holes": [],
        }])
    );
}

#[test]
fn fail_on_chooses_what_makes_the_exit_code_one() {
    for (action, expected) in [
        ("deny", [("deny", 1), ("warn", 1), ("any", 1), ("none", 0)]),
        ("warn", [("deny", 0), ("warn", 1), ("any", 1), ("none", 0)]),
        ("dryrun", [("deny", 0), ("warn", 0), ("any", 1), ("none", 0)]),
    ] {
        let folder = folder(action, &[("a.yaml", &pod("web", ""))]);
        for (fail_on, code) in expected {
            assert_eq!(audit(folder.path(), &["--fail-on", fail_on]).0, Some(code), "{action} {fail_on}");
        }
        assert_eq!(audit(folder.path(), &[]).0, Some(expected[0].1), "{action}");
    }
}

#[test]
fn what_could_not_be_read_makes_the_run_incomplete() {
    let folder = folder("deny", &[("a.yaml", &pod("web", "")), ("b.yaml", "kind: [\n")]);
    write(&folder, "objects/c.yaml", &pod("flag", ", labels: {on: yes}"));
    let (code, json) = json(folder.path(), &["--fail-on", "none"]);
    assert_eq!(code, Some(3));
    assert_eq!((&json["run"]["objects"], &json["run"]["complete"]), (&json!(1), &json!(false)));
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    let everywhere = &json["ledger"][0];
    assert_eq!(everywhere["constraint"], json!({"kind": "*", "name": "*"}));
    let reasons: Vec<&str> =
        everywhere["holes"].as_array().unwrap().iter().map(|hole| hole["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].starts_with("objects/b.yaml:"), "{reasons:?}");
    assert!(reasons[1].starts_with("objects/c.yaml:1: metadata.labels holds"), "{reasons:?}");
    let (_, text, _) = audit(folder.path(), &[]);
    assert!(text.contains("not evaluated") && text.contains("objects/b.yaml:"), "{text}");
}

#[test]
fn a_refused_policy_is_a_hole_and_the_others_go_on() {
    let folder = folder("deny", &[("a.yaml", &pod("web", ""))]);
    write(
        &folder,
        "bundle/broken.yaml",
        &TEMPLATE
            .replace("owners", "broken")
            .replace("Owners", "Broken")
            .replace("not input", "not not ) input"),
    );
    write(&folder, "bundle/broken-constraint.yaml", &constraint("deny").replace("Owners", "Broken"));
    let (code, out, error) = audit(folder.path(), &["-o", "json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("bundle/broken.yaml"), "{error}");
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    let row = &json["ledger"][0];
    assert_eq!(row["constraint"], json!({"kind": "Broken", "name": "pods"}));
    assert!(row["holes"][0]["reason"].as_str().unwrap().starts_with("policy refused: "), "{row}");
}

#[test]
fn two_where_nothing_can_be_judged() {
    let empty = TempDir::new().unwrap();
    fs::create_dir_all(empty.path().join("bundle")).unwrap();
    fs::create_dir_all(empty.path().join("objects")).unwrap();
    assert_eq!(audit(empty.path(), &[]).0, Some(2));
    let folder = folder("deny", &[("a.yaml", &pod("web", ""))]);
    fs::remove_dir_all(folder.path().join("objects")).unwrap();
    let (code, out, error) = audit(folder.path(), &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.contains("the objects cannot be read") && error.contains("objects"), "{error}");
}

#[test]
fn exempt_findings_are_shown_and_fail_nothing() {
    let folder = folder("deny", &[("a.yaml", &pod("web", ""))]);
    write(
        &folder,
        "bundle/exemption.yaml",
        "apiVersion: portcullis.dev/v1alpha1\nkind: Exemption\nmetadata: {name: shop-is-excused}\nspec:\n  constraints: [{kind: Owners, name: pods}]\n  namespaces: [shop]\n  owner: team@example.com\n  reason: it is\n",
    );
    let (code, json) = json(folder.path(), &[]);
    assert_eq!(code, Some(0), "{json}");
    assert_eq!(json["findings"][0]["exemptBy"], "shop-is-excused");
    assert_eq!((&json["ledger"][0]["violated"], &json["ledger"][0]["exempt"]), (&json!(0), &json!(1)));
}

#[test]
fn semantics_and_namespace_decide_where_a_manifest_lies() {
    let folder = folder("deny", &[("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n")]);
    let namespace = |more: &[&str]| json(folder.path(), more).1["findings"][0]["object"]["namespace"].clone();
    assert_eq!(namespace(&[]), "default");
    assert_eq!(namespace(&["--namespace", "shop"]), "shop");
    assert_eq!(namespace(&["--semantics", "gator"]), "");
}

#[test]
fn objects_come_through_standard_input_too() {
    let folder = folder("deny", &[]);
    let output = Command::cargo_bin("portcullis")
        .unwrap()
        .current_dir(folder.path())
        .args(["audit", "--bundle", "bundle", "--objects", "-"])
        .write_stdin(pod("web", ""))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(text, @r"
    shop/web (Pod, -:1)
      deny    Owners/pods  web has no owner

    1 finding on 1 of 1 object; 1 would be denied
    ");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn many_workers_find_the_same_in_the_same_order() {
    let texts: Vec<(String, String)> = (0..60)
        .map(|n| {
            (format!("{n}.yaml"), (0..7).map(|m| format!("---\n{}", pod(&format!("p{n}-{m}"), ""))).collect())
        })
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = folder("deny", &files);
    let (_, first) = json(folder.path(), &[]);
    let (_, second) = json(folder.path(), &[]);
    assert_eq!(first["findings"].as_array().unwrap().len(), 420);
    assert_eq!(first["findings"], second["findings"]);
    assert_eq!(first["ledger"], second["ledger"]);
}

#[test]
fn a_stopped_run_is_incomplete() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use portcullis::{
        edge::objects::ObjectSource,
        pipeline::judge::{RunOptions, Watch, audit_files},
    };
    use portcullis_core::audit::PolicySet;

    let folder = folder("deny", &[("a.yaml", &pod("web", "")), ("b.yaml", &pod("db", ""))]);
    let source = ObjectSource::open(&[folder.path().join("objects")]).unwrap();
    let run = |cancel: bool| {
        let (cancel, progress) = (AtomicBool::new(cancel), AtomicU64::new(0));
        let watch = Watch { cancel: &cancel, progress: &progress };
        let set = Arc::new(PolicySet::default());
        let outcome = audit_files(&set, &source, &RunOptions::default(), jiff::Timestamp::UNIX_EPOCH, watch);
        (outcome.objects, outcome.ledger.complete(), progress.load(Ordering::Relaxed))
    };
    assert_eq!(run(false), (2, true, 2));
    assert_eq!(run(true), (0, false, 0));
}
