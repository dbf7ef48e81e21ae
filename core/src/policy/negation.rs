//! What OPA evaluates before a negated expression, so that it must be defined for the body to hold.
//!
//! `not startswith(input.a, "x")` is, to OPA, `t := input.a; not startswith(t, "x")`: without `a` the
//! body fails, while the engine would negate the undefined call. The engine is given OPA's reading.
//! (`rewriteExprTerms` and `rewriteDynamics` in OPA's compiler.)

use regorus::unstable::{AssignOp, BoolOp, Expr, Ref};

use super::walk::below;

/// An expression OPA evaluates before the negation.
pub(super) struct Hoisted<'a> {
    pub expr: &'a Ref<Expr>,
    /// A call binds the variables in it; a reference must have them bound elsewhere.
    pub binds: bool,
}

/// The largest parts of a negated expression that are evaluated before it. `is_reference` says of a
/// plain name whether it is a rule or an import.
pub(super) fn hoisted<'a>(negated: &'a Ref<Expr>, is_reference: &dyn Fn(&str) -> bool) -> Vec<Hoisted<'a>> {
    let mut found = Vec::new();
    match negated.as_ref() {
        Expr::Call { fcn, params, .. } if fcn.span().text() != "print" => {
            for param in params {
                argument(param, is_reference, &mut found);
            }
        }
        Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. }
        | Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
            operand(lhs, is_reference, &mut found);
            operand(rhs, is_reference, &mut found);
        }
        Expr::ArithExpr { .. } | Expr::BinExpr { .. } | Expr::UnaryExpr { .. } => {
            found.push(Hoisted { expr: negated, binds: true });
        }
        expr if is_infix(expr) => {
            for part in below(expr).exprs {
                argument(part, is_reference, &mut found);
            }
        }
        _ => operand(negated, is_reference, &mut found),
    }
    found
}

/// Whether an expression is made by an operator.
pub(super) fn is_infix(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BoolExpr { .. }
            | Expr::BinExpr { .. }
            | Expr::ArithExpr { .. }
            | Expr::UnaryExpr { .. }
            | Expr::Membership { .. }
    )
}

/// One side of an equation, or a lone term: a reference stays, what is within its brackets goes first.
fn operand<'a>(expr: &'a Ref<Expr>, is_reference: &dyn Fn(&str) -> bool, found: &mut Vec<Hoisted<'a>>) {
    match expr.as_ref() {
        Expr::RefDot { refr, .. } => subject(refr, is_reference, found),
        Expr::RefBrack { refr, index, .. } => {
            subject(refr, is_reference, found);
            argument(index, is_reference, found);
        }
        Expr::Call { .. } => found.push(Hoisted { expr, binds: true }),
        other if is_infix(other) => found.push(Hoisted { expr, binds: true }),
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } => argument(expr, is_reference, found),
        _ => {}
    }
}

/// What a reference is taken from.
fn subject<'a>(expr: &'a Ref<Expr>, is_reference: &dyn Fn(&str) -> bool, found: &mut Vec<Hoisted<'a>>) {
    match expr.as_ref() {
        Expr::RefDot { .. } | Expr::RefBrack { .. } => operand(expr, is_reference, found),
        Expr::Var { .. } => {}
        _ => argument(expr, is_reference, found),
    }
}

fn argument<'a>(expr: &'a Ref<Expr>, is_reference: &dyn Fn(&str) -> bool, found: &mut Vec<Hoisted<'a>>) {
    match expr.as_ref() {
        Expr::RefDot { .. } | Expr::RefBrack { .. } => found.push(Hoisted { expr, binds: false }),
        Expr::Var { span, .. } if is_reference(span.text()) => found.push(Hoisted { expr, binds: false }),
        Expr::Call { .. } => found.push(Hoisted { expr, binds: true }),
        other if is_infix(other) => found.push(Hoisted { expr, binds: true }),
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } => {
            for part in below(expr).exprs {
                argument(part, is_reference, found);
            }
        }
        _ => {}
    }
}
