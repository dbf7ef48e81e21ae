//! The semantic hash: one value for everything that can change a verdict, and nothing else.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    constraint::ConstraintSpec,
    schema::ParameterSchema,
    template::{Module, RegoVersion, TemplateSpec},
    tokens::{Token, TokenKind, tokenize},
};
use crate::identity::PolicyHash;

/// The hash of a constraint with its template: `match_normal` is the match in normal form.
pub fn semantic_hash(
    template: &TemplateSpec,
    constraint: &ConstraintSpec,
    match_normal: &Value,
) -> PolicyHash {
    let mut form = Form::new("policy");
    form.template(template);
    let parameters = ParameterSchema::new(template).map_or_else(
        |_| super::schema::or_empty(&constraint.parameters),
        |schema| schema.default_and_prune(&constraint.parameters),
    );
    form.section("parameters");
    form.json(&parameters);
    form.section("match");
    form.json(match_normal);
    form.finish()
}

/// The hash of a template alone.
pub fn template_hash(template: &TemplateSpec) -> PolicyHash {
    let mut form = Form::new("template");
    form.template(template);
    form.finish()
}

/// Writes values so that two different ones never look alike: every text with its length before it,
/// every list with its count.
struct Form(Sha256);

impl Form {
    fn new(what: &str) -> Self {
        let mut form = Self(Sha256::new());
        form.text("portcullis semantic hash v1");
        form.text(what);
        form
    }

    fn finish(self) -> PolicyHash {
        let digest = self.0.finalize();
        PolicyHash::new(format!("v1:{digest:x}"))
    }

    fn tag(&mut self, tag: u8) {
        self.0.update([tag]);
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn section(&mut self, name: &str) {
        self.tag(b'#');
        self.text(name);
    }

    fn template(&mut self, template: &TemplateSpec) {
        if let Some(rego) = &template.rego {
            self.section(match rego.version {
                RegoVersion::V0 => "rego v0",
                RegoVersion::V1 => "rego v1",
            });
            self.module(&rego.entry);
            let mut libs: Vec<_> = rego.libs.iter().map(|lib| (package(&lib.text), lib)).collect();
            libs.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.text.cmp(&y.text)));
            self.section("libs");
            self.count(libs.len());
            for (_, lib) in libs {
                self.module(lib);
            }
        }
        if let Some(cel) = &template.cel {
            self.section("cel");
            self.json(cel);
        }
        self.section("operations");
        let mut operations: Vec<&str> = template.operations.iter().map(String::as_str).collect();
        operations.sort_unstable();
        operations.dedup();
        self.count(operations.len());
        for operation in operations {
            self.text(operation);
        }
        self.section("schema");
        if let Ok(schema) = ParameterSchema::new(template) {
            self.json(&schema.normal_form());
        } else {
            self.tag(if template.legacy_schema { b'l' } else { b's' });
            self.json(template.schema.as_ref().unwrap_or(&Value::Null));
        }
    }

    fn module(&mut self, module: &Module) {
        let tokens = tokenize(&module.text);
        self.count(tokens.len());
        let mut previous = None;
        for token in &tokens {
            self.token(token, previous);
            previous = Some(token);
        }
    }

    fn token(&mut self, token: &Token<'_>, previous: Option<&Token<'_>>) {
        let decoded = token.string();
        let (tag, text) = match (token.kind, &decoded) {
            (TokenKind::String | TokenKind::RawString, Some(text)) => (b's', text.as_str()),
            (TokenKind::String | TokenKind::RawString | TokenKind::Unknown, _) => (b'?', token.text),
            (TokenKind::Ident, _) => (b'i', token.text),
            (TokenKind::Number, _) => (b'n', token.text),
            (TokenKind::Template, _) => (b't', token.text),
            // Right behind a term these go on with it, elsewhere they begin something new.
            (TokenKind::Symbol, _) if joins(token) && token.adjacent && previous.is_some_and(ends_term) => {
                (b'j', token.text)
            }
            (TokenKind::Symbol, _) => (b'p', token.text),
        };
        self.tag(tag);
        self.text(text);
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(b'0'),
            Value::Bool(value) => self.tag(if *value { b'T' } else { b'F' }),
            Value::Number(number) => {
                self.tag(b'N');
                self.text(&plain_number(number));
            }
            Value::String(text) => {
                self.tag(b'S');
                self.text(text);
            }
            Value::Array(items) => {
                self.tag(b'A');
                self.count(items.len());
                for item in items {
                    self.json(item);
                }
            }
            Value::Object(map) => {
                self.tag(b'O');
                self.count(map.len());
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_by_key(|(key, _)| *key);
                for (key, value) in keys {
                    self.text(key);
                    self.json(value);
                }
            }
        }
    }
}

/// `5` and `5.0` are one number to Rego.
fn plain_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough to be exact")]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

fn joins(token: &Token<'_>) -> bool {
    matches!(token.text, "(" | "[" | ".")
}

fn ends_term(token: &Token<'_>) -> bool {
    match token.kind {
        TokenKind::Symbol => matches!(token.text, ")" | "]" | "}"),
        TokenKind::Unknown => false,
        _ => true,
    }
}

/// The package of a module as its tokens say it, `lib.a`; empty where there is none.
fn package(text: &str) -> String {
    let tokens = tokenize(text);
    let mut name = String::new();
    let mut rest = tokens.iter().skip_while(|token| !token.is("package")).skip(1).peekable();
    while let Some(token) = rest.next() {
        name.push_str(&token.string().unwrap_or_else(|| token.text.to_owned()));
        if !rest.peek().is_some_and(|next| next.adjacent) {
            break;
        }
    }
    name
}
