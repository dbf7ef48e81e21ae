//! What a case expects of the violations.

use regex::Regex;

use crate::policy::Violation;

/// One statement that must be true of the violations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// How many of the violations that the message selects.
    pub violations: Expected,
    /// A regular expression (RE2) for messages; `None` selects all.
    pub message: Option<String>,
}

/// How many violations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `yes`, also where nothing is said.
    Some,
    /// `no`.
    None,
    /// A number; gator refuses negative ones when it gets there.
    Exactly(i64),
    /// Something else, which gator refuses when it gets there.
    Other(String),
}

impl Assertion {
    /// Holds, or says what was expected and what was found. `Err` also where the assertion itself is
    /// wrong: as in gator, a broken expression only shows once there is a violation to try it on.
    pub(super) fn check(&self, violations: &[Violation]) -> Result<(), String> {
        let found = match &self.message {
            Some(pattern) if !violations.is_empty() => {
                let regex = go_regex(pattern)
                    .map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))?;
                violations.iter().filter(|violation| regex.is_match(&violation.message)).count()
            }
            _ => violations.len(),
        };
        let wanted = match &self.violations {
            Expected::Some if found > 0 => return Ok(()),
            Expected::None if found == 0 => return Ok(()),
            Expected::Exactly(wanted) if usize::try_from(*wanted) == Ok(found) => return Ok(()),
            Expected::Some => "at least 1 violation".to_owned(),
            Expected::None => "no violation".to_owned(),
            Expected::Exactly(1) => "exactly 1 violation".to_owned(),
            Expected::Exactly(wanted) if *wanted >= 0 => format!("exactly {wanted} violations"),
            Expected::Exactly(other) => return Err(unusable(&other.to_string())),
            Expected::Other(other) => return Err(unusable(other)),
        };
        let which = self.message.as_ref().map(|m| format!(" matching `{m}`")).unwrap_or_default();
        let messages: Vec<&str> = violations.iter().map(|violation| violation.message.as_str()).collect();
        Err(match messages.as_slice() {
            [] => format!("expected {wanted}{which}, found none"),
            messages => format!("expected {wanted}{which}, found {found} in: {}", messages.join("; ")),
        })
    }
}

fn unusable(found: &str) -> String {
    format!("expected violations to be yes, no or a number from 0, found `{found}`")
}

/// A regular expression as Go reads it: a brace that counts nothing stands for itself, and `\Q…\E`
/// quotes.
pub(super) fn go_regex(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(pattern).or_else(|error| Regex::new(&translated(pattern)).map_err(|_| error))
}

fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(text));
            rest = after;
            continue;
        }
        if first == '\\' {
            taken += rest.chars().nth(1).map_or(0, char::len_utf8);
        }
        if first == '{' && !counts(rest) {
            out.push('\\');
        }
        let (piece, after) = rest.split_at(taken);
        out.push_str(piece);
        rest = after;
    }
    out
}

/// Whether a text begins with `{n}`, `{n,}` or `{n,m}`.
fn counts(text: &str) -> bool {
    let Some((inner, _)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return false };
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    !low.is_empty() && low.bytes().chain(high.bytes()).all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Assertion, Expected, go_regex};
    use crate::policy::Violation;

    fn found(messages: &[&str]) -> Vec<Violation> {
        messages.iter().map(|text| Violation { message: (*text).to_owned(), details: json!({}) }).collect()
    }

    fn assertion(violations: Expected, message: Option<&str>) -> Assertion {
        Assertion { violations, message: message.map(str::to_owned) }
    }

    #[test]
    fn yes_no_and_numbers() {
        let two = found(&["a is wrong", "b is wrong"]);
        for (expected, message, violations, holds) in [
            (Expected::Some, None, &two, true),
            (Expected::Some, Some("^a"), &two, true),
            (Expected::Some, Some("^c"), &two, false),
            (Expected::Some, None, &found(&[]), false),
            (Expected::None, None, &two, false),
            (Expected::None, Some("^c"), &two, true),
            (Expected::None, None, &found(&[]), true),
            (Expected::Exactly(2), None, &two, true),
            (Expected::Exactly(1), None, &two, false),
            (Expected::Exactly(1), Some("b is"), &two, true),
            (Expected::Exactly(0), None, &found(&[]), true),
            (Expected::Exactly(-1), None, &two, false),
            (Expected::Other("maybe".into()), None, &two, false),
        ] {
            let assertion = assertion(expected, message);
            assert_eq!(assertion.check(violations).is_ok(), holds, "{assertion:?}");
        }
    }

    #[test]
    fn the_message_says_what_was_found() {
        let two = found(&["a is wrong", "b is wrong"]);
        assert_eq!(
            assertion(Expected::Exactly(1), Some("wrong")).check(&two).unwrap_err(),
            "expected exactly 1 violation matching `wrong`, found 2 in: a is wrong; b is wrong"
        );
        assert_eq!(
            assertion(Expected::Some, None).check(&[]).unwrap_err(),
            "expected at least 1 violation, found none"
        );
    }

    #[test]
    fn a_broken_expression_shows_when_it_is_tried() {
        let broken = assertion(Expected::None, Some("("));
        assert!(broken.check(&[]).is_ok());
        assert!(broken.check(&found(&["x"])).unwrap_err().contains("not a regular expression"));
    }

    #[test]
    fn expressions_are_those_of_go() {
        assert!(go_regex("missing {\"owner\"}").unwrap().is_match("is missing {\"owner\"} here"));
        assert!(go_regex(r"^\Qa.b\E$").unwrap().is_match("a.b"));
        assert!(!go_regex(r"^\Qa.b\E{$").unwrap().is_match("axb{"));
        assert!(go_regex("^a{2}{$").unwrap().is_match("aa{"));
        assert!(go_regex("(?i)OWNER").unwrap().is_match("owner"));
        assert!(go_regex("(").is_err());
    }
}
