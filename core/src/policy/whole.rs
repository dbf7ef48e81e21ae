//! Whether a template reads the request as a whole. What an audit asks about has no operation, no user
//! and no old object, so that `json.marshal(input.review)` is not what admission would see.

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead};

use super::{
    builtins::{Builtin, lookup},
    modules::Parsed,
    walk::{Step, below, bodies, head_exprs, of_statement, path, rule_args, rule_ref},
};

/// Follows the request through variables, rules and the arguments of the template's own functions.
pub(super) fn reads_whole_request(modules: &[Parsed<'_>]) -> bool {
    let rules: Vec<&Ref<Rule>> = modules.iter().flat_map(|parsed| &parsed.tree.policy).collect();
    let mut search = Search { rules, rule: 0, names: BTreeSet::new(), values: BTreeSet::new(), found: false };
    loop {
        let before = (search.names.len(), search.values.len());
        for at in 0..search.rules.len() {
            search.rule(at);
        }
        if search.found || before == (search.names.len(), search.values.len()) {
            return search.found;
        }
    }
}

struct Search<'a> {
    rules: Vec<&'a Ref<Rule>>,
    rule: usize,
    /// Variables that hold the request, by the number of their rule.
    names: BTreeSet<(usize, String)>,
    /// Rules and functions whose value is the request.
    values: BTreeSet<String>,
    found: bool,
}

/// The last part of a rule's name or of a function's.
fn last_name(expr: &Ref<Expr>) -> String {
    let (first, mut steps) = path(expr);
    match steps.pop() {
        Some(Step::Name(name)) => name,
        _ => first.span().text().to_owned(),
    }
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::String { value, .. } | Expr::RawString { value, .. } => {
            value.as_string().ok().map(ToString::to_string)
        }
        _ => None,
    }
}

/// A literal key, or a list of them.
fn literals(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Array { items, .. } | Expr::Set { items, .. } if !items.is_empty() => {
            items.iter().map(|item| literal(item)).collect()
        }
        other => literal(other).map(|key| vec![key]),
    }
}

impl Search<'_> {
    fn rule(&mut self, at: usize) {
        let Some(rule) = self.rules.get(at).map(|rule| Ref::clone(rule)) else { return };
        self.rule = at;
        for query in bodies(&rule) {
            self.query(query);
        }
        let makes_set = matches!(rule.as_ref(), Rule::Spec { head: RuleHead::Set { .. }, .. });
        for expr in head_exprs(&rule) {
            if self.is_whole(expr) && !makes_set {
                self.values.insert(last_name(rule_ref(&rule)));
            }
            self.expr(expr, !makes_set);
        }
    }

    fn query(&mut self, query: &Query) {
        for statement in &query.stmts {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        let replaced: Vec<*const Expr> =
            statement.with_mods.iter().map(|with| std::ptr::from_ref(with.refr.as_ref())).collect();
        // Alone it is asked whether it is there.
        let alone = matches!(statement.literal, Literal::Expr { .. } | Literal::NotExpr { .. });
        let parts = of_statement(statement);
        for (at, expr) in parts.exprs.iter().enumerate() {
            if !replaced.contains(&std::ptr::from_ref(expr.as_ref())) {
                self.expr(expr, alone && at == 0);
            }
        }
        if let Some(query) = parts.query {
            self.query(query);
        }
    }

    /// `input`, `input.review`, and what holds them.
    fn is_whole(&self, expr: &Ref<Expr>) -> bool {
        let (first, steps) = path(expr);
        let whole = match first.as_ref() {
            Expr::Var { span, .. } => {
                let name = span.text();
                if name == "data" || !steps.is_empty() && self.values.contains(&last_name(expr)) {
                    return self.values.contains(&last_name(expr));
                }
                name == "input"
                    || self.names.contains(&(self.rule, name.to_owned()))
                    || self.values.contains(name)
            }
            Expr::Call { fcn, params, .. } => match (self.own(fcn), params.as_slice()) {
                (true, _) => self.values.contains(&last_name(fcn)),
                (false, [from, keys, ..]) if self.is_whole(from) => {
                    let is_review = |key: &String| key == "review";
                    match (fcn_name(fcn).as_str(), literals(keys)) {
                        ("object.get", Some(keys)) => keys.iter().all(is_review),
                        ("object.filter", Some(keys)) => keys.iter().any(is_review),
                        _ => false,
                    }
                }
                _ => false,
            },
            _ => false,
        };
        whole
            && match steps.as_slice() {
                [] => true,
                [Step::Name(name)] => name == "review",
                _ => false,
            }
    }

    /// Whether the template itself defines the function.
    fn own(&self, function: &Ref<Expr>) -> bool {
        let name = last_name(function);
        let (_, steps) = path(function);
        // A library's function is called by the name of its import.
        (steps.is_empty() || lookup(&fcn_name(function)) == Builtin::Unknown)
            && self.rules.iter().any(|rule| !rule_args(rule).is_empty() && last_name(rule_ref(rule)) == name)
    }

    fn expr(&mut self, expr: &Ref<Expr>, allowed: bool) {
        if !allowed && self.is_whole(expr) {
            self.found = true;
        }
        match expr.as_ref() {
            Expr::Call { fcn, params, .. } => self.call(fcn, params),
            Expr::AssignExpr { lhs, rhs, op, .. } => self.assign(lhs, rhs, *op == AssignOp::Eq),
            Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                let (first, steps) = path(expr);
                let held = match first.as_ref() {
                    Expr::Var { span, .. } => {
                        span.text() != "data" && self.is_whole(first) && !self.values.contains(span.text())
                    }
                    _ => self.is_whole(first),
                };
                let beyond = match steps.as_slice() {
                    [Step::Name(name), rest @ ..] if name == "review" => rest.first(),
                    all => all.first(),
                };
                if held && matches!(beyond, Some(Step::Dynamic)) {
                    self.found = true;
                }
                if !matches!(first.as_ref(), Expr::Var { .. }) {
                    self.expr(first, true);
                }
                let mut at = expr;
                loop {
                    match at.as_ref() {
                        Expr::RefBrack { refr, index, .. } => {
                            self.expr(index, false);
                            at = refr;
                        }
                        Expr::RefDot { refr, .. } => at = refr,
                        _ => break,
                    }
                }
            }
            other => {
                let parts = below(other);
                if let Some(query) = parts.query {
                    self.query(query);
                }
                for part in parts.exprs {
                    self.expr(part, false);
                }
            }
        }
    }

    fn call(&mut self, function: &Ref<Expr>, params: &[Ref<Expr>]) {
        if self.own(function) {
            let name = last_name(function);
            for (at, param) in params.iter().enumerate() {
                let whole = self.is_whole(param);
                self.expr(param, true);
                if !whole {
                    continue;
                }
                for (number, rule) in self.rules.iter().enumerate() {
                    if last_name(rule_ref(rule)) != name {
                        continue;
                    }
                    match rule_args(rule).get(at).map(AsRef::as_ref) {
                        Some(Expr::Var { span, .. }) => {
                            self.names.insert((number, span.text().to_owned()));
                        }
                        // A pattern is compared with it.
                        Some(_) => self.found = true,
                        None => {}
                    }
                }
            }
            return;
        }
        let by_key = matches!(fcn_name(function).as_str(), "object.get" | "object.filter")
            && params.get(1).is_some_and(|keys| literals(keys).is_some());
        for (at, param) in params.iter().enumerate() {
            self.expr(param, by_key && at == 0);
        }
    }

    fn assign(&mut self, lhs: &Ref<Expr>, rhs: &Ref<Expr>, unifies: bool) {
        for (name, value) in [(lhs, rhs), (rhs, lhs)].into_iter().take(if unifies { 2 } else { 1 }) {
            if !self.is_whole(value) {
                continue;
            }
            match name.as_ref() {
                Expr::Var { span, .. } => {
                    if span.text() != "input" {
                        self.names.insert((self.rule, span.text().to_owned()));
                    }
                }
                _ => self.found = true,
            }
        }
        self.expr(lhs, true);
        self.expr(rhs, true);
    }
}

fn fcn_name(function: &Ref<Expr>) -> String {
    super::modules::static_path(function).join(".")
}
