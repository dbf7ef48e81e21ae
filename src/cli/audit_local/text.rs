//! An audit of files for people: object by object, what is wrong with it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use portcullis_core::audit::{Class, Finding, HoleClass, LedgerRow, ObjectRef};

use super::Shown;

/// Constraint names up to here line up; longer ones stand out.
const NAME_WIDTH: usize = 40;

/// The objects with findings, then the sum, then what nobody knows.
pub(super) fn write(out: &mut dyn Write, run: &Shown<'_>) -> io::Result<()> {
    let mut objects: BTreeMap<(&ObjectRef, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in run.findings.iter() {
        objects.entry((&finding.object, &finding.source)).or_default().push(finding);
    }
    let mut objects: Vec<_> = objects.into_iter().collect();
    objects.sort_by_key(|((object, source), _)| (&object.namespace, &object.name, &object.kind, *source));
    let width = run.findings.iter().map(|f| f.constraint.to_string().chars().count());
    let width = width.filter(|width| *width <= NAME_WIDTH).max().unwrap_or(0);
    for ((object, source), findings) in &mut objects {
        findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding)));
        header(out, object, source, findings)?;
        for finding in findings {
            line(out, finding, width)?;
        }
        writeln!(out)?;
    }
    summary(out, run, objects.len())?;
    unknown(out, &run.ledger)
}

fn header(out: &mut dyn Write, object: &ObjectRef, source: &str, findings: &[&Finding]) -> io::Result<()> {
    let bold = Style::new().bold();
    let name = match object.namespace.as_str() {
        "" => object.name.clone(),
        namespace => format!("{namespace}/{}", object.name),
    };
    write!(out, "{bold}{name}{bold:#} ({}", object.kind)?;
    let owned = findings
        .first()
        .map(|finding| &finding.subject)
        .filter(|subject| (&subject.kind, &subject.name) != (&object.kind, &object.name));
    if let Some(subject) = owned {
        write!(out, " of {} {}", subject.kind, subject.name)?;
    }
    if !source.is_empty() {
        write!(out, ", {source}")?;
    }
    writeln!(out, ")")
}

fn line(out: &mut dyn Write, finding: &Finding, width: usize) -> io::Result<()> {
    let (word, colour) = match (finding.class, finding.enforcement_action.as_str()) {
        _ if !finding.exempt_by.is_empty() => ("exempt", AnsiColor::BrightBlack),
        (Class::Error, _) => ("error", AnsiColor::Magenta),
        (_, "deny") => ("deny", AnsiColor::Red),
        (_, "warn") => ("warn", AnsiColor::Yellow),
        (_, other) => (other, AnsiColor::Cyan),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let constraint = finding.constraint.to_string();
    let mut message = finding.message.trim_end().lines();
    write!(out, "  {style}{word:<6}{style:#}  {constraint:<width$}  {}", message.next().unwrap_or(""))?;
    for more in message {
        write!(out, "\n  {:<6}  {:<width$}  {more}", "", "")?;
    }
    if !finding.exempt_by.is_empty() {
        write!(out, " (by {})", finding.exempt_by)?;
    }
    writeln!(out)
}

/// The gravest first.
fn rank(finding: &Finding) -> (bool, u8) {
    let action = match (finding.class, finding.enforcement_action.as_str()) {
        (Class::Error, _) => 3,
        (_, "deny") => 2,
        (_, "warn") => 1,
        _ => 0,
    };
    (finding.exempt_by.is_empty(), action)
}

fn summary(out: &mut dyn Write, run: &Shown<'_>, objects: usize) -> io::Result<()> {
    let findings = run.findings.as_ref();
    let read = run.objects;
    if findings.is_empty() {
        return writeln!(out, "no violations on {}", counted(read, "object"));
    }
    let count = |wanted: &dyn Fn(&Finding) -> bool| findings.iter().filter(|finding| wanted(finding)).count();
    let exempt = count(&|finding| !finding.exempt_by.is_empty());
    let errors = count(&|finding| finding.exempt_by.is_empty() && finding.class == Class::Error);
    let denied = count(&|finding| {
        finding.exempt_by.is_empty()
            && finding.class == Class::Violation
            && finding.enforcement_action == "deny"
    });
    write!(
        out,
        "{} on {objects} of {}; {denied} would be denied",
        counted(findings.len() as u64, "finding"),
        counted(read, "object")
    )?;
    if exempt > 0 {
        write!(out, ", {exempt} exempt")?;
    }
    if errors > 0 {
        write!(out, ", {}", counted(errors as u64, "error"))?;
    }
    writeln!(out)
}

fn unknown(out: &mut dyn Write, rows: &[LedgerRow]) -> io::Result<()> {
    let mut holes: BTreeMap<(String, &str), (u64, bool)> = BTreeMap::new();
    for row in rows {
        for hole in row.holes.iter().filter(|hole| hole.class == HoleClass::Unknown) {
            let constraint = match (row.constraint.kind.as_str(), row.constraint.name.as_str()) {
                ("*", "*") => "any constraint".to_owned(),
                (kind, "*") => kind.to_owned(),
                _ => row.constraint.to_string(),
            };
            let entry = holes.entry((constraint, &hole.reason)).or_default();
            entry.0 += hole.count;
            entry.1 |= row.kind != "*";
        }
    }
    if holes.is_empty() {
        return Ok(());
    }
    let width = holes.keys().map(|(constraint, _)| constraint.chars().count()).max().unwrap_or(0);
    writeln!(out, "not evaluated, so nobody knows:")?;
    for ((constraint, reason), (count, of_objects)) in &holes {
        write!(out, "  {constraint:<width$}  {reason}")?;
        if *of_objects {
            write!(out, " ({})", counted(*count, "object"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
