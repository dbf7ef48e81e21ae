//! The tokens of a Rego text, with their places. Comments and layout are gone, but not whether a
//! token stands right behind the one before it, which Rego cares about.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or keyword.
    Ident,
    /// A number, without sign.
    Number,
    /// A string in double quotes.
    String,
    /// A string in backquotes.
    RawString,
    /// A string with `$` before it, which may hold expressions.
    Template,
    /// Brackets, operators, separators.
    Symbol,
    /// A character or an unfinished string that Rego does not have.
    Unknown,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'text> {
    pub kind: TokenKind,
    /// The token as written, quotes included.
    pub text: &'text str,
    /// Byte offset of the token in the text.
    pub start: usize,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// Whether nothing stands between this token and the one before.
    pub adjacent: bool,
    /// Whether a line ended between this token and the one before.
    pub new_line: bool,
}

impl Token<'_> {
    /// Byte offset behind the token.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Characters on the token's first line.
    pub fn length(&self) -> u32 {
        let line = self.text.lines().next().unwrap_or_default();
        u32::try_from(line.chars().count()).unwrap_or(u32::MAX).max(1)
    }

    /// Whether this is the symbol or name `text`.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, TokenKind::Symbol | TokenKind::Ident) && self.text == text
    }

    /// The value of a string token, `None` for other tokens and wrong escapes.
    pub fn string(&self) -> Option<String> {
        match self.kind {
            TokenKind::String => serde_json::from_str(self.text).ok(),
            TokenKind::RawString => {
                self.text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).map(str::to_owned)
            }
            _ => None,
        }
    }
}

/// All tokens of a Rego text. What Rego does not have comes as `Unknown`; nothing fails.
pub(super) fn tokenize(text: &str) -> Vec<Token<'_>> {
    let mut scanner = Scanner { text, at: 0, line: 1, column: 1 };
    let mut tokens = Vec::new();
    let mut previous_end = usize::MAX;
    let mut previous_line = 0;
    loop {
        scanner.skip_layout();
        let (start, line, column) = (scanner.at, scanner.line, scanner.column);
        let Some(kind) = scanner.next_kind() else { return tokens };
        tokens.push(Token {
            kind,
            text: text.get(start..scanner.at).unwrap_or_default(),
            start,
            line,
            column,
            adjacent: start == previous_end,
            new_line: line != previous_line,
        });
        previous_end = scanner.at;
        previous_line = scanner.line;
    }
}

struct Scanner<'text> {
    text: &'text str,
    at: usize,
    line: u32,
    column: u32,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn peek_second(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().nth(1))
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn bump_while(&mut self, accept: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&accept) {
            self.bump();
        }
    }

    fn skip_layout(&mut self) {
        loop {
            self.bump_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if self.peek() != Some('#') {
                return;
            }
            self.bump_while(|c| c != '\n');
        }
    }

    fn next_kind(&mut self) -> Option<TokenKind> {
        let first = self.bump()?;
        Some(match first {
            '"' => self.finish_string(TokenKind::String),
            '`' => self.finish_raw_string(TokenKind::RawString),
            '$' if self.peek() == Some('"') => {
                self.bump();
                self.finish_string(TokenKind::Template)
            }
            '$' if self.peek() == Some('`') => {
                self.bump();
                self.finish_raw_string(TokenKind::Template)
            }
            '0'..='9' => {
                self.finish_number();
                TokenKind::Number
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                self.bump_while(|c| c.is_ascii_alphanumeric() || c == '_');
                TokenKind::Ident
            }
            ':' | '=' | '<' | '>' | '!' => {
                if self.peek() == Some('=') {
                    self.bump();
                } else if first == '!' {
                    return Some(TokenKind::Unknown);
                }
                TokenKind::Symbol
            }
            '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '*' | '/' | '%' | '&' | '|' | ',' | ';' | '.' => {
                TokenKind::Symbol
            }
            _ => TokenKind::Unknown,
        })
    }

    fn finish_string(&mut self, kind: TokenKind) -> TokenKind {
        loop {
            match self.peek() {
                None | Some('\n') => return TokenKind::Unknown,
                Some('\\') => {
                    self.bump();
                    self.bump();
                }
                Some('"') => {
                    self.bump();
                    return kind;
                }
                Some(_) => {
                    self.bump();
                }
            }
        }
    }

    fn finish_raw_string(&mut self, kind: TokenKind) -> TokenKind {
        self.bump_while(|c| c != '`');
        if self.bump().is_some() { kind } else { TokenKind::Unknown }
    }

    fn finish_number(&mut self) {
        self.bump_while(|c| c.is_ascii_digit());
        if self.peek() == Some('.') && self.peek_second().is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
            self.bump_while(|c| c.is_ascii_digit());
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.bump();
            if matches!(self.peek(), Some('+' | '-')) {
                self.bump();
            }
            self.bump_while(|c| c.is_ascii_digit());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TokenKind, tokenize};

    #[test]
    fn knows_places_and_neighbours() {
        let tokens = tokenize("a[\"é\"] [0] # not this\n  `x\ny`.z := 1.5e-3 $\"{b}\" != §");
        let seen: Vec<_> =
            tokens.iter().map(|t| (t.text, t.line, t.column, t.adjacent, t.new_line)).collect();
        assert_eq!(
            seen,
            [
                ("a", 1, 1, false, true),
                ("[", 1, 2, true, false),
                ("\"é\"", 1, 3, true, false),
                ("]", 1, 6, true, false),
                ("[", 1, 8, false, false),
                ("0", 1, 9, true, false),
                ("]", 1, 10, true, false),
                ("`x\ny`", 2, 3, false, true),
                (".", 3, 3, true, false),
                ("z", 3, 4, true, false),
                (":=", 3, 6, false, false),
                ("1.5e-3", 3, 9, false, false),
                ("$\"{b}\"", 3, 16, false, false),
                ("!=", 3, 23, false, false),
                ("§", 3, 26, false, false),
            ]
        );
        assert_eq!(tokens.last().map(|token| token.kind), Some(TokenKind::Unknown));
    }
}
