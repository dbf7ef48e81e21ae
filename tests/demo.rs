//! The demo, as a person sees it: its story, and the three commands it prints, run as they are printed.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::support::program::{Ran, binary, run};

fn demo(folder: &Path) -> Ran {
    run(&["demo", "--keep", folder.to_str().unwrap()])
}

/// The lines of a numbered step, the heading included.
fn step<'a>(said: &'a str, number: u8, name: &str) -> Vec<&'a str> {
    let mut lines = said.lines().skip_while(|line| !line.starts_with(&format!("{number} {name}")));
    let first = lines.next().unwrap_or_else(|| panic!("no step {number} {name} in:\n{said}"));
    let rest = lines.take_while(|line| line.starts_with(' '));
    std::iter::once(first).chain(rest).collect()
}

#[test]
fn the_demo_tells_its_story_and_its_three_commands_work_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    // Made by the demo, and with a space in it, so that quoting is tried too.
    let keep = folder.path().join("the demo");
    let ran = demo(&keep).ended(0, &[]);
    assert!(ran.err.is_empty(), "{}", ran.err);
    let said = &ran.out;
    assert!(!said.contains('\u{1b}'), "no colours off a terminal");

    assert!(step(said, 1, "pushed")[0].contains("git repository"));
    assert!(step(said, 2, "checked")[0].contains("6 templates, 6 constraints, 6 suites passed: 0 errors"));
    let entered = step(said, 3, "in dryrun");
    assert_eq!(entered.len(), 7, "{entered:?}");
    assert!(entered[1..].iter().all(|line| line.trim_end().ends_with("dryrun")), "{entered:?}");
    assert!(step(said, 4, "audited")[0].contains("findings"));
    let promoted = step(said, 5, "promoted").join("\n");
    assert!(promoted.contains("dryrun → warn") && promoted.contains("warn → deny"), "{promoted}");
    assert!(promoted.contains("0 subjects violate"), "{promoted}");
    let held = step(said, 6, "held").join("\n");
    assert!(held.contains("would block Deployment shop/"), "{held}");
    let refused = step(said, 7, "refused").join("\n");
    assert!(refused.contains("required-annotations/template.yaml:") && refused.contains("PC"), "{refused}");
    assert!(step(said, 8, "reported")[0].contains("every signature verified"));

    what_it_leaves(&keep);
    let printed: Vec<&str> = said
        .lines()
        .skip_while(|line| *line != "what to try next")
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(printed.len(), 3, "{printed:?}");
    let shell = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).env_clear().env("PATH", "/usr/bin:/bin").output();
        let output = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, status, err) = shell(printed[0]);
    assert_eq!(code, 0, "{err}");
    assert!(status.starts_with("demo ") && status.contains("6 templates, 6 constraints"), "{status}");
    let (code, rollout, err) = shell(printed[1]);
    assert_eq!(code, 0, "{err}");
    assert!(rollout.starts_with("CONSTRAINT") && rollout.lines().count() == 7, "{rollout}");
    assert!(rollout.contains(" deny ") && rollout.contains("refused in git, stays as enforced"), "{rollout}");
    // The repository still has the bad commit at its head: that is what check is there to say.
    let (code, check, _) = shell(printed[2]);
    assert_eq!(code, 1);
    assert!(check.contains("required-annotations/template.yaml:"), "{check}");
}

/// The report that arrived, the repository and a configuration with which the daemon could go on.
fn what_it_leaves(keep: &Path) {
    let report: Value = serde_json::from_slice(&std::fs::read(keep.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], "portcullis.dev/report/v1alpha1");
    assert_eq!(report["provenance"]["enforced"], "simulated");
    let changes = report["changes"].as_array().unwrap();
    let count = |what: &str| changes.iter().filter(|change| change["what"] == what).count();
    assert_eq!(count("added"), 12, "templates and constraints");
    assert!(count("promoted") >= 2 && count("refused") == 1, "{changes:?}");
    let html = std::fs::read_to_string(keep.join("report.html")).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"));
    assert!(keep.join("repository/.git").is_dir());
    let config = keep.join("portcullis.yaml");
    let checked = run(&["config", "check", "--config", config.to_str().unwrap()]);
    checked.ended(0, &[]);
}

#[test]
fn the_demo_takes_an_empty_folder_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    demo(folder.path()).ended(2, &["is not empty"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let below_a_file = folder.path().join("mine.txt/demo");
    demo(&below_a_file).ended(2, &["cannot"]);
    assert!(binary().args(["demo", "--keep"]).output().unwrap().status.code() == Some(2));
}
