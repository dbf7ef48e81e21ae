//! The changes that give a module's negations and arithmetic OPA's meaning.

use std::ops::Range;

use regorus::unstable::{Expr, LiteralStmt, Ref};

use super::{
    super::{
        builtins::function_of,
        edits::{Edit, Edited},
        modules::Parsed,
        negation::hoisted,
        tokens::Token,
        walk::below,
    },
    Mode, Visitor,
};

impl Visitor<'_> {
    pub(super) fn negation(&mut self, statement: &LiteralStmt, negated: &Ref<Expr>) {
        let found =
            hoisted(negated, &|name| name != "input" && name != "data" && self.global(name).is_some());
        let already = self.edits.len();
        let calls: Vec<*const Expr> =
            found.iter().filter(|one| one.binds).map(|one| std::ptr::from_ref(one.expr.as_ref())).collect();
        self.negated_parts(negated, &calls);
        if found.is_empty() {
            return;
        }
        let text = &self.parsed.edited.text;
        let mut inner: Vec<Edit> = self.edits.split_off(already);
        let mut before = String::new();
        let with = statement.with_mods.first().map(|first| {
            let start = first.span.start as usize;
            let end = self.end_of(statement.span.end as usize);
            text.get(start..end).unwrap_or_default()
        });
        for one in found {
            let range = Parsed::range(self.tokens, one.expr);
            let (within, rest): (Vec<Edit>, Vec<Edit>) =
                inner.into_iter().partition(|edit| edit.is_within(&range));
            inner = rest;
            let within = within.into_iter().map(|edit| Edit { at: edit.at - range.start, ..edit }).collect();
            let part = Edited::new(text.get(range.clone()).unwrap_or_default(), within).text;
            self.hoists += 1;
            let name = format!("__pc{}", self.hoists);
            before.push_str(&name);
            before.push_str(" := ");
            before.push_str(&part);
            if let Some(with) = with {
                before.push(' ');
                before.push_str(with);
            }
            before.push_str("; ");
            inner.push(Edit::replace(range.start, range.len(), name));
        }
        let start = statement.span.start as usize;
        let at = self.tokens.partition_point(|token| token.start < start);
        let alone = at.checked_sub(1).and_then(|at| self.tokens.get(at)).is_some_and(|token| token.is("if"));
        self.edits.extend(inner);
        if alone {
            self.edits.push(Edit::insert(start, format!("{{ {before}")));
            self.edits.push(Edit::close(self.end_of(statement.span.end as usize), " }"));
        } else {
            self.edits.push(Edit::insert(start, before));
        }
    }

    /// The end of the token that ends at or around an offset: the engine leaves quotes out.
    pub(super) fn end_of(&self, offset: usize) -> usize {
        let last = self.tokens.partition_point(|token| token.start < offset).checked_sub(1);
        last.and_then(|at| self.tokens.get(at)).map_or(offset, Token::end)
    }

    /// Visits a negated expression; the calls that are made before it bind as outside.
    pub(super) fn negated_parts(&mut self, expr: &Ref<Expr>, calls: &[*const Expr]) {
        if calls.contains(&std::ptr::from_ref(expr.as_ref())) {
            self.expr(expr, Mode::Binding);
            return;
        }
        match expr.as_ref() {
            Expr::Call { fcn, params, .. } => {
                self.call(expr, fcn, params.len());
                for param in params {
                    self.negated_parts(param, calls);
                }
            }
            Expr::RefBrack { .. } | Expr::RefDot { .. } => {
                self.reference(expr, Mode::Negated, &mut |this, part| this.negated_parts(part, calls));
            }
            Expr::Array { .. }
            | Expr::Set { .. }
            | Expr::Object { .. }
            | Expr::BoolExpr { .. }
            | Expr::BinExpr { .. }
            | Expr::AssignExpr { .. }
            | Expr::Membership { .. } => {
                for part in below(expr).exprs {
                    self.negated_parts(part, calls);
                }
            }
            _ => self.expr(expr, Mode::Negated),
        }
    }

    /// `walk(x)` is each of its results in turn, as in `[path, value] = walk(x)`; the engine gives it only one,
    /// the list of all.
    pub(super) fn walk(&mut self, call: &Ref<Expr>, name: Range<usize>) {
        let end = Parsed::range(self.tokens, call).end;
        self.edits.push(Edit::replace(name.start, name.len(), "__walked"));
        self.edits.push(Edit::close(end, "[_]"));
    }

    /// An operator becomes a call of the function that calculates as OPA does.
    pub(super) fn arithmetic(&mut self, expr: &Ref<Expr>, lhs: &Ref<Expr>, rhs: &Ref<Expr>, mode: Mode) {
        let range = Parsed::range(self.tokens, expr);
        let behind = Parsed::range(self.tokens, lhs).end;
        let first = self.tokens.partition_point(|token| token.start < behind);
        let operator = self.tokens.iter().skip(first).find(|token| !token.is(")"));
        let function = operator.and_then(|operator| Some((operator, function_of(operator.text)?)));
        if let Some((_, function)) = function {
            self.edits.push(Edit::insert(range.start, format!("{function}(")));
        }
        self.expr(lhs, mode);
        self.expr(rhs, mode);
        if let Some((operator, _)) = function {
            self.edits.push(Edit::replace(operator.start, operator.text.len(), ","));
            self.edits.push(Edit::close(range.end, ")"));
        }
    }
}
