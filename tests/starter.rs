//! The starter bundle: its suites, its shape, and what it finds in public manifests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the functions that tests share fail as tests do"
)]

mod findings;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use portcullis::{cli::verify::verify, clock::ManualClock};
use portcullis_core::{
    document::{Limits, Node, yaml},
    policy::{TemplateSpec, compile},
    suite::Verdict,
};

fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles/starter")
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::UNIX_EPOCH)
}

fn read(path: &Path) -> Vec<Node> {
    let bytes = fs::read(path).unwrap();
    yaml::read(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn policies() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(bundle())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

#[test]
fn all_suites_pass() {
    let verification = verify(&bundle(), "", &clock()).unwrap();
    assert_eq!(verification.suites.len(), 6);
    for suite in &verification.suites {
        assert_eq!(suite.verdict(), Verdict::Pass, "{:#?}", suite.problems());
    }
    let counts = verification.counts();
    assert!(counts.passed >= 170 && counts.failed == 0 && counts.skipped == 0, "{counts:?}");
}

#[test]
fn every_policy_has_its_files_and_every_sample_is_used() {
    assert_eq!(policies().len(), 6);
    for folder in policies() {
        for file in ["template.yaml", "constraint.yaml", "suite.yaml", "README.md"] {
            assert!(folder.join(file).is_file(), "{}/{file}", folder.display());
        }
        let suite = fs::read_to_string(folder.join("suite.yaml")).unwrap();
        for entry in walkdir::WalkDir::new(folder.join("samples")) {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            if entry.file_type().is_file() {
                assert!(
                    suite.contains(&format!(": {path}\n")),
                    "{path} is in no case of {}",
                    folder.display()
                );
            }
        }
    }
}

#[test]
fn the_pod_policies_share_one_library() {
    let mut copies = BTreeSet::new();
    let mut users = 0;
    for folder in policies() {
        let template = read(&folder.join("template.yaml")).remove(0);
        for library in template.find("/spec/targets/0/libs").map_or(&[][..], Node::items) {
            let text = library.as_str().unwrap();
            if text.starts_with("package lib.workload\n") {
                users += 1;
                copies.insert(text.to_owned());
            }
        }
    }
    assert_eq!((users, copies.len()), (4, 1));
}

#[test]
fn the_pod_policies_judge_the_workload_kinds() {
    for folder in ["run-as-non-root", "no-privileged-containers", "container-limits", "allowed-registries"] {
        let constraint = read(&bundle().join(folder).join("constraint.yaml")).remove(0);
        let kinds: BTreeSet<String> = constraint
            .find("/spec/match/kinds")
            .unwrap()
            .items()
            .iter()
            .flat_map(|entry| entry.get("kinds").unwrap().items())
            .map(|kind| kind.as_str().unwrap().to_owned())
            .collect();
        let expected = [
            "Pod",
            "Deployment",
            "DaemonSet",
            "StatefulSet",
            "ReplicaSet",
            "ReplicationController",
            "Job",
            "CronJob",
        ];
        assert_eq!(kinds, expected.into_iter().map(str::to_owned).collect(), "{folder}");
    }
}

#[test]
fn constraints_say_what_reports_show() {
    for folder in policies() {
        let constraint = read(&folder.join("constraint.yaml")).remove(0);
        assert_eq!(constraint.find("/spec/enforcementAction").and_then(Node::as_str), Some("deny"));
        assert!(constraint.find("/spec/match/excludedNamespaces").is_none(), "exceptions are Exemptions");
        let annotations = constraint.find("/metadata/annotations").unwrap();
        let text = |key: &str| annotations.get(key).and_then(Node::as_str).unwrap().to_owned();
        assert!(["low", "medium", "high", "critical"].contains(&text("portcullis.dev/severity").as_str()));
        assert!(!text("portcullis.dev/controls").is_empty());
        assert!(text("portcullis.dev/description").len() < 80);
    }
}

#[test]
fn a_broken_suite_and_none_at_all_are_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let none = verify(folder.path(), "", &clock()).unwrap_err();
    assert_eq!(none.exit, portcullis::cli::Exit::CouldNotRun);
    assert!(verify(&folder.path().join("absent"), "", &clock()).is_err());
    assert!(verify(&bundle(), "(", &clock()).is_err());

    let broken = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests: [\n";
    fs::write(folder.path().join("suite.yaml"), broken).unwrap();
    let verification = verify(folder.path(), "", &clock()).unwrap();
    assert!(verification.suites[0].error.is_some());
}

#[test]
fn dots_at_the_end_of_a_path_say_what_is_done_anyway() {
    let dots = verify(&bundle().join("required-labels/..."), "", &clock()).unwrap();
    let folder = verify(&bundle().join("required-labels"), "", &clock()).unwrap();
    let file = verify(&bundle().join("required-labels/suite.yaml"), "", &clock()).unwrap();
    assert_eq!(dots, folder);
    assert_eq!(folder, file);
}

#[test]
fn run_chooses_tests_and_cases() {
    let chosen = verify(&bundle(), "namespaces-have-an-owner//^allowed$", &clock()).unwrap();
    assert_eq!(chosen.counts().passed, 1);
    assert_eq!(chosen.suites.iter().filter(|suite| suite.counts().passed > 0).count(), 1);
}

#[test]
fn the_demo_breaks_one_line_of_a_template() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/broken-template.yaml");
    let good = fs::read_to_string(bundle().join("required-annotations/template.yaml")).unwrap();
    let broken = fs::read_to_string(&demo).unwrap();
    assert_eq!(good.lines().count(), broken.lines().count());
    assert_eq!(good.lines().zip(broken.lines()).filter(|(good, broken)| good != broken).count(), 1);

    let spec = TemplateSpec::from_json(&read(&demo).remove(0).to_json()).unwrap();
    assert!(compile(&spec).is_err());
}
