//! `portcullis check` on trees of files: what people and machines see.

use std::{fs, path::Path};

use clap::Parser as _;
use jiff::civil::date;
use portcullis::{
    cli::{
        Exit,
        check::{Args, Checked, check},
        problems::Format,
    },
    clock::ManualClock,
};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn checked(arguments: &[&str]) -> Checked {
    let args = Cli::parse_from(["check"].iter().chain(arguments)).args;
    let now = date(2026, 11, 21).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    check(&args, &ManualClock::new(now)).unwrap()
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn bad_documents_are_shown_with_their_lines() {
    let checked = checked(&["tests/check/bad"]);
    insta::assert_snapshot!(plain(&checked.print(Format::Text, None)));
    assert_eq!(checked.exit(false), Exit::Found);
}

#[test]
fn the_layout_is_explained() {
    let checked = checked(&["tests/check/bad"]);
    insta::assert_snapshot!(checked.layout(Format::Text));
}

#[test]
fn machines_get_an_array_with_the_fields_promised() {
    let checked = checked(&["tests/check/bad/other.yaml"]);
    let array: serde_json::Value = serde_json::from_str(&checked.print(Format::Json, None)).unwrap();
    let items = array.as_array().unwrap();
    assert_eq!(items.len(), checked.bundle.problems.len());
    for item in items {
        for field in ["code", "severity", "message", "hint", "file", "line", "column"] {
            assert!(item.get(field).is_some(), "{field} in {item}");
        }
    }
    assert_eq!(items[0]["file"], "tests/check/bad/other.yaml");
}

#[test]
fn the_starter_bundle_passes_even_strictly() {
    let checked = checked(&["bundles/starter", "--strict"]);
    let text = plain(&checked.print(Format::Text, None));
    assert_eq!(checked.exit(true), Exit::Ok, "{text}");
    assert!(text.starts_with("checked 21 documents: 6 templates, 6 constraints"), "{text}");
    assert!(text.ends_with("no problems\n"), "{text}");
}

#[test]
fn a_failing_suite_is_an_error_at_its_case() {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new("bundles/starter/run-as-non-root"), folder.path());
    let suite = fs::read_to_string(folder.path().join("suite.yaml")).unwrap();
    fs::write(folder.path().join("suite.yaml"), suite.replacen("violations: no", "violations: yes", 1))
        .unwrap();
    let checked = checked(&[folder.path().to_str().unwrap()]);
    let errors: Vec<_> =
        checked.bundle.problems.iter().map(|problem| (problem.code, problem.span.line > 1)).collect();
    assert_eq!(errors, [("PC0401", true)], "{:?}", checked.bundle.problems);
    assert_eq!(checked.exit(false), Exit::Found);
}

#[test]
fn nothing_to_check_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let args = Cli::parse_from(["check", folder.path().to_str().unwrap()]).args;
    let clock = ManualClock::new(jiff::Timestamp::UNIX_EPOCH);
    let error = check(&args, &clock).unwrap_err();
    assert!(error.message.starts_with("no policy document found in "), "{}", error.message);
    let args = Cli::parse_from(["check", "no/such/folder"]).args;
    let error = check(&args, &clock).unwrap_err();
    assert_eq!((error.exit, error.causes[0].as_str()), (Exit::CouldNotRun, "no/such/folder cannot be read"));
}

#[test]
fn mistakes_in_rego_stand_in_the_lines_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let template = fs::read_to_string("tests/check/bad/labels/template.yaml").unwrap();
    let broken = template.replace("label := input", "label = := input");
    fs::write(folder.path().join("template.yaml"), &broken).unwrap();
    let checked = checked(&[folder.path().to_str().unwrap()]);
    let problem = checked.bundle.problems.iter().find(|problem| problem.code == "PC0104").unwrap();
    let line = broken.lines().position(|line| line.contains("= :=")).unwrap() + 1;
    assert!(problem.message.contains("of the Rego)"), "{problem:?}");
    assert!((line - 4..=line + 1).contains(&(problem.span.line as usize)), "{problem:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
