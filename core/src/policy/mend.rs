//! Makes a Rego text mean to the engine what it means to OPA, line by line.

use super::{
    edits::{Edit, Edited},
    tokens::{Token, TokenKind, tokenize},
};

/// The text with the entry module's package renamed, as Gatekeeper does.
pub(super) fn entry(text: &str) -> Edited {
    let tokens = tokenize(text);
    Edited::new(text, rename_package(&tokens))
}

/// Gatekeeper gives the entry module its own package, whatever it says.
fn rename_package(tokens: &[Token<'_>]) -> Vec<Edit> {
    let Some((package, path)) = tokens.split_first() else { return Vec::new() };
    if !package.is("package") {
        return Vec::new();
    }
    let Some(first) = path.first().filter(|token| token.kind == TokenKind::Ident) else { return Vec::new() };
    let end = path.iter().skip(1).take_while(|token| token.adjacent).last().unwrap_or(first).end();
    vec![Edit::replace(first.start, end - first.start, "template")]
}
