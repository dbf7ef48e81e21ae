//! The modules of a template: mended, parsed, with their packages, imports and rules.

use std::collections::BTreeMap;

use regorus::unstable::{Expr, Module as Tree, Parser, Ref, Rule, RuleHead, Source};

use super::{
    bounds,
    compile::RegoProblem,
    edits::{Edited, place_of},
    mend::mend,
    template::{Module, RegoVersion},
    tokens::{Token, tokenize},
    walk::{Step, path, rule_args, rule_ref},
};

/// Columns the engine reads in one line.
pub(super) const MAX_COLUMN: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(u32::MAX / 4);

/// A module as the engine parses it.
pub(super) struct Parsed<'spec> {
    /// The module as written.
    pub module: &'spec Module,
    /// Mended before parsing.
    pub edited: Edited,
    /// The tree of the mended text.
    pub tree: Tree,
    /// `["data", "lib", "a"]`.
    pub package: Vec<String>,
    /// Names that imports make known, and the path they stand for.
    pub imports: BTreeMap<String, Vec<String>>,
}

impl Parsed<'_> {
    /// A problem at a byte range of the mended text.
    pub fn problem(
        &self,
        range: std::ops::Range<usize>,
        code: &'static str,
        message: impl Into<String>,
    ) -> RegoProblem {
        let start = self.edited.original_offset(range.start);
        let text = &self.module.text;
        let (line, column) = place_of(text, start);
        let end = self.edited.original_offset(range.end).max(start);
        let length = text
            .get(start..end)
            .and_then(|part| part.lines().next())
            .map_or(1, |part| u32::try_from(part.chars().count()).unwrap_or(1).max(1));
        let pointer = self.module.pointer.clone();
        RegoProblem { pointer, line, column, length, code, message: message.into(), hint: None }
    }

    /// The bytes an expression takes in the mended text, quotes included.
    pub fn range(tokens: &[Token<'_>], expr: &Expr) -> std::ops::Range<usize> {
        let span = expr.span();
        let (start, end) = (span.start as usize, span.end as usize);
        let first = tokens.partition_point(|token| token.start <= start).checked_sub(1);
        let last = tokens.partition_point(|token| token.start < end.max(start + 1)).checked_sub(1);
        let start = first.and_then(|at| tokens.get(at)).map_or(start, |token| token.start);
        let end = last.and_then(|at| tokens.get(at)).map_or(end, Token::end);
        start..end.max(start)
    }

    /// The path of a rule, `["data", "template", "violation"]`; ends where its name has a variable.
    pub fn rule_path(&self, rule: &Rule) -> Vec<String> {
        let (first, steps) = path(rule_ref(rule));
        let mut full = self.package.clone();
        full.push(first.span().text().to_owned());
        // `p.q` makes a set named `p.q`, `p[x]` one named `p`.
        for step in steps {
            match step {
                Step::Name(name) => full.push(name),
                Step::Dynamic => break,
            }
        }
        full
    }
}

/// Mends and parses one module.
pub(super) fn parse(
    module: &Module,
    version: RegoVersion,
    entry: bool,
) -> Result<Parsed<'_>, Vec<RegoProblem>> {
    let at = |token: &Token<'_>, code, message: String, hint: Option<&str>| RegoProblem {
        pointer: module.pointer.clone(),
        line: token.line,
        column: token.column,
        length: token.length(),
        code,
        message,
        hint: hint.map(str::to_owned),
    };
    let whole = |code, message: String| {
        vec![RegoProblem {
            pointer: module.pointer.clone(),
            line: 1,
            column: 1,
            length: 1,
            code,
            message,
            hint: None,
        }]
    };
    if module.text.len() > bounds::MAX_BYTES {
        let message =
            format!("expected at most {} KiB, found {}", bounds::MAX_BYTES / 1024, module.text.len() / 1024);
        return Err(whole("PC0116", message));
    }
    if module.text.contains('\0') {
        return Err(whole("PC0104", "the text has a zero byte".to_owned()));
    }
    let tokens = tokenize(&module.text);
    if tokens.is_empty() {
        return Err(whole("PC0104", "the module is empty".to_owned()));
    }
    if let Some((token, message)) = bounds::exceeded(&tokens) {
        return Err(vec![at(&token, "PC0116", message, None)]);
    }
    let mending = mend(&module.text, &tokens, entry);
    if !mending.refused.is_empty() {
        return Err(mending
            .refused
            .into_iter()
            .map(|(token, message, hint)| {
                let code = if hint == Some("use sprintf") { "PC0117" } else { "PC0104" };
                at(&token, code, message, hint)
            })
            .collect());
    }
    let edited = Edited::new(&module.text, mending.edits);
    // Writing heads again must not make a small text huge.
    if edited.text.len() > 4 * bounds::MAX_BYTES {
        return Err(whole("PC0116", "the rules with several bodies are too long".to_owned()));
    }
    let tree =
        tree(&edited.text, version).map_err(|message| vec![engine_problem(module, &edited, &message)])?;
    let package = std::iter::once("data".to_owned()).chain(static_path(&tree.package.refr)).collect();
    let imports = imports(&tree);
    Ok(Parsed { module, edited, tree, package, imports })
}

fn tree(text: &str, version: RegoVersion) -> Result<Tree, String> {
    let text_of = |error: &dyn std::fmt::Display| error.to_string();
    let source = Source::from_contents("m".to_owned(), text.to_owned()).map_err(|error| text_of(&error))?;
    let mut parser = Parser::new(&source).map_err(|error| text_of(&error))?;
    parser.set_max_col(MAX_COLUMN);
    if version == RegoVersion::V1 {
        parser.enable_rego_v1().map_err(|error| text_of(&error))?;
    }
    parser.parse().map_err(|error| text_of(&error))
}

/// What the engine says, at its place in the module: `--> file:line:column … error: message`.
pub(super) fn engine_problem(module: &Module, edited: &Edited, message: &str) -> RegoProblem {
    let place = message
        .split_once("--> ")
        .and_then(|(_, rest)| rest.lines().next())
        .and_then(|line| {
            let mut parts = line.rsplitn(3, ':');
            let column: u32 = parts.next()?.trim().parse().ok()?;
            let line: u32 = parts.next()?.trim().parse().ok()?;
            Some(edited.original_place(line, column))
        })
        .unwrap_or((1, 1));
    RegoProblem {
        pointer: module.pointer.clone(),
        line: place.0,
        column: place.1,
        length: 1,
        code: "PC0104",
        message: brief(message),
        hint: None,
    }
}

/// The last line of what the engine says, without places and prefixes.
pub(super) fn brief(message: &str) -> String {
    let text = message.rsplit_once("error: ").map_or(message, |(_, text)| text);
    let text = text.split(" (path [").next().unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("data.template.", "")
}

/// The names of a reference without variables.
pub(super) fn static_path(expr: &Ref<Expr>) -> Vec<String> {
    let (first, steps) = path(expr);
    std::iter::once(first.span().text().to_owned())
        .chain(steps.into_iter().filter_map(|step| match step {
            Step::Name(name) => Some(name),
            Step::Dynamic => None,
        }))
        .collect()
}

fn imports(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    tree.imports
        .iter()
        .filter_map(|import| {
            let path = static_path(&import.refr);
            if !matches!(path.first().map(String::as_str), Some("data" | "input")) {
                return None;
            }
            let name = import
                .r#as
                .as_ref()
                .map_or_else(|| path.last().cloned(), |span| Some(span.text().to_owned()));
            name.map(|name| (name, path))
        })
        .collect()
}

/// Whether a rule is a function.
pub(super) fn is_function(rule: &Rule) -> bool {
    matches!(rule, Rule::Spec { head: RuleHead::Func { .. }, .. })
        || (matches!(rule, Rule::Default { .. }) && !rule_args(rule).is_empty())
}
