//! Reports of the extremes: all well, very bad, incomplete, hostile.

use jiff::ToSpan;

use super::{
    NoticeLevel, Report, ReportInput, ReportProblem, SyncStatus, render_html,
    samples::{constraint, empty, finding, hole, judged, now, realistic},
};
use crate::{
    audit::{Class, HoleClass, Status},
    identity::Stage,
};

/// Twenty policies at deny, nothing open.
pub(super) fn excellent() -> ReportInput {
    let mut input = realistic();
    input.constraints = (0..21)
        .map(|at| {
            let mut state = constraint("K8sPolicy", &format!("number-{at:02}"), Stage::Deny);
            state.description = format!("Workloads keep rule number {at}");
            state.controls = vec![format!("cis-5.2.{}", at / 2)];
            state
        })
        .collect();
    input.ledger = input
        .constraints
        .iter()
        .flat_map(|state| [judged(state, "Pod", 812, 0), judged(state, "Deployment", 140, 0)])
        .collect();
    input.findings.clear();
    input.exemptions.clear();
    input.changes.clear();
    input.previous_score = Some(100.0);
    for (at, point) in input.trend.iter_mut().enumerate() {
        point.score = Some(if at < 4 { 99.2 } else { 100.0 });
        point.open = if at < 4 { 3 } else { 0 };
        point.complete = true;
    }
    input
}

/// Sixty policies and two thousand findings.
pub(super) fn terrible() -> ReportInput {
    let mut input = realistic();
    let stages = [Stage::Deny, Stage::Warn, Stage::Dryrun];
    input.constraints = (0..60_usize)
        .map(|at| {
            let mut state = constraint("K8sPolicy", &format!("number-{at:02}"), stages[at % 3]);
            state.severity =
                [super::Severity::Critical, super::Severity::High, super::Severity::Low][at % 7 % 3];
            state.description = format!("Workloads keep rule number {at}");
            state.owner = format!("team-{}@example.com", at % 5);
            if state.stage != Some(Stage::Deny) {
                state.next =
                    "soak 9d of 14d · 33 subjects violate, 0 allowed: Deployment shop/cart".to_owned();
            }
            state
        })
        .collect();
    input.findings = (0..2_000_usize)
        .map(|at| {
            let state = &input.constraints[at % 60 / 2 * 2];
            let status = [Status::Open, Status::Open, Status::New, Status::Regressed][at % 4];
            let (namespace, name) = (format!("team-{:02}", at % 37), format!("service-{at}"));
            finding(state, "Deployment", &namespace, &name, "container web keeps no rule at all", status)
        })
        .collect();
    input.ledger = input
        .constraints
        .iter()
        .enumerate()
        .map(|(at, state)| judged(state, "Deployment", 2_000, if at % 2 == 0 { 66 } else { 0 }))
        .collect();
    input.previous_score = Some(99.4);
    input
}

/// A run that could not see everything, a sync that was partial.
pub(super) fn incomplete() -> ReportInput {
    let mut input = realistic();
    if let Some(run) = &mut input.run {
        run.complete = false;
    }
    let mut unreadable = judged(&constraint("*", "*", Stage::Deny), "*", 0, 0);
    unreadable.group = "*".to_owned();
    unreadable.holes.push(hole(
        HoleClass::Unknown,
        "objects/shop/cart.yaml:14: found a tab where spaces are expected",
        1,
    ));
    input.ledger.push(unreadable);
    let mut forbidden = judged(&input.constraints[0], "DaemonSet", 0, 0);
    forbidden.holes.push(hole(
        HoleClass::Unknown,
        "LIST daemonsets.apps is forbidden for the service account",
        1,
    ));
    input.ledger.push(forbidden);
    let mut failed = input.findings[0].clone();
    failed.finding.class = Class::Error;
    failed.finding.message = "evaluation took longer than 500 ms".to_owned();
    input.findings.push(failed);
    input.sync.status = SyncStatus::Partial;
    input.sync.reasons = vec!["K8sAllowedRepos is refused".to_owned()];
    input.sync.problems = vec![ReportProblem {
        file: "policies/repos/constraint.yaml".to_owned(),
        line: 12,
        column: 5,
        severity: "error".to_owned(),
        code: "PC0201".to_owned(),
        message: "parameter `repo` is not in the schema of K8sAllowedRepos".to_owned(),
        hint: Some("did you mean `repos`? Gatekeeper refuses unknown parameters".to_owned()),
    }];
    input.enforced = "simulated".to_owned();
    input
}

/// Names and messages that try to be markup, and are very long.
pub(super) fn hostile() -> ReportInput {
    let mut input = realistic();
    let script = "</td></table><script>alert(1)</script>\"' onload=alert(1) <!-- ";
    let long = "a-very-long-name-".repeat(16);
    input.cluster.name = format!("prod-{script}");
    for state in &mut input.constraints {
        state.description = script.to_owned();
        state.owner = script.to_owned();
        state.next = format!("{script} {long}");
        state.controls.push(script.to_owned());
    }
    for finding in &mut input.findings {
        finding.finding.message =
            format!("{script}\n{long}\u{202e}reversed| `code` *bold* [link](http://example.com)");
        finding.finding.subject.name = long.clone();
        finding.finding.subject.namespace = script.to_owned();
        finding.finding.object.name = script.to_owned();
    }
    for change in &mut input.changes {
        change.object = script.to_owned();
        change.why = long.clone();
    }
    if let Some(source) = &mut input.source {
        source.subject = format!("{script}{long}");
    }
    input.exemptions[0].reason = script.to_owned();
    input.exemptions[0].name = long;
    for row in &mut input.ledger {
        row.holes.push(hole(HoleClass::NotEnforced, script, 1));
    }
    input
}

#[test]
#[ignore = "writes the samples to target/report-samples, to be looked at"]
#[allow(clippy::disallowed_methods)]
fn write_the_samples() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/report-samples");
    std::fs::create_dir_all(folder).unwrap();
    let mut none = empty();
    none.run = None;
    let all = [
        ("realistic", realistic()),
        ("excellent", excellent()),
        ("terrible", terrible()),
        ("incomplete", incomplete()),
        ("empty", empty()),
        ("none", none),
        ("hostile", hostile()),
    ];
    let since = Some(now() - (24 * 7).hours());
    for (name, input) in all {
        std::fs::write(format!("{folder}/{name}.html"), render_html(&Report::build_since(input, since)))
            .unwrap();
    }
}

#[test]
fn an_incomplete_run_is_said_first_and_loudly() {
    let report = Report::build(incomplete());
    let first = &report.notices[0];
    assert_eq!((first.level, first.title.as_str()), (NoticeLevel::Alarm, "This audit is incomplete"));
    let html = render_html(&report);
    assert!(html.find("This audit is incomplete").unwrap() < html.find("class=\"hero\"").unwrap());
}

#[test]
fn a_constraint_newer_than_the_run_is_not_judged_yet() {
    let mut input = excellent();
    let mut state = constraint("K8sPolicy", "newest", Stage::Dryrun);
    state.since = Some(now() - 1.minutes());
    input.constraints.push(state);
    let report = Report::build(input);
    assert_eq!(report.not_evaluated.not_audited.len(), 1);
    assert!(report.summary.coverage.unwrap() < 100.0);
}
