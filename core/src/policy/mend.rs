//! Makes a Rego text mean to the engine what it means to OPA, and refuses what cannot be.

use super::{
    edits::Edit,
    tokens::{Token, TokenKind},
};

/// What to do about a text's tokens before it is parsed.
#[derive(Debug, Default)]
pub(super) struct Mending<'text> {
    /// Changes that keep the meaning OPA gives the text.
    pub edits: Vec<Edit>,
    /// Tokens that are wrong, with why and what to do.
    pub refused: Vec<(Token<'text>, String, Option<&'static str>)>,
}

/// Looks at all tokens of a module; the entry module gets the package name that Gatekeeper gives it.
pub(super) fn mend<'text>(text: &str, tokens: &[Token<'text>], entry: bool) -> Mending<'text> {
    let mut mending = Mending::default();
    for token in tokens {
        match token.kind {
            TokenKind::Template => mending.refused.push((
                *token,
                "strings with expressions in them are not supported".to_owned(),
                Some("use sprintf"),
            )),
            TokenKind::Unknown => {
                let message = match token.text.chars().next() {
                    Some('"' | '`') => "the string does not end".to_owned(),
                    _ => format!("unexpected `{}`", token.text.chars().take(1).collect::<String>()),
                };
                mending.refused.push((*token, message, None));
            }
            _ => {}
        }
    }
    if !mending.refused.is_empty() {
        return mending;
    }
    if entry {
        mending.edits.extend(rename_package(tokens));
    }
    separate_parentheses(tokens, &mut mending);
    repeat_heads(text, tokens, &mut mending.edits);
    mending
}

/// Gatekeeper gives the entry module its own package, whatever it says.
fn rename_package(tokens: &[Token<'_>]) -> Option<Edit> {
    let (package, path) = tokens.split_first()?;
    let first = path.first().filter(|token| package.is("package") && token.kind == TokenKind::Ident)?;
    let end = path.iter().skip(1).take_while(|token| token.adjacent).last().unwrap_or(first).end();
    Some(Edit::replace(first.start, end - first.start, "template"))
}

/// Words that do not end a term.
fn is_keyword(token: &Token<'_>) -> bool {
    matches!(
        token.text,
        "not"
            | "with"
            | "as"
            | "some"
            | "every"
            | "in"
            | "else"
            | "if"
            | "contains"
            | "default"
            | "import"
            | "package"
    )
}

fn ends_term(token: &Token<'_>) -> bool {
    match token.kind {
        TokenKind::Symbol => matches!(token.text, ")" | "]" | "}"),
        TokenKind::Ident => !is_keyword(token),
        _ => true,
    }
}

/// To OPA a parenthesis goes on with the name before it only if it stands right behind; to the engine
/// always. On a line of its own it begins a statement; on the same line it is a mistake.
fn separate_parentheses<'text>(tokens: &[Token<'text>], mending: &mut Mending<'text>) {
    // Whether statements can stand in each open bracket.
    let mut open: Vec<bool> = Vec::new();
    for (previous, token) in std::iter::once(None).chain(tokens.iter().map(Some)).zip(tokens) {
        if token.kind != TokenKind::Symbol {
            continue;
        }
        match token.text {
            "(" => {
                // `contains` is a function as well.
                let callable = |previous: &Token<'_>| {
                    previous.is("]")
                        || (previous.kind == TokenKind::Ident
                            && (!is_keyword(previous) || previous.text == "contains"))
                };
                if let Some(previous) = previous
                    && !token.adjacent
                    && callable(previous)
                {
                    if token.new_line && open.last().copied().unwrap_or(false) && previous.text != "contains"
                    {
                        mending.edits.push(Edit::insert(previous.end(), ";"));
                    } else {
                        let message = format!("unexpected `(` behind `{}`", previous.text);
                        mending.refused.push((
                            *token,
                            message,
                            Some("a call has no space before its parenthesis"),
                        ));
                    }
                }
                open.push(false);
            }
            "[" => open.push(false),
            "{" => open.push(true),
            ")" | "]" | "}" => {
                open.pop();
            }
            "|" => {
                // A comprehension: statements follow.
                if let Some(last) = open.last_mut() {
                    *last = true;
                }
            }
            _ => {}
        }
    }
}

/// `p[x] { … } { … }` are two rules with one head, which the engine takes for something else: the head
/// is written again.
fn repeat_heads(text: &str, tokens: &[Token<'_>], edits: &mut Vec<Edit>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Brace {
        Value,
        Body,
        Else,
    }
    let mut depth = 0_usize;
    let mut rule_start: Option<&Token<'_>> = None;
    let mut head: Option<&str> = None;
    let mut opened = Brace::Value;
    let mut closed: Option<Brace> = None;
    let mut in_else = false;
    let mut previous: Option<&Token<'_>> = None;
    for token in tokens {
        if depth == 0 {
            let begins = match previous {
                None => true,
                Some(before) => {
                    token.kind == TokenKind::Ident
                        && !matches!(token.text, "else" | "with" | "as" | "in" | "if" | "contains")
                        && (matches!(closed, Some(Brace::Body | Brace::Else))
                            || (token.new_line && ends_term(before)))
                }
            };
            if begins {
                rule_start = Some(token);
                head = None;
                in_else = false;
            }
            if token.is("else") {
                in_else = true;
            }
            if token.is("{") {
                opened = match (previous, closed) {
                    (Some(before), _) if !ends_term(before) && !before.is("if") && !before.is("else") => {
                        Brace::Value
                    }
                    _ if in_else => Brace::Else,
                    (_, Some(Brace::Body)) => {
                        if let Some(head) = head {
                            edits.push(Edit::insert(token.start, format!(" {head} ")));
                        }
                        Brace::Body
                    }
                    _ => {
                        head = rule_start
                            .and_then(|start| text.get(start.start..token.start))
                            .map(str::trim_end);
                        Brace::Body
                    }
                };
            }
            closed = None;
        }
        match token.text {
            "(" | "[" | "{" if token.kind == TokenKind::Symbol => depth += 1,
            ")" | "]" | "}" if token.kind == TokenKind::Symbol => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    closed = Some(opened);
                }
            }
            _ => {}
        }
        previous = Some(token);
    }
}
