//! What the starter policies find: in the demo's cluster, and in public manifests as `gator test` does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;
use portcullis::{
    cli::audit_local::{Args, LocalAudit, SemanticsArg, audit},
    clock::ManualClock,
};

use super::{bundle, policies};

/// A day on which the bundle's Exemption is in force.
const DAY: &str = "2026-12-01T09:00:00Z";

fn run(objects: &Path, semantics: SemanticsArg) -> LocalAudit {
    let args =
        Args { bundle: vec![bundle()], objects: vec![objects.to_owned()], semantics, ..Args::default() };
    let clock = ManualClock::new(DAY.parse::<Timestamp>().unwrap());
    let audit = audit(&args, &clock).unwrap();
    assert!(audit.problems.is_empty(), "{:?}", audit.problems);
    audit
}

fn totals(audit: &LocalAudit) -> BTreeMap<String, usize> {
    let mut totals = BTreeMap::new();
    for finding in &audit.outcome.findings {
        *totals.entry(finding.constraint.name.clone()).or_default() += 1;
    }
    totals
}

fn expected(totals: &[(&str, usize)]) -> BTreeMap<String, usize> {
    totals.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/objects")
}

/// The corpus of public manifests, where there is one.
fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("PORTCULLIS_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no corpus; name one in PORTCULLIS_CORPUS");
    None
}

/// `gator`, where it is named or in the PATH.
fn gator() -> Option<PathBuf> {
    let named = std::env::var_os("PORTCULLIS_GATOR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| std::env::split_paths(&path).map(|p| p.join("gator")).find(|p| p.is_file()));
    if found.is_none() {
        eprintln!("skipped: no gator; name one in PORTCULLIS_GATOR");
    }
    found
}

#[test]
fn the_demo_violates_what_its_readme_says() {
    let audit = run(&demo(), SemanticsArg::Cluster);
    assert_eq!(audit.outcome.objects, 59);
    assert!(audit.outcome.ledger.complete());
    assert_eq!(
        totals(&audit),
        expected(&[
            ("allowed-registries", 2),
            ("container-limits", 15),
            ("namespace-owner", 2),
            ("run-as-non-root", 12),
            ("workload-runbook", 3),
        ])
    );
    let exempt: Vec<_> =
        audit.outcome.findings.iter().filter(|finding| !finding.exempt_by.is_empty()).collect();
    assert_eq!(exempt.len(), 8);
    assert!(exempt.iter().all(|finding| finding.exempt_by == "cni-needs-root"));

    let mut subjects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in &audit.outcome.findings {
        if finding.exempt_by.is_empty() && !finding.uncounted {
            let of = subjects.entry(finding.constraint.name.clone()).or_default();
            of.insert(finding.subject.to_string());
        }
    }
    let found: Vec<(&str, Vec<&str>)> = subjects
        .iter()
        .map(|(name, subjects)| (name.as_str(), subjects.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        found,
        [
            ("allowed-registries", vec!["StatefulSet data/cache"]),
            (
                "container-limits",
                vec![
                    "CronJob billing/invoice",
                    "DaemonSet monitoring/node-exporter",
                    "Deployment shop/search"
                ]
            ),
            ("namespace-owner", vec!["Namespace data", "Namespace monitoring"]),
            ("run-as-non-root", vec!["CronJob billing/invoice"]),
            (
                "workload-runbook",
                vec![
                    "CronJob billing/invoice",
                    "DaemonSet monitoring/node-exporter",
                    "StatefulSet data/cache"
                ]
            ),
        ]
    );
    let uncounted = audit.outcome.findings.iter().filter(|finding| finding.uncounted).count();
    assert_eq!(uncounted, 6);
}

#[test]
fn the_corpus_is_judged_as_it_was_checked_by_hand() {
    let Some(corpus) = corpus() else { return };
    let audit = run(&corpus, SemanticsArg::Gator);
    assert_eq!(audit.outcome.objects, 1250);
    assert!(audit.outcome.ledger.complete(), "{:#?}", audit.outcome.ledger);
    assert_eq!(
        totals(&audit),
        expected(&[
            ("allowed-registries", 249),
            ("container-limits", 418),
            ("namespace-owner", 21),
            ("no-privileged-containers", 17),
            ("run-as-non-root", 191),
            ("workload-runbook", 164),
        ])
    );
}

#[test]
fn findings_are_those_of_gator() {
    let Some(gator) = gator() else { return };
    for objects in [Some(demo()), corpus()].into_iter().flatten() {
        let mut command = Command::new(&gator);
        command.args(["test", "-o", "json", "-f"]).arg(&objects);
        for folder in policies() {
            command.arg("-f").arg(folder.join("template.yaml")).arg("-f").arg(folder.join("constraint.yaml"));
        }
        let output = command.output().unwrap();
        let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &serde_json::Value, pointer: &str| {
            value.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        let mut theirs: Vec<[String; 6]> = results
            .as_array()
            .unwrap()
            .iter()
            .map(|result| {
                [
                    text(result, "/constraint/metadata/name"),
                    text(result, "/violatingObject/apiVersion"),
                    text(result, "/violatingObject/kind"),
                    text(result, "/violatingObject/metadata/namespace"),
                    text(result, "/violatingObject/metadata/name"),
                    text(result, "/msg"),
                ]
            })
            .collect();
        let audit = run(&objects, SemanticsArg::Gator);
        let mut ours: Vec<[String; 6]> = audit
            .outcome
            .findings
            .iter()
            .map(|finding| {
                let object = &finding.object;
                let version = if object.group.is_empty() {
                    object.version.clone()
                } else {
                    format!("{}/{}", object.group, object.version)
                };
                [
                    finding.constraint.name.clone(),
                    version,
                    object.kind.clone(),
                    object.namespace.clone(),
                    object.name.clone(),
                    finding.message.clone(),
                ]
            })
            .collect();
        theirs.sort();
        ours.sort();
        let only = |these: &[[String; 6]], those: &[[String; 6]]| -> Vec<[String; 6]> {
            these.iter().filter(|item| !those.contains(item)).take(5).cloned().collect()
        };
        assert!(
            ours == theirs,
            "{} and gator's {} findings differ\nonly ours: {:#?}\nonly gator's: {:#?}",
            ours.len(),
            theirs.len(),
            only(&ours, &theirs),
            only(&theirs, &ours)
        );
    }
}
