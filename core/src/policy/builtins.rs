//! The functions a policy may call: the engine's, those made here to equal OPA, and those that cannot
//! be judged alike and are refused.

mod cidr;
mod go_regex;
mod shims;
mod sprintf;
mod text;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use regorus::{Engine, Value, unstable::BUILTINS};

use go_regex::Patterns;
use shims::{PATTERN_SHIMS, SHIMS};

/// What is known about a function that no module defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    /// It works as in OPA, with so many arguments; `None` where any number will do.
    Known(Option<u8>),
    /// OPA has it, we do not, and why.
    Refused(&'static str),
    /// Nobody has it.
    Unknown,
}

const ANSWERS_DIFFER: &str = "it depends on something that an audit cannot reproduce";
const NOT_HERE: &str = "this version cannot judge by it";

/// Whole families, and single functions, that are refused.
const REFUSED: &[(&str, &str)] = &[
    ("http.send", "a policy may not reach the network"),
    ("net.lookup_ip_addr", "a policy may not reach the network"),
    ("external_data", "external data providers are not supported"),
    ("opa.runtime", ANSWERS_DIFFER),
    ("rand.intn", ANSWERS_DIFFER),
    ("uuid.rfc4122", ANSWERS_DIFFER),
    ("rego.metadata.chain", NOT_HERE),
    ("rego.metadata.rule", NOT_HERE),
    ("rego.parse_module", NOT_HERE),
    ("net.cidr_merge", NOT_HERE),
    ("net.cidr_contains_matches", NOT_HERE),
    ("regex.globs_match", NOT_HERE),
    ("regex.template_match", NOT_HERE),
    ("yaml.unmarshal", NOT_HERE),
    ("yaml.marshal", NOT_HERE),
    ("yaml.is_valid", NOT_HERE),
    ("json.marshal_with_options", NOT_HERE),
    ("strings.render_template", NOT_HERE),
    ("uri.is_valid", NOT_HERE),
    ("uri.parse", NOT_HERE),
    ("and", NOT_HERE),
    ("or", NOT_HERE),
    ("eq", NOT_HERE),
    ("equal", NOT_HERE),
    ("neq", NOT_HERE),
    ("gt", NOT_HERE),
    ("gte", NOT_HERE),
    ("lt", NOT_HERE),
    ("lte", NOT_HERE),
    ("plus", NOT_HERE),
    ("minus", NOT_HERE),
    ("mul", NOT_HERE),
    ("div", NOT_HERE),
    ("rem", NOT_HERE),
    ("assign", NOT_HERE),
];

const REFUSED_FAMILIES: &[&str] = &["crypto.", "io.jwt.", "graphql.", "providers.", "internal."];

/// Engine functions that OPA does not have.
const NOT_IN_OPA: &[&str] = &["test.sleep", "__builtin_sets.intersection", "__builtin_sets.union"];

/// Looks a function up by its whole name.
pub(super) fn lookup(name: &str) -> Builtin {
    if name == "print" {
        return Builtin::Known(None);
    }
    if let Some((_, arity, _)) = SHIMS.iter().find(|(known, ..)| *known == name) {
        return Builtin::Known(Some(*arity));
    }
    if let Some((_, arity, _)) = PATTERN_SHIMS.iter().find(|(known, ..)| *known == name) {
        return Builtin::Known(Some(*arity));
    }
    if let Some((_, why)) = REFUSED.iter().find(|(known, _)| *known == name) {
        return Builtin::Refused(why);
    }
    if REFUSED_FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Builtin::Refused(NOT_HERE);
    }
    match BUILTINS.get(name) {
        Some((_, arity)) if !NOT_IN_OPA.contains(&name) => Builtin::Known(Some(*arity)),
        _ => Builtin::Unknown,
    }
}

/// Names close to an unknown one.
pub(super) fn closest(name: &str) -> Option<String> {
    let known = SHIMS
        .iter()
        .map(|(known, ..)| *known)
        .chain(PATTERN_SHIMS.iter().map(|(known, ..)| *known))
        .chain(BUILTINS.keys().copied().filter(|known| !NOT_IN_OPA.contains(known)));
    known
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known.to_owned())
}

/// What is wrong with a `sprintf` of a known format and so many values.
pub(super) fn sprintf_mismatch(format: &str, values: usize) -> Option<String> {
    let printed = sprintf::sprintf(format, &vec![Value::from(0_u64); values]);
    let missing = printed.matches("(MISSING)").count();
    if missing > 0 {
        Some(format!("expected {} values for this format, found {values}", values + missing))
    } else if let Some((_, extra)) = printed.rsplit_once("%!(EXTRA ") {
        let extra = extra.matches('=').count();
        Some(format!("expected {} values for this format, found {values}", values.saturating_sub(extra)))
    } else {
        printed.ends_with("%!(NOVERB)").then(|| "a `%` at the end of the format has no verb".to_owned())
    }
}

/// Functions that OPA has no more in Rego v1.
pub(super) fn is_deprecated(name: &str) -> bool {
    matches!(name, "any" | "all" | "re_match" | "set_diff" | "net.cidr_overlap") || name.starts_with("cast_")
}

/// Gives an engine our functions.
pub(super) fn install(engine: &mut Engine) {
    for (name, arity, shim) in SHIMS {
        let shim = *shim;
        let extension = move |args: Vec<Value>| Ok(shim(&args).unwrap_or(Value::Undefined));
        // A name is added once, so this cannot fail.
        let _ = engine.add_extension((*name).to_owned(), *arity, Box::new(extension));
    }
    for (name, arity, shim) in PATTERN_SHIMS {
        let shim = *shim;
        let mut patterns = Patterns::default();
        let extension = move |args: Vec<Value>| Ok(shim(&mut patterns, &args)?.unwrap_or(Value::Undefined));
        let _ = engine.add_extension((*name).to_owned(), *arity, Box::new(extension));
    }
}

/// Gives one evaluator's engine its clock.
pub(super) fn install_clock(engine: &mut Engine, now: Arc<AtomicI64>) {
    let extension = move |_: Vec<Value>| Ok(Value::from(now.load(Ordering::Relaxed)));
    let _ = engine.add_extension("time.now_ns".to_owned(), 0, Box::new(extension));
}

#[cfg(test)]
mod tests;
