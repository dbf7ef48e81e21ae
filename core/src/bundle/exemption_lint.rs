//! Exemptions and the policies that bound them: read, and held against each other.

use jiff::civil::Date;
use regex::Regex;

use super::{
    Broken, Constraint, ConstraintPattern, Coverage, DocId, DocKind, Exemption, ExemptionPolicy,
    ExemptionPolicySpec, ExemptionSpec, codes,
    exemption::glob_fault,
    findings::{Findings, Reporter, key_span, words},
    read::Raw,
    rollout::{Document, mismatches, without_clusters},
};
use crate::{
    document::{Duration, Node, decode},
    schedule,
    scope::{self, Glob, KindScope, kinds},
};

/// Days before its end from which an Exemption is said to expire soon.
const SOON: i64 = 30;

/// An Exemption as far as it could be read.
pub(super) struct ReadExemption {
    pub exemption: Option<Exemption>,
    pub broken: Option<Broken>,
    /// What is not supported yet, in words.
    pub unsupported: Vec<String>,
}

/// Reads an ExemptionPolicy.
pub(super) fn read_policy(raw: &Raw, findings: &mut Findings) -> Result<ExemptionPolicy, Box<Broken>> {
    let mut out = findings.at(&raw.location.file, None);
    let node = &raw.node;
    let spec = match decode::<Document<ExemptionPolicySpec>>(node) {
        Ok(document) => {
            let spec = document.spec;
            for (index, glob) in spec.allowed_namespaces.iter().flatten().enumerate() {
                if !Glob::new(glob.as_str()).is_valid() || glob.is_empty() {
                    out.error(
                        node.span_at(&format!("/spec/allowedNamespaces/{index}")),
                        words(codes::GLOB, format!("`{glob}` is no name or glob of namespaces"))
                            .hint("lower-case letters, digits and `-`, with `*` at the front or the end"),
                    );
                }
            }
            if let Some(pattern) = &spec.require_ticket
                && let Err(error) = Regex::new(pattern)
            {
                out.error(
                    node.span_at("/spec/requireTicket"),
                    words(
                        codes::TICKET,
                        format!("not a regular expression: {}", one_line(&error.to_string())),
                    ),
                );
            }
            patterns(node, "/spec/forbidConstraints", &spec.forbid_constraints, &mut out);
            Some(spec)
        }
        Err(found) => {
            mismatches(found, &mut out);
            None
        }
    };
    match spec {
        Some(spec) if out.errors == 0 => Ok(ExemptionPolicy {
            location: raw.location.clone(),
            name: raw.name.clone(),
            manifest: raw.manifest.clone(),
            spec,
        }),
        _ => Err(Box::new(Broken {
            id: DocId { kind: DocKind::ExemptionPolicy, name: raw.name.clone() },
            location: raw.location.clone(),
            covers: Coverage::Nothing,
        })),
    }
}

fn one_line(text: &str) -> String {
    text.lines().last().unwrap_or(text).trim().trim_start_matches("error: ").to_owned()
}

fn patterns(node: &Node, pointer: &str, patterns: &[ConstraintPattern], out: &mut Reporter<'_>) {
    for (index, pattern) in patterns.iter().enumerate() {
        for (field, glob) in [("kind", &pattern.kind), ("name", &pattern.name)] {
            if let Some(fault) = glob_fault(glob) {
                out.error(node.span_at(&format!("{pointer}/{index}/{field}")), words(codes::GLOB, fault));
            }
        }
    }
}

/// Reads an Exemption.
pub(super) fn read(
    raw: &Raw,
    policies: &[ExemptionPolicy],
    constraints: &[Constraint],
    today: Option<Date>,
    findings: &mut Findings,
) -> ReadExemption {
    let mut out = findings.at(&raw.location.file, None);
    let (node, clusters) = without_clusters(&raw.node, &mut out);
    let unsupported = if clusters { vec!["clusters".to_owned()] } else { Vec::new() };
    let id = DocId { kind: DocKind::Exemption, name: raw.name.clone() };
    let mut exemption = None;
    let covers = match decode::<Document<ExemptionSpec>>(&node) {
        Ok(document) => {
            let spec = document.spec;
            let node = &raw.node;
            patterns(node, "/spec/constraints", &spec.constraints, &mut out);
            namespaces(node, &spec, &mut out);
            let zone = dates(node, &spec, &mut out);
            for policy in policies {
                bounded(node, &spec, policy, &mut out);
            }
            reach(node, &spec, constraints, &mut out);
            calendar(raw, &spec, today, &mut out);
            let globs: Vec<_> = spec.constraints.iter().map(ConstraintPattern::globs).collect();
            exemption = Some(Exemption {
                location: raw.location.clone(),
                name: document.metadata.name.clone(),
                manifest: raw.manifest.clone(),
                rule: scope::Exemption {
                    name: document.metadata.name,
                    constraints: globs.clone(),
                    namespaces: spec.namespaces.iter().map(|glob| Glob::new(glob.as_str())).collect(),
                    from: spec.from,
                    expires: spec.expires,
                    timezone: zone,
                },
                spec,
            });
            Coverage::Patterns(globs)
        }
        Err(found) => {
            mismatches(found, &mut out);
            let part = node.find("/spec/constraints");
            part.and_then(|part| decode::<Vec<ConstraintPattern>>(part).ok())
                .map_or(Coverage::Unknown, |found| {
                    Coverage::Patterns(found.iter().map(ConstraintPattern::globs).collect())
                })
        }
    };
    let good = out.errors == 0 && unsupported.is_empty();
    ReadExemption {
        broken: (!good).then(|| Broken { id, location: raw.location.clone(), covers }),
        exemption: exemption.filter(|_| good),
        unsupported,
    }
}

fn namespaces(node: &Node, spec: &ExemptionSpec, out: &mut Reporter<'_>) {
    for (pointer, empty) in
        [("/spec/namespaces", spec.namespaces.is_empty()), ("/spec/constraints", spec.constraints.is_empty())]
    {
        if empty {
            out.error(key_span(node, pointer), words(codes::TOO_WIDE, "expected at least one, found none"));
        }
    }
    for (index, text) in spec.namespaces.iter().enumerate() {
        let span = node.span_at(&format!("/spec/namespaces/{index}"));
        let glob = Glob::new(text.as_str());
        if text.trim_matches('*').is_empty() {
            out.error(
                span,
                words(codes::TOO_WIDE, format!("`{text}` excuses every namespace"))
                    .hint("name the namespaces; lower the constraint's target where none is meant"),
            );
        } else if !glob.is_valid() {
            out.error(
                span,
                words(codes::GLOB, format!("`{text}` is no name or glob of namespaces"))
                    .hint("lower-case letters, digits and `-`, with `*` at the front or the end"),
            );
        } else if glob.is_wild() {
            out.warning(
                span,
                words(
                    codes::GLOB_NAMESPACE,
                    format!("whoever may create a namespace like `{text}` is exempt"),
                )
                .hint("name the namespaces where they are known"),
            );
        }
    }
}

fn dates(node: &Node, spec: &ExemptionSpec, out: &mut Reporter<'_>) -> jiff::tz::TimeZone {
    if let (Some(from), Some(expires)) = (spec.from, spec.expires)
        && from > expires
    {
        out.error(
            node.span_at("/spec/expires"),
            words(codes::DATES, format!("expires on {expires}, before it begins on {from}")),
        );
    }
    let Some(name) = &spec.timezone else { return jiff::tz::TimeZone::UTC };
    schedule::time_zone(name).unwrap_or_else(|error| {
        out.error(node.span_at("/spec/timezone"), words(codes::DATES, error.to_string()).hint(error.hint()));
        jiff::tz::TimeZone::UTC
    })
}

/// What a policy allows.
fn bounded(node: &Node, spec: &ExemptionSpec, policy: &ExemptionPolicy, out: &mut Reporter<'_>) {
    let place = format!("{}:{}", policy.location.file, policy.location.span.line);
    if let Some(allowed) = &policy.spec.allowed_namespaces {
        for (index, text) in spec.namespaces.iter().enumerate() {
            let glob = Glob::new(text.as_str());
            if !text.trim_matches('*').is_empty()
                && !allowed.iter().any(|allowed| Glob::new(allowed.as_str()).contains(&glob))
            {
                out.error(
                    node.span_at(&format!("/spec/namespaces/{index}")),
                    words(
                        codes::NOT_ALLOWED,
                        format!("the ExemptionPolicy does not allow the namespace `{text}`"),
                    )
                    .hint(format!("allowed at {place}: {}", allowed.join(", "))),
                );
            }
        }
    }
    if let Some(most) = policy.spec.max_duration {
        duration(node, spec, most, &place, out);
    }
    if let Some(pattern) = policy.spec.require_ticket.as_deref().and_then(|text| Regex::new(text).ok()) {
        match &spec.ticket {
            Some(ticket) if pattern.is_match(ticket) => {}
            Some(ticket) => out.error(
                node.span_at("/spec/ticket"),
                words(codes::TICKET, format!("the ticket `{ticket}` does not match {pattern}"))
                    .hint(format!("the ExemptionPolicy at {place} asks for it")),
            ),
            None => out.error(
                key_span(node, "/spec"),
                words(codes::TICKET, format!("expected a ticket that matches {pattern}, found none"))
                    .hint(format!("the ExemptionPolicy at {place} asks for it")),
            ),
        }
    }
    for (index, pattern) in spec.constraints.iter().enumerate() {
        if let Some(forbidden) = policy.spec.forbid_constraints.iter().find(|known| known.overlaps(pattern)) {
            out.error(
                node.span_at(&format!("/spec/constraints/{index}/kind")),
                words(
                    codes::FORBIDDEN,
                    format!("nobody may be excused from {}/{}", forbidden.kind, forbidden.name),
                )
                .hint(format!("the ExemptionPolicy at {place} forbids it")),
            );
        }
    }
}

fn duration(node: &Node, spec: &ExemptionSpec, most: Duration, place: &str, out: &mut Reporter<'_>) {
    for (field, missing) in [("from", spec.from.is_none()), ("expires", spec.expires.is_none())] {
        if missing {
            out.error(
                key_span(node, "/spec"),
                words(codes::DURATION, format!("expected `{field}`, found none"))
                    .hint(format!("the ExemptionPolicy at {place} bounds how long an Exemption may last")),
            );
        }
    }
    if let (Some(from), Some(expires)) = (spec.from, spec.expires)
        && from <= expires
    {
        let days = days_between(from, expires) + 1;
        if Duration::from_secs(days.saturating_mul(86_400)) > most {
            out.error(
                node.span_at("/spec/expires"),
                words(codes::DURATION, format!("lasts {days} days, at most {most} is allowed"))
                    .hint(format!("the ExemptionPolicy at {place} bounds it; renew it when it ends")),
            );
        }
    }
}

fn days_between(from: Date, to: Date) -> i64 {
    from.until(to).map_or(0, |span| i64::from(span.get_days()))
}

/// Whether there is anything to excuse.
fn reach(node: &Node, spec: &ExemptionSpec, constraints: &[Constraint], out: &mut Reporter<'_>) {
    for (index, pattern) in spec.constraints.iter().enumerate() {
        let (kind, name) = pattern.globs();
        let span = node.span_at(&format!("/spec/constraints/{index}/kind"));
        let mut concerned = constraints
            .iter()
            .filter(|constraint| {
                kind.matches(&constraint.spec.id.kind) && name.matches(&constraint.spec.id.name)
            })
            .peekable();
        if concerned.peek().is_none() {
            out.warning(
                span,
                words(
                    codes::EXCUSES_NOTHING,
                    format!("no constraint {}/{} exists here", pattern.kind, pattern.name),
                )
                .hint("an Exemption of what is gone can be deleted"),
            );
        } else if concerned.all(only_cluster_scoped) {
            out.error(
                span,
                words(
                    codes::CLUSTER_SCOPED,
                    format!(
                        "{}/{} is about cluster-scoped kinds alone, which no namespace excuses",
                        pattern.kind, pattern.name
                    ),
                )
                .hint("narrow the constraint's match instead"),
            );
        }
    }
}

/// Whether a constraint can match cluster-scoped kinds only, Namespaces apart.
fn only_cluster_scoped(constraint: &Constraint) -> bool {
    constraint.matching.kinds().iter().all(|pattern| match (pattern.group, pattern.kind) {
        (Some(group), Some(kind)) => {
            kinds::scope_of(group, kind) == Some(KindScope::Cluster)
                && !(group.is_empty() && kind == "Namespace")
        }
        _ => false,
    })
}

/// What the calendar says; never an error, so that a good tree stays good.
fn calendar(raw: &Raw, spec: &ExemptionSpec, today: Option<Date>, out: &mut Reporter<'_>) {
    let span = raw.location.span;
    let name = &raw.name;
    let Some(expires) = spec.expires else {
        out.warning(
            key_span(&raw.node, "/spec"),
            words(codes::NEVER_ENDS, format!("the exemption `{name}` never ends")).hint("set `expires`"),
        );
        return;
    };
    let Some(today) = today else { return };
    let left = days_between(today, expires);
    if expires < today {
        out.warning(
            span,
            words(codes::EXPIRED, format!("exemption `{name}` expired on {expires}"))
                .hint("delete it, or have it granted anew"),
        );
    } else if left <= SOON {
        out.warning(
            span,
            words(codes::EXPIRES_SOON, format!("exemption `{name}` expires on {expires}, in {left} days"))
                .hint("what it excuses is judged again from the next day on"),
        );
    }
}
