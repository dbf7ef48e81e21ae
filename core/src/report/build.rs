//! From facts to the model.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

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
    /// The report that these facts make. The same facts, in whatever order, make the same report.
    pub fn build(input: ReportInput) -> Self {
        let ReportInput { mut findings, mut fixed, constraints: mut states, filter, run, .. } = input;
        let started = run.as_ref().map(|run| run.started);
        let score = Score::of(&input.ledger, &states, run.as_ref());
        let exemptions = exemptions(input.exemptions, &findings);

        findings.retain(|finding| filter.finding(finding));
        fixed.retain(|finding| filter.finding(finding));
        fixed.extend(findings.extract_if(.., |finding| finding.status == Status::Fixed));
        states.retain(|state| filter.severity(state.severity));
        let stages: BTreeMap<ConstraintId, Stage> =
            states.iter().filter_map(|state| Some((state.id.clone(), state.stage?))).collect();
        sort_findings(&mut findings, &stages);
        sort_findings(&mut fixed, &stages);

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
            namespaces: constraints::namespaces(&findings, &stages),
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
