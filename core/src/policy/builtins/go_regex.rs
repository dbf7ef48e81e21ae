//! Regular expressions as Go has them, on the engine this program has.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

/// Compiled patterns of one evaluator.
#[derive(Clone, Default)]
pub(super) struct Patterns(BTreeMap<String, Option<Regex>>);

/// More patterns than a policy writes down; those made at run time do not pile up.
const MAX_PATTERNS: usize = 128;

/// A pattern that would take too much memory, which is no verdict on the pattern.
#[derive(Debug, thiserror::Error)]
#[error("the regular expression `{0}` is too large")]
pub(super) struct TooLarge(String);

const SIZE_LIMIT: usize = 4 << 20;

impl Patterns {
    /// The compiled pattern, `None` where it is not valid.
    pub fn get(&mut self, pattern: &str) -> Result<Option<&Regex>, TooLarge> {
        if !self.0.contains_key(pattern) {
            if self.0.len() >= MAX_PATTERNS {
                self.0.clear();
            }
            let compiled = match RegexBuilder::new(&translate(pattern)).size_limit(SIZE_LIMIT).build() {
                Ok(regex) => Some(regex),
                Err(regex::Error::CompiledTooBig(_)) => {
                    return Err(TooLarge(pattern.chars().take(80).collect()));
                }
                Err(_) => None,
            };
            self.0.insert(pattern.to_owned(), compiled);
        }
        Ok(self.0.get(pattern).and_then(Option::as_ref))
    }
}

/// Go's classes `\d \s \w \b` know ASCII alone, and within brackets Go has no set operations.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    let mut class_is_empty = false;
    while let Some(c) = chars.next() {
        let first_in_class = std::mem::take(&mut class_is_empty);
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('s') => out.push_str(if in_class { r"\t\n\f\r " } else { r"[\t\n\f\r ]" }),
                Some('S') => out.push_str(r"[^\t\n\f\r ]"),
                Some('w') => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('b') if !in_class => out.push_str(r"(?-u:\b)"),
                Some('B') if !in_class => out.push_str(r"(?-u:\B)"),
                Some('Q') if !in_class => {
                    let mut literal = String::new();
                    while let Some(c) = chars.next() {
                        if c == '\\' && chars.peek() == Some(&'E') {
                            chars.next();
                            break;
                        }
                        literal.push(c);
                    }
                    out.push_str(&regex::escape(&literal));
                }
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
                class_is_empty = true;
            }
            ']' if in_class && first_in_class => out.push_str(r"\]"),
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' if chars.peek() == Some(&':') => {
                // `[:alpha:]` goes through whole.
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && chars.peek() == Some(&'-') => out.push_str(r"\-"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Patterns;

    #[test]
    fn matches_as_go_does() {
        let mut patterns = Patterns::default();
        for (pattern, text, matches) in [
            (r"^\d+$", "123", Some(true)),
            (r"^\d+$", "١٢٣", Some(false)),
            (r"^\w$", "é", Some(false)),
            (r"^[\w.-]+$", "a_b.c-d", Some(true)),
            (r"^[^\s]+$", "a b", Some(false)),
            (r"^[[]$", "[", Some(true)),
            (r"^[]a]$", "]", Some(true)),
            (r"^[a&&b]+$", "a&b", Some(true)),
            (r"^[[:alpha:]]+$", "ab", Some(true)),
            (r"^\Qa.b\E$", "a.b", Some(true)),
            (r"^\Qa.b\E$", "axb", Some(false)),
            (r"\bfoo\b", "a foo b", Some(true)),
            ("(", "a", None),
        ] {
            let found = patterns.get(pattern).unwrap().map(|regex| regex.is_match(text));
            assert_eq!(found, matches, "{pattern} on {text}");
        }
        assert!(patterns.get("(((a{1000}){1000}){1000})").is_err());
    }
}
