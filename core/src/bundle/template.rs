//! ConstraintTemplates: read, compiled, and looked at.

use std::sync::Arc;

use super::{
    Template, codes, fields,
    findings::{Findings, Reporter, key_span, value_span, words},
    read::Raw,
    unsupported,
};
use crate::{
    document::Node,
    policy::{self, Auditability, ParameterSchema, RegoProblem, TemplateSpec},
    problem::{Severity, Span},
};

/// Reads a template. What is wrong with it refuses its unit.
pub(super) fn read(raw: &Raw, findings: &mut Findings) -> Option<Template> {
    let node = &raw.node;
    let kind = node.find("/spec/crd/spec/names/kind").and_then(Node::as_str).unwrap_or(&raw.name);
    let file = &raw.location.file;
    let mut out = findings.at(file, (!kind.is_empty()).then_some(kind));
    fields::template(node, &mut out);
    unsupported::annotations(node, &mut out);
    if kind.len() > 63 {
        out.error(
            value_span(node, "/spec/crd/spec/names/kind"),
            words(
                codes::LONG_NAME,
                format!("the kind has {} characters, at most 63 are possible", kind.len()),
            ),
        );
    }
    let spec = match TemplateSpec::from_json(&raw.manifest) {
        Ok(spec) => spec,
        Err(error) => {
            out.error(
                value_span(node, &error.pointer),
                words(codes::TEMPLATE, error.message).maybe_hint(error.hint),
            );
            // The template may be the one of a kind whose constraints bear another spelling.
            if !raw.name.is_empty() {
                findings.refuse(&raw.name, "its template cannot be understood");
            }
            return None;
        }
    };
    let parameters = match ParameterSchema::new(&spec) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(error) => {
            out.error(value_span(node, &error.pointer), words(codes::PARAMETER_SCHEMA, error.message));
            None
        }
    };
    let compiled = match policy::compile(&spec) {
        Ok(compiled) => Some(Arc::new(compiled)),
        Err(problems) => {
            for problem in problems {
                rego(node, problem, &mut out);
            }
            None
        }
    };
    operations(node, &spec, &mut out);
    if let Some(compiled) = &compiled
        && let Auditability::NotYet { reasons } = &compiled.auditability
    {
        out.note(
            key_span(node, "/spec/targets"),
            words(codes::NOT_AUDITABLE, format!("not auditable yet: {} {}", spec.kind, reasons.join(", ")))
                .hint("its constraints stay at their stage until a person promotes them"),
        );
    }
    Some(Template {
        location: raw.location.clone(),
        manifest: raw.manifest.clone(),
        spec,
        compiled,
        parameters,
    })
}

/// A problem of the Rego, in the file's own lines where the text stands there as it is.
fn rego(node: &Node, problem: RegoProblem, out: &mut Reporter<'_>) {
    let text = node.find(&problem.pointer);
    let block = text.and_then(|text| text.block);
    let (span, message) = match block {
        Some(block) => (
            Span {
                line: block.first_line.saturating_add(problem.line).saturating_sub(1),
                column: block.indent.saturating_add(problem.column),
                length: problem.length,
            },
            format!("{} (line {} of the Rego)", problem.message, problem.line),
        ),
        None => (
            key_span(node, &problem.pointer),
            format!("{} (line {} column {} of the Rego)", problem.message, problem.line, problem.column),
        ),
    };
    out.error(span, words(problem.code, message).maybe_hint(problem.hint));
}

/// Operations that the webhook is not asked about as Gatekeeper is installed by default.
fn operations(node: &Node, spec: &TemplateSpec, out: &mut Reporter<'_>) {
    for (index, operation) in spec.operations.iter().enumerate() {
        if matches!(operation.as_str(), "DELETE" | "CONNECT") {
            out.report(
                Severity::Warning,
                node.span_at(&format!("/spec/targets/0/operations/{index}")),
                words(codes::UNSEEN_OPERATION, format!("the default webhook never asks about {operation}"))
                    .hint(
                        "it asks about CREATE and UPDATE; widen its rules in the cluster, or leave this out",
                    ),
            );
        }
    }
}
