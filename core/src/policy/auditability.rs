//! Whether an audit can ask a policy what admission would ask it.

use super::{
    template::TemplateSpec,
    tokens::{Token, TokenKind, tokenize},
};

/// Whether the audit can judge existing objects by a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auditability {
    /// Its verdict depends on the object, its namespace and the parameters alone.
    Auditable,
    /// Not in this version: promoted by a person alone.
    NotYet {
        /// Why, in words: `asks for the operation`.
        reasons: Vec<String>,
    },
}

impl Auditability {
    /// Whether the audit can judge by it.
    pub fn is_auditable(&self) -> bool {
        matches!(self, Self::Auditable)
    }
}

const NAMES: [(&str, &str); 7] = [
    ("operation", "asks for the operation"),
    ("userInfo", "asks who makes the request"),
    ("oldObject", "asks for the old object"),
    ("options", "asks for the request options"),
    ("dryRun", "asks whether it is a dry run"),
    ("now_ns", "asks for the time"),
    ("inventory", "asks for other objects (data.inventory)"),
];

/// Looks at the names in the code, comments apart: one that is used for something else counts as well,
/// because a variable can carry the request anywhere.
/// `whole` says that the modules read the request as a whole.
pub(super) fn auditability(spec: &TemplateSpec, whole: bool) -> Auditability {
    let mut reasons: Vec<String> = Vec::new();
    let mut add = |reason: &str| {
        if !reasons.iter().any(|known| known == reason) {
            reasons.push(reason.to_owned());
        }
    };
    if spec.cel.is_some() {
        add("is written in CEL");
    }
    if let Some(rego) = &spec.rego {
        for module in std::iter::once(&rego.entry).chain(&rego.libs) {
            let tokens = tokenize(&module.text);
            for (name, reason) in NAMES {
                if tokens.iter().any(|token| names(token, name)) {
                    add(reason);
                }
            }
            if reads_unknown_keys(&tokens) {
                add("reads the request by keys that are only known at run time");
            }
        }
    }
    if whole {
        add("reads the request as a whole");
    }
    if reasons.is_empty() { Auditability::Auditable } else { Auditability::NotYet { reasons } }
}

/// The name itself, the string, or a string that looks like a path with it.
fn names(token: &Token<'_>, name: &str) -> bool {
    match token.kind {
        TokenKind::Ident => token.text == name,
        TokenKind::String | TokenKind::RawString => token.string().is_some_and(|text| {
            !text.contains(char::is_whitespace) && text.split(['/', '.']).any(|part| part == name)
        }),
        _ => false,
    }
}

/// `input[x]`, `input.review[x]`, `walk(input…` and the like.
fn reads_unknown_keys(tokens: &[Token<'_>]) -> bool {
    let at = |index: usize| tokens.get(index);
    let is = |index: usize, text: &str| at(index).is_some_and(|token| token.is(text));
    tokens.iter().enumerate().any(|(index, token)| {
        if !token.is("input") || (is(index.wrapping_sub(1), ".") && index > 0) {
            return false;
        }
        let after = if is(index + 1, ".") && is(index + 2, "review") {
            index + 3
        } else if is(index + 1, "[")
            && at(index + 2).and_then(Token::string).as_deref() == Some("review")
            && is(index + 3, "]")
        {
            index + 4
        } else {
            index + 1
        };
        let dynamic = is(after, "[")
            && at(after).is_some_and(|bracket| bracket.adjacent)
            && at(after + 1).and_then(Token::string).is_none();
        let walked =
            index >= 2 && is(index - 1, "(") && is(index - 2, "walk") && (is(after, ",") || is(after, ")"));
        dynamic || walked
    })
}
