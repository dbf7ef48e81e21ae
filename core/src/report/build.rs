//! From facts to the model.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;

use super::{
    ConstraintRow, ExemptionState, Provenance, Report, ReportFinding, ReportInput, SCHEMA, Score, Severity,
    Source, Standing, Summary,
    constraints::{self, is_open, size},
    gaps, notices,
    score::Tallies,
    sentences,
};
use crate::{
    audit::{Class, Status, Subject},
    identity::{ConstraintId, Fingerprint, Stage},
};

/// An exemption that ends within so many days is announced.
const SOON: i64 = 30;

impl Report {
    /// The report that these facts make, compared with the audit before. The same facts, in whatever order, make
    /// the same report.
    pub fn build(input: ReportInput) -> Self {
        Self::build_since(input, None)
    }

    /// The report that these facts make, compared with the previous report, made at `since`: what was first seen
    /// after it is new. `fixed`, `previous_score` and `changes` are expected to be since then too.
    pub fn build_since(mut input: ReportInput, since: Option<Timestamp>) -> Self {
        if let Some(since) = since {
            input.findings.iter_mut().for_each(|finding| finding.compare(since));
        }
        let ReportInput { mut findings, mut fixed, constraints: mut states, filter, run, .. } = input;
        let started = run.as_ref().map(|run| run.started);
        let score = Score::of(&input.ledger, &states, run.as_ref());
        let exemptions = exemptions(input.exemptions, &findings);

        findings.retain(|finding| filter.finding(finding));
        fixed.retain(|finding| filter.finding(finding));
        fixed.extend(findings.extract_if(.., |finding| finding.status == Status::Fixed));
        states.retain(|state| filter.severity(state.severity));
        let live: BTreeMap<ConstraintId, Stage> =
            states.iter().filter_map(|state| Some((state.id.clone(), state.stage?))).collect();
        sort_findings(&mut findings, &live);
        sort_findings(&mut fixed, &live);

        let tallies = Tallies::of(&input.ledger);
        let rows = constraints::rows(states, &findings, &tallies, started);
        let not_evaluated = gaps::not_evaluated(&input.ledger, &rows);
        let mut summary = summary(&rows, &findings, &fixed, &exemptions);
        summary.standing = match &run {
            _ if summary.policies == 0 => Standing::NoPolicies,
            None => Standing::NoEvidence,
            Some(run) if not_evaluated.leaves_open(run) => Standing::Incomplete,
            _ if summary.open_at_deny > 0 => Standing::Violated,
            _ if summary.open > 0 => Standing::Open,
            _ => Standing::InOrder,
        };
        summary.score = score.value;
        summary.coverage = score.coverage;
        summary.previous_score = input.previous_score;
        summary.score_delta =
            score.value.zip(input.previous_score).map(|(now, before)| ((now - before) * 10.0).round() / 10.0);

        let mut trend = input.trend;
        trend.sort_by(|a, b| (a.at, &a.run).cmp(&(b.at, &b.run)));
        let mut changes = input.changes;
        changes.sort_by(|a, b| {
            (Reverse(a.at), a.what, &a.object, &a.to, &a.why).cmp(&(
                Reverse(b.at),
                b.what,
                &b.object,
                &b.to,
                &b.why,
            ))
        });
        let mut rollouts = input.rollouts;
        for rollout in &mut rollouts {
            rollout.constraints.sort();
        }
        rollouts.sort_by(|a, b| a.name.cmp(&b.name));
        let mut sync = input.sync;
        sync.problems.sort();

        let mut report = Self {
            schema: SCHEMA.to_owned(),
            provenance: Provenance {
                generated: input.generated,
                since,
                cluster: input.cluster,
                source: input.source.map(without_secrets),
                engine: input.engine,
                enforced: input.enforced,
                run,
            },
            notices: Vec::new(),
            filter: (!filter.is_everything()).then_some(filter),
            summary,
            trend,
            changes,
            namespaces: constraints::namespaces(&findings, &live),
            standards: constraints::standards(&rows, &findings),
            constraints: rows,
            rollouts,
            exemptions,
            not_evaluated,
            sync,
            findings,
            fixed,
        };
        report.summary.sentences = sentences::sentences(&report);
        report.notices = notices::notices(&report);
        report
    }
}

/// The exemptions with what they excuse, the next to end first, those without end last.
fn exemptions(mut exemptions: Vec<ExemptionState>, findings: &[ReportFinding]) -> Vec<ExemptionState> {
    let mut excused: BTreeMap<&str, BTreeSet<&Fingerprint>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.status != Status::Fixed) {
        excused.entry(&finding.finding.exempt_by).or_default().insert(&finding.finding.fingerprint);
    }
    for exemption in &mut exemptions {
        exemption.excused = excused.get(exemption.name.as_str()).map_or(0, |excused| size(excused.len()));
        exemption.constraints.sort();
        exemption.namespaces.sort();
    }
    exemptions.sort_by_cached_key(|exemption| {
        (exemption.days_left.is_none(), exemption.days_left, exemption.name.clone())
    });
    exemptions
}

/// By severity, stage, constraint, subject; then whatever tells them apart.
fn sort_findings(findings: &mut [ReportFinding], stages: &BTreeMap<ConstraintId, Stage>) {
    findings.sort_by(|a, b| {
        let key = |finding: &ReportFinding| {
            (
                Reverse(Severity::parse(&finding.finding.severity)),
                Reverse(stages.get(&finding.finding.constraint).copied()),
            )
        };
        let (left, right) = (&a.finding, &b.finding);
        key(a).cmp(&key(b)).then_with(|| {
            (&left.constraint, &left.subject, &left.fingerprint, &left.object, &left.message, &left.operation)
                .cmp(&(
                    &right.constraint,
                    &right.subject,
                    &right.fingerprint,
                    &right.object,
                    &right.message,
                    &right.operation,
                ))
        })
    });
}

fn summary(
    rows: &[ConstraintRow],
    findings: &[ReportFinding],
    fixed: &[ReportFinding],
    exemptions: &[ExemptionState],
) -> Summary {
    let at_deny: BTreeSet<&ConstraintId> =
        rows.iter().filter(|row| row.enforced()).map(|row| &row.state.id).collect();
    // What never goes to deny blocks nothing, whoever violates it.
    let bound_for_deny: BTreeSet<&ConstraintId> = rows
        .iter()
        .filter(|row| !row.enforced() && row.state.target == Stage::Deny)
        .map(|row| &row.state.id)
        .collect();
    let prints = |keep: &dyn Fn(&ReportFinding) -> bool| {
        let prints: BTreeSet<&Fingerprint> = findings
            .iter()
            .filter(|finding| keep(finding))
            .map(|finding| &finding.finding.fingerprint)
            .collect();
        size(prints.len())
    };
    let subjects = |of: &BTreeSet<&ConstraintId>| -> BTreeSet<&Subject> {
        findings
            .iter()
            .filter(|finding| {
                is_open(finding) && !finding.finding.uncounted && of.contains(&finding.finding.constraint)
            })
            .map(|finding| &finding.finding.subject)
            .collect()
    };
    let refused_already = subjects(&at_deny);
    let rows_where =
        |keep: &dyn Fn(&ConstraintRow) -> bool| size(rows.iter().filter(|row| keep(row)).count());
    let exemptions_where = |keep: &dyn Fn(i64) -> bool| {
        size(exemptions.iter().filter(|exemption| exemption.days_left.is_some_and(keep)).count())
    };
    let expired = exemptions_where(&|days| days < 0);
    Summary {
        open: prints(&is_open),
        new: prints(&|finding| is_open(finding) && finding.status == Status::New),
        regressed: prints(&|finding| is_open(finding) && finding.status == Status::Regressed),
        fixed: {
            let fixed: BTreeSet<&Fingerprint> =
                fixed.iter().map(|finding| &finding.finding.fingerprint).collect();
            size(fixed.len())
        },
        open_at_deny: prints(&|finding| is_open(finding) && at_deny.contains(&finding.finding.constraint)),
        would_block: size(subjects(&bound_for_deny).difference(&refused_already).count()),
        exempt: prints(&|finding| {
            finding.finding.class == Class::Violation && !finding.finding.exempt_by.is_empty()
        }),
        exemptions: size(exemptions.len()) - expired,
        exemptions_expiring: exemptions_where(&|days| (0..=SOON).contains(&days)),
        exemptions_expired: expired,
        errors: prints(&|finding| finding.finding.class == Class::Error),
        policies: size(rows.len()),
        deny: rows_where(&|row| row.state.stage == Some(Stage::Deny)),
        warn: rows_where(&|row| row.state.stage == Some(Stage::Warn)),
        dryrun: rows_where(&|row| row.state.stage == Some(Stage::Dryrun)),
        pending: rows_where(&|row| row.state.stage.is_none()),
        held: rows_where(&|row| row.state.held.is_some()),
        not_auditable: rows_where(&|row| row.state.not_auditable.is_some()),
        ..Summary::default()
    }
}

/// The source with user and password taken out of its URL.
fn without_secrets(mut source: Source) -> Source {
    let clean = source.url.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://{host}{path}"))
    });
    if let Some(clean) = clean {
        source.url = clean;
    }
    source
}

#[cfg(test)]
mod tests {
    use super::{Report, Status};
    use crate::report::{
        ReportFilter, ReportInput, Severity, Standing, Verdict, render_html, render_json, render_markdown,
        samples, samples_extreme,
    };

    #[test]
    fn the_order_of_the_facts_does_not_matter() {
        let (plain, mut turned): (ReportInput, ReportInput) = (samples::realistic(), samples::realistic());
        turned.findings.reverse();
        turned.ledger.reverse();
        turned.constraints.reverse();
        turned.changes.reverse();
        turned.trend.reverse();
        turned.exemptions.reverse();
        let (plain, turned) = (Report::build(plain), Report::build(turned));
        assert_eq!(render_json(&plain), render_json(&turned));
        assert_eq!(render_html(&plain), render_html(&turned));
        assert_eq!(render_markdown(&plain), render_markdown(&turned));
    }

    #[test]
    fn pods_of_one_owner_are_one_violation() {
        let report = Report::build(samples::realistic());
        let cart = report.findings.iter().filter(|finding| finding.finding.subject.name == "cart").count();
        let row = report.constraints.iter().find(|row| row.state.id.kind == "K8sRequireNonRoot").unwrap();
        assert_eq!((cart, row.failing, report.summary.open), (2, 1, 5));
    }

    #[test]
    fn the_finished_are_open_but_block_nothing() {
        let mut input = samples::realistic();
        for finding in input.findings.iter_mut().filter(|finding| finding.finding.subject.name == "debug") {
            finding.finding.uncounted = true;
        }
        let report = Report::build(input);
        let row = report.constraints.iter().find(|row| row.state.id.kind == "K8sAllowedRepos").unwrap();
        assert_eq!((report.summary.open, row.failing, row.would_block), (5, 2, Some(1)));
    }

    #[test]
    fn what_cannot_be_judged_would_block_nobody_knows_how_much() {
        let report = Report::build(samples::realistic());
        let row = report.constraints.iter().find(|row| row.state.id.kind == "BusinessHours").unwrap();
        assert_eq!((row.verdict, row.would_block), (Verdict::NotAuditable, None));
    }

    #[test]
    fn a_filter_is_said_and_leaves_the_score_alone() {
        let whole = Report::build(samples::realistic());
        let mut input = samples::realistic();
        input.filter =
            ReportFilter { namespaces: vec!["mc*".to_owned()], min_severity: Some(Severity::High) };
        let report = Report::build(input);
        assert_eq!(report.summary.score, whole.summary.score);
        assert_eq!(report.summary.open, 2);
        assert!(report.findings.iter().all(|finding| finding.finding.subject.namespace == "mcs"));
        assert!(report.constraints.iter().all(|row| row.state.severity >= Severity::High));
        let said = "Filtered to namespace mc*; severity high and above";
        assert!(report.notices.iter().any(|notice| notice.title == said));
        assert!(render_html(&report).contains(said));
    }

    #[test]
    fn findings_that_are_gone_move_to_the_fixed() {
        let mut input = samples::realistic();
        let open = Report::build(input.clone()).summary.open;
        for finding in &mut input.findings {
            if finding.finding.subject.name == "invoice" {
                finding.status = Status::Fixed;
            }
        }
        let report = Report::build(input);
        assert_eq!((report.summary.open, report.summary.fixed), (open - 1, 2));
        assert_eq!(report.findings.len() + report.fixed.len(), 8);
    }

    #[test]
    fn only_what_no_audit_can_judge_makes_no_alarm() {
        let mut input = samples::realistic();
        if let Some(run) = &mut input.run {
            run.complete = false;
        }
        assert_eq!(Report::build(input).summary.standing, Standing::Violated);
        assert_eq!(Report::build(samples_extreme::incomplete()).summary.standing, Standing::Incomplete);
    }

    #[test]
    fn what_was_seen_before_the_last_report_is_not_new() {
        let input = samples::realistic();
        let before = input.findings.iter().map(|finding| finding.first_seen).min().unwrap();
        assert_eq!(Report::build(input.clone()).summary.new, 2);
        assert_eq!(Report::build_since(input.clone(), Some(samples::now())).summary.new, 0);
        let all = Report::build_since(input, Some(before - jiff::SignedDuration::from_hours(1)));
        assert_eq!((all.summary.new, all.summary.regressed), (4, 1));
    }

    #[test]
    fn no_secret_of_the_repository_is_told() {
        let report = Report::build(samples::realistic());
        for text in [render_json(&report), render_html(&report), render_markdown(&report)] {
            assert!(!text.contains("s3cret"));
            assert!(text.contains("git.example.com/platform/policies.git"));
        }
    }
}
