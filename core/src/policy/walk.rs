//! Walking the engine's syntax tree.

use regorus::unstable::{Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead};

/// What stands right below an expression.
pub(super) struct Below<'a> {
    pub exprs: Vec<&'a Ref<Expr>>,
    pub query: Option<&'a Ref<Query>>,
}

/// The parts of an expression; for a comprehension its head and its query.
pub(super) fn below(expr: &Expr) -> Below<'_> {
    let mut query = None;
    let exprs = match expr {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => Vec::new(),
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().collect(),
        Expr::Object { fields, .. } => fields.iter().flat_map(|(_, key, value)| [key, value]).collect(),
        Expr::ArrayCompr { term, query: inner, .. } | Expr::SetCompr { term, query: inner, .. } => {
            query = Some(inner);
            vec![term]
        }
        Expr::ObjectCompr { key, value, query: inner, .. } => {
            query = Some(inner);
            vec![key, value]
        }
        Expr::Call { fcn, params, .. } => std::iter::once(fcn).chain(params).collect(),
        Expr::UnaryExpr { expr, .. } => vec![expr],
        Expr::RefDot { refr, .. } => vec![refr],
        Expr::RefBrack { refr, index, .. } => vec![refr, index],
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
        Expr::Membership { key, value, collection, .. } => key.iter().chain([value, collection]).collect(),
    };
    Below { exprs, query }
}

/// The expressions of a statement, modifiers included, and the query of an `every`.
pub(super) fn of_statement(statement: &LiteralStmt) -> Below<'_> {
    let mut query = None;
    let mut exprs: Vec<&Ref<Expr>> = match &statement.literal {
        Literal::SomeVars { .. } => Vec::new(),
        Literal::SomeIn { key, value, collection, .. } => key.iter().chain([value, collection]).collect(),
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => vec![expr],
        Literal::Every { domain, query: inner, .. } => {
            query = Some(inner);
            vec![domain]
        }
    };
    for modifier in &statement.with_mods {
        exprs.push(&modifier.refr);
        exprs.push(&modifier.r#as);
    }
    Below { exprs, query }
}

/// The reference that names a rule.
pub(super) fn rule_ref(rule: &Rule) -> &Ref<Expr> {
    match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
        },
    }
}

/// The arguments of a function.
pub(super) fn rule_args(rule: &Rule) -> &[Ref<Expr>] {
    match rule {
        Rule::Default { args, .. } | Rule::Spec { head: RuleHead::Func { args, .. }, .. } => args,
        Rule::Spec { .. } => &[],
    }
}

/// The expressions of a rule's head: what it makes, its key, and the keys in its name.
pub(super) fn head_exprs(rule: &Rule) -> Vec<&Ref<Expr>> {
    let mut exprs = Vec::new();
    match rule {
        Rule::Default { value, .. } => exprs.push(value),
        Rule::Spec { head, bodies, .. } => {
            match head {
                RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                    exprs.extend(assign.as_ref().map(|assign| &assign.value));
                }
                RuleHead::Set { key, .. } => exprs.extend(key),
            }
            exprs.extend(bodies.iter().filter_map(|body| body.assign.as_ref()).map(|assign| &assign.value));
        }
    }
    let mut name = rule_ref(rule);
    loop {
        match name.as_ref() {
            Expr::RefBrack { refr, index, .. } => {
                exprs.push(index);
                name = refr;
            }
            Expr::RefDot { refr, .. } => name = refr,
            _ => return exprs,
        }
    }
}

/// The queries of a rule.
pub(super) fn bodies(rule: &Rule) -> impl Iterator<Item = &Ref<Query>> {
    match rule {
        Rule::Default { .. } => [].iter(),
        Rule::Spec { bodies, .. } => bodies.iter(),
    }
    .map(|body| &body.query)
}

/// The names a pattern binds: variables, also within lists and mappings.
pub(super) fn pattern_names(pattern: &Expr, names: &mut Vec<String>) {
    match pattern {
        Expr::Var { span, .. } => names.push(span.text().to_owned()),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            for item in items {
                pattern_names(item, names);
            }
        }
        Expr::Object { fields, .. } => {
            for (_, _, value) in fields {
                pattern_names(value, names);
            }
        }
        _ => {}
    }
}

/// The names a query declares: `x := …`, `some x`, `some x in …`.
pub(super) fn declared(query: &Query) -> Vec<String> {
    let mut names = Vec::new();
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(|var| var.text().to_owned())),
            Literal::SomeIn { key, value, .. } => {
                for pattern in key.iter().chain([value]) {
                    pattern_names(pattern, &mut names);
                }
            }
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op: regorus::unstable::AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    pattern_names(lhs, &mut names);
                }
            }
            _ => {}
        }
    }
    names
}

/// A reference taken apart: its first term and the steps behind it.
pub(super) fn path(expr: &Ref<Expr>) -> (&Ref<Expr>, Vec<Step>) {
    let mut steps = Vec::new();
    let mut at = expr;
    loop {
        match at.as_ref() {
            Expr::RefDot { refr, field, .. } => {
                steps.push(Step::Name(field.0.text().to_owned()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                steps.push(match index.as_ref() {
                    Expr::String { value, .. } | Expr::RawString { value, .. } => {
                        Step::Name(value.as_string().map(ToString::to_string).unwrap_or_default())
                    }
                    _ => Step::Dynamic,
                });
                at = refr;
            }
            _ => break,
        }
    }
    steps.reverse();
    (at, steps)
}

/// One step of a reference.
pub(super) enum Step {
    /// `.name` or `["name"]`.
    Name(String),
    /// `[anything else]`.
    Dynamic,
}
