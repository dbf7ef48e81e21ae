//! Mistakes in the configuration: exit code 2 before anything is opened, at its line, with the way out.

use super::{enforced, in_step};
use crate::support::program::Program;

const SOURCE: &str = "source: {url: policies.git, branch: main, interval: 1s}\nstate: state\n";

/// `run`, `sync` and `config check` all refuse a configuration, and nothing that is enforced changes.
fn refused(base: &str, more: &str, phrases: &[&str]) {
    let program = in_step("");
    let before = enforced(&program);
    program.configure(base, more);
    for command in [["run"].as_slice(), &["sync", "--once"], &["config", "check"]] {
        program.run(command).ended(2, &[&["portcullis.yaml:"], phrases].concat());
    }
    assert_eq!(enforced(&program), before);
}

#[test]
fn a_mistake_in_a_cron_expression() {
    refused(SOURCE, "audit: {schedule: \"*/15 * * *\"}", &["schedule", "*/15 * * *"]);
    refused(
        SOURCE,
        "reports:\n  - {name: weekly, schedule: \"0 8 * * MOO\", formats: [json], to: [f]}\nsinks: [{name: f, type: file, path: out}]",
        &["MOO"],
    );
}

#[test]
fn an_unknown_time_zone() {
    refused(SOURCE, "audit: {timezone: Europe/Berln}", &["Europe/Berln", "timezone"]);
}

#[test]
fn a_typo_in_a_field_is_answered_with_a_suggestion() {
    refused(
        "source: {url: policies.git, brnch: main}\nstate: state\n",
        "",
        &["brnch", "did you mean `branch`"],
    );
    refused(SOURCE, "audti: {}", &["audti", "did you mean `audit`"]);
}

#[test]
fn what_a_later_version_acts_on_is_refused_by_its_key() {
    refused(
        "source: {url: policies.git, verify: {require: Commit}}\nstate: state\n",
        "",
        &["source.verify", "not supported yet"],
    );
    refused("source: {url: \"ssh://git@example.com/p.git\"}\nstate: state\n", "", &["source.url", "ssh"]);
    refused(SOURCE, "storage: {url: \"postgres://db/portcullis\"}", &["storage.url", "PostgreSQL"]);
    refused(
        SOURCE,
        "server: {listen: \"127.0.0.1:0\", hooks: {git: {provider: github, secretFile: key}}}",
        &["server.hooks"],
    );
    for sink in ["slack", "teams", "alertmanager", "pagerduty"] {
        refused(
            SOURCE,
            &format!("sinks: [{{name: chat, type: {sink}, urlFile: url}}]"),
            &[sink, "not supported yet"],
        );
    }
}

#[test]
fn a_kubernetes_cluster_is_refused_by_its_key() {
    let program = in_step("");
    let text = std::fs::read_to_string(program.path("portcullis.yaml")).unwrap();
    let text = text.replace("directory: cluster", "kubernetes: {}");
    std::fs::write(program.path("portcullis.yaml"), text).unwrap();
    program.run(&["run"]).ended(2, &["cluster.kubernetes", "not supported yet", "cluster.directory"]);
}

#[test]
fn what_has_no_effect_yet_is_said_at_the_start() {
    let program =
        in_step("lease: {duration: 15s}\ngatekeeper: {namespace: gatekeeper-system}\napply: {qps: 20}");
    program.run(&["config", "check"]).ended(0, &["`lease`", "`gatekeeper`", "`apply.qps`", "no effect yet"]);
    let daemon = program.start();
    crate::support::program::eventually("it says so", || {
        let log = daemon.log();
        ["lease", "gatekeeper", "apply.qps"].iter().all(|key| log.contains(&format!("`{key}` is accepted")))
    });
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn all_mistakes_are_said_at_once() {
    let program = Program::new("");
    program.configure(
        "source: {url: policies.git, brnch: main}\nstate: state\n",
        "audit: {timezone: Mars}\ninstanze: x",
    );
    program.run(&["config", "check"]).ended(2, &["brnch", "instanze", "has", "problems"]);
}

#[test]
fn a_configuration_that_is_not_there() {
    let program = Program::new("");
    std::fs::remove_file(program.path("portcullis.yaml")).unwrap();
    program.run(&["run"]).ended(2, &["cannot read the configuration", "portcullis.yaml"]);
    crate::support::program::run(&["run"])
        .ended(2, &["no configuration is named", "--config", "PORTCULLIS_CONFIG"]);
}

#[test]
fn a_variable_overrides_a_scalar_and_a_wrong_one_is_refused() {
    let program = in_step("");
    let with = |name: &str, value: &str| {
        let output = program.command(&["config", "check"]).env(name, value).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(with("PORTCULLIS__AUDIT__TIMEZONE", "Europe/Berlin").0, 0);
    assert_eq!(with("PORTCULLIS_PORT", "tcp://10.0.0.1:80").0, 0, "Kubernetes puts such a variable there");
    let (code, said) = with("PORTCULLIS__AUDIT__TIMEZONE", "Mars");
    assert!(code == 2 && said.contains("PORTCULLIS__AUDIT__TIMEZONE") && said.contains("Mars"), "{said}");
}
