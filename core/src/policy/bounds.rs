//! Bounds that a Rego text must keep so that no parser and no evaluation can run out of stack or time
//! over it. What people write is far below them.

use super::{
    builtins::is_literal_in_range,
    tokens::{Token, TokenKind},
};

/// Bytes of one module.
pub(super) const MAX_BYTES: usize = 512 * 1024;
/// Brackets within one another.
const MAX_NESTING: usize = 24;
/// The engine's parser reads what stands in n square or curly brackets up to 2^n times.
const MAX_WORK: u64 = 1 << 20;
/// Operators of one expression.
const MAX_OPERATORS: usize = 100;
/// Parts of one reference, `a.b.c`.
const MAX_PATH: usize = 100;

/// The first token that is beyond a bound, and which.
pub(super) fn exceeded<'text>(tokens: &[Token<'text>]) -> Option<(Token<'text>, String)> {
    // Per bracket: whether it doubles the work, operators and parts of the current expression.
    let mut open: Vec<(bool, usize)> = vec![(false, 0)];
    let mut path = 0;
    let mut work: u64 = 0;
    let mut doubled: u32 = 0;
    let mut after_operator = false;
    for token in tokens {
        let fail = |message: String| Some((*token, message));
        work = work.saturating_add(1 << doubled.min(40));
        if work > MAX_WORK {
            return fail("too much is nested here to be parsed in reasonable time".to_owned());
        }
        if token.kind == TokenKind::Number && !is_literal_in_range(token.text) {
            return fail("the number is out of range: expected one that a float64 can hold".to_owned());
        }
        let is_operator = is_operator(token);
        if let Some((_, operators)) = open.last_mut() {
            if is_operator {
                *operators += 1;
                if *operators > MAX_OPERATORS {
                    return fail(format!("expected at most {MAX_OPERATORS} operators in one expression"));
                }
            } else if matches!(token.text, "," | ";" | ":=" | "=" | ":")
                || (token.new_line && !after_operator)
            {
                *operators = 0;
            }
        }
        after_operator = is_operator;
        let step = token.adjacent && (token.is(".") || token.is("["));
        if step {
            path += 1;
            if path > MAX_PATH {
                return fail(format!("expected at most {MAX_PATH} parts in one reference"));
            }
        } else if !token.adjacent || (token.kind == TokenKind::Symbol && !token.is("]")) {
            path = 0;
        }
        if token.kind != TokenKind::Symbol {
            continue;
        }
        match token.text {
            "(" | "[" | "{" => {
                let rereads = token.text != "(";
                doubled += u32::from(rereads);
                open.push((rereads, 0));
                if open.len() > MAX_NESTING + 1 {
                    return fail(format!("expected at most {MAX_NESTING} brackets within one another"));
                }
            }
            ")" | "]" | "}" if open.len() > 1 => {
                doubled -= u32::from(open.pop().is_some_and(|(rereads, _)| rereads));
            }
            _ => {}
        }
    }
    None
}

fn is_operator(token: &Token<'_>) -> bool {
    match token.kind {
        TokenKind::Symbol => {
            matches!(
                token.text,
                "+" | "-" | "*" | "/" | "%" | "&" | "|" | "==" | "!=" | "<" | "<=" | ">" | ">="
            )
        }
        TokenKind::Ident => matches!(token.text, "in" | "with" | "not"),
        _ => false,
    }
}
