//! A validator's errors in words for the person who wrote the document.

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

use super::{Mismatch, adapt::has_type};
use crate::document::{Node, NodeKind};

/// The schema and the document that errors are about.
pub(super) struct Explainer<'a> {
    pub(super) schema: &'a Value,
    pub(super) node: &'a Node,
}

impl Explainer<'_> {
    /// One error as one mismatch, or several where it is about several fields.
    pub(super) fn explain(&self, error: &ValidationError<'_>) -> Vec<Mismatch> {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                unexpected.iter().map(|key| self.unknown_field(error, key)).collect()
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![Mismatch {
                    pointer: join(pointer, name),
                    span: self.node.span_at(pointer),
                    message: format!("missing field `{name}`"),
                    hint: None,
                }]
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.choice(pointer, context),
            _ => vec![self.unexpected(pointer, std::slice::from_ref(error))],
        }
    }

    fn unknown_field(&self, error: &ValidationError<'_>, key: &str) -> Mismatch {
        let pointer = error.instance_path().as_str();
        let mapping = self.node.find(pointer).unwrap_or(self.node);
        let span = mapping.entry(key).map_or(mapping.span, |entry| entry.key_span);
        let mut known: Vec<&str> = self
            .parent_schema(error)
            .and_then(|schema| schema.get("properties")?.as_object())
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        known.sort_unstable();
        let (file, env) = (format!("{key}File"), format!("{key}Env"));
        let hint = if known.contains(&file.as_str()) && known.contains(&env.as_str()) {
            Some(format!("a secret is never written here: use `{file}` or `{env}`"))
        } else if known.is_empty() {
            None
        } else {
            let list = known.join(", ");
            Some(match closest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? known: {list}"),
                None => format!("known: {list}"),
            })
        };
        Mismatch { pointer: join(pointer, key), span, message: format!("unknown field `{key}`"), hint }
    }

    fn choice<'e>(&self, pointer: &str, context: &'e [Vec<ValidationError<'static>>]) -> Vec<Mismatch> {
        let mut branches: Vec<&'e [ValidationError<'static>]> = context.iter().map(Vec::as_slice).collect();
        if branches.iter().any(|branch| !self.is_null_branch(branch, pointer)) {
            branches.retain(|branch| !self.is_null_branch(branch, pointer));
        }
        let fitting: Vec<&[ValidationError<'static>]> = branches
            .iter()
            .copied()
            .filter(|branch| !branch.iter().any(|error| rejects(error, pointer)))
            .collect();
        match (branches.as_slice(), fitting.as_slice()) {
            ([branch], _) | (_, [branch]) => branch.iter().flat_map(|error| self.explain(error)).collect(),
            (_, []) => {
                let errors: Vec<&ValidationError<'_>> =
                    branches.iter().flat_map(|branch| branch.iter()).collect();
                vec![self.unexpected(pointer, errors)]
            }
            _ => {
                // Several mappings: the one whose tag is right, else the one with the fewest mistakes.
                let tagged = fitting.iter().find(|branch| !branch.iter().any(|error| is_literal(error)));
                let best = tagged.or_else(|| fitting.iter().min_by_key(|branch| branch.len()));
                let tags: Vec<&ValidationError<'_>> = fitting
                    .iter()
                    .flat_map(|branch| branch.iter().filter(|error| is_literal(error)))
                    .collect();
                match (tagged, tags.first()) {
                    (None, Some(first)) => vec![self.unexpected(first.instance_path().as_str(), tags)],
                    _ => best
                        .into_iter()
                        .flat_map(|branch| branch.iter())
                        .flat_map(|e| self.explain(e))
                        .collect(),
                }
            }
        }
    }

    fn is_null_branch(&self, branch: &[ValidationError<'_>], pointer: &str) -> bool {
        branch.iter().any(|error| {
            error.instance_path().as_str() == pointer
                && matches!(error.kind(), Kind::Type { .. })
                && self
                    .parent_schema(error)
                    .is_some_and(|schema| schema.get("type") == Some(&Value::from("null")))
        })
    }

    /// `expected X, Y or Z, found F` for a value that none of these errors would take.
    fn unexpected<'e, 'v: 'e>(
        &self,
        pointer: &str,
        errors: impl IntoIterator<Item = &'e ValidationError<'v>>,
    ) -> Mismatch {
        let mut words = Expected::default();
        for error in errors {
            self.collect(error, &mut words);
        }
        let is_text = |words: &Expected| words.nouns.iter().any(|noun| noun == "text");
        let found = self.node.find(pointer);
        let text = found.and_then(Node::as_str);
        let hint = match text {
            Some(text) => closest(text, words.literals.iter().map(String::as_str))
                .map(|near| format!("did you mean `{near}`?")),
            None => match found.map(|node| &node.kind) {
                Some(NodeKind::Number(number))
                    if words.nouns.iter().any(|noun| noun.contains("duration")) =>
                {
                    Some(format!("write `{number}s` for {number} seconds"))
                }
                Some(NodeKind::Number(_)) if is_text(&words) => Some("put quotes around it".to_owned()),
                Some(NodeKind::Bool(_)) if is_text(&words) => Some(
                    "put quotes around it: YAML reads y, yes, on, n, no and off as true and false".to_owned(),
                ),
                _ => None,
            },
        };
        // Text where a number or a list is wanted is named as text: `3` alone would look right.
        let plain = !words.literals.is_empty() || words.nouns.iter().any(|noun| noun.contains("such as"));
        let found = found.map_or_else(|| "nothing".to_owned(), |node| describe(node, plain));
        let message = format!("expected {}, found {found}", words.sentence());
        Mismatch { pointer: pointer.to_owned(), span: self.node.span_at(pointer), message, hint }
    }

    fn collect(&self, error: &ValidationError<'_>, words: &mut Expected) {
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                for error in context.iter().flatten() {
                    self.collect(error, words);
                }
            }
            Kind::Constant { expected_value } => words.literal(expected_value),
            Kind::Enum { options } => {
                for option in options.as_array().into_iter().flatten() {
                    words.literal(option);
                }
            }
            kind => {
                let schema = self.parent_schema(error);
                if let Some(title) = schema.and_then(|schema| schema.get("title")?.as_str()) {
                    words.noun(title);
                    return;
                }
                // A word that is listed says more than that it is text.
                let listed = schema
                    .is_some_and(|schema| schema.get("const").is_some() || schema.get("enum").is_some());
                match kind {
                    Kind::Type { .. } if listed => {}
                    Kind::Type { kind } => words.noun(&type_nouns(kind, schema)),
                    kind => words.noun(&constraint(kind)),
                }
            }
        }
    }

    fn parent_schema(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)
    }
}

/// What would have been right.
#[derive(Default)]
struct Expected {
    literals: Vec<String>,
    nouns: Vec<String>,
}

impl Expected {
    fn literal(&mut self, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !self.literals.contains(&text) {
            self.literals.push(text);
        }
    }

    fn noun(&mut self, text: &str) {
        if !self.nouns.iter().any(|known| known == text) {
            self.nouns.push(text.to_owned());
        }
    }

    fn sentence(&self) -> String {
        let literals: Vec<String> = self.literals.iter().map(|text| format!("`{text}`")).collect();
        match (literals.as_slice(), self.nouns.as_slice()) {
            ([], []) => "something else".to_owned(),
            ([_, _, ..], []) => format!("one of {}", literals.join(", ")),
            (literals, nouns) => literals.iter().chain(nouns).cloned().collect::<Vec<_>>().join(" or "),
        }
    }
}

/// Whether the value itself, not something inside it, is what an alternative does not take.
fn rejects(error: &ValidationError<'_>, pointer: &str) -> bool {
    error.instance_path().as_str() == pointer
        && match error.kind() {
            Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } | Kind::Pattern { .. } => true,
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                context.iter().all(|branch| branch.iter().any(|error| rejects(error, pointer)))
            }
            _ => false,
        }
}

fn is_literal(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. })
}

fn type_nouns(kind: &TypeKind, schema: Option<&Value>) -> String {
    const NOUNS: [(&str, &str); 6] = [
        ("string", "text"),
        ("integer", "a whole number"),
        ("number", "a number"),
        ("boolean", "true or false"),
        ("array", "a list"),
        ("object", "a mapping"),
    ];
    let nouns: Vec<&str> = NOUNS
        .iter()
        .filter(|(name, _)| schema.is_some_and(|schema| has_type(schema, name)))
        .map(|(_, noun)| *noun)
        .collect();
    if nouns.is_empty() {
        return match kind {
            TypeKind::Single(kind) => kind.to_string(),
            TypeKind::Multiple(_) => "another type".to_owned(),
        };
    }
    nouns.join(" or ")
}

fn constraint(kind: &Kind) -> String {
    match kind {
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MinItems { limit } => format!("at least {limit} in the list"),
        Kind::MaxItems { limit } => format!("at most {limit} in the list"),
        Kind::MinLength { limit: 1 } => "text that is not empty".to_owned(),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinProperties { limit } => format!("at least {limit} fields"),
        Kind::MaxProperties { limit } => format!("at most {limit} fields"),
        Kind::Pattern { pattern } => format!("text that matches `{pattern}`"),
        Kind::UniqueItems => "a list without repetitions".to_owned(),
        Kind::FalseSchema => "nothing here".to_owned(),
        other => format!("what `{}` allows", other.keyword()),
    }
}

/// A value as a message shows it: short, and never what is inside a mapping or list.
fn describe(node: &Node, plain: bool) -> String {
    match &node.kind {
        NodeKind::Null => "nothing".to_owned(),
        NodeKind::Bool(value) => value.to_string(),
        NodeKind::Number(number) => number.to_string(),
        NodeKind::String(text) => {
            let mut short: String = text.chars().take(60).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            match (short.as_str(), plain) {
                ("", _) => "an empty text".to_owned(),
                (short, true) => format!("`{short}`"),
                (short, false) => format!("the text `{short}`"),
            }
        }
        NodeKind::Sequence(_) => "a list".to_owned(),
        NodeKind::Mapping(_) => "a mapping".to_owned(),
    }
}

/// The candidate a typo was probably meant to be.
pub fn closest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = text.to_lowercase();
    // A word that goes on, or stops early, is as near as a word with a slip.
    let begins = |candidate: &str| {
        let short = candidate.len().min(lower.len());
        short >= 3 && (lower.starts_with(candidate) || candidate.starts_with(&lower))
    };
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let near = strsim::normalized_damerau_levenshtein(&lower, &candidate);
        if begins(&candidate) { near.max(0.6) } else { near }
    };
    candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
