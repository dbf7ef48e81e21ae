//! What the rules of a module use: functions, other rules, `data`, variables; and the changes that give
//! its negations and its arithmetic OPA's meaning.

mod rewrite;

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Ref, Rule};

use super::{
    builtins,
    compile::RegoProblem,
    edits::Edit,
    modules::Parsed,
    negation::is_infix,
    tokens::{Token, tokenize},
    walk::{Step, below, bodies, declared, head_exprs, of_statement, path, pattern_names, rule_args},
};

/// A function call.
pub(super) struct Call {
    /// The function's name as written, `lib.f`.
    pub name: Vec<String>,
    pub arguments: usize,
    pub range: std::ops::Range<usize>,
}

/// A reference to something outside the rule: the part of its path that is known.
pub(super) struct Reference {
    pub path: Vec<String>,
    pub range: std::ops::Range<usize>,
}

/// What one rule uses.
pub(super) struct Uses {
    pub calls: Vec<Call>,
    pub references: Vec<Reference>,
    /// A measure of the stack an evaluation of this rule alone takes.
    pub depth: usize,
}

/// What every rule of a module uses, the problems met on the way, and the text as the engine gets it.
pub(super) struct ModuleUses {
    pub rules: Vec<Uses>,
    pub problems: Vec<RegoProblem>,
    pub edits: Vec<Edit>,
}

/// Goes through a module. `rules` has the paths of all rules of all modules.
pub(super) fn uses(parsed: &Parsed<'_>, rules: &BTreeSet<Vec<String>>) -> ModuleUses {
    let tokens = tokenize(&parsed.edited.text);
    let mut visitor = Visitor {
        parsed,
        tokens: &tokens,
        rules,
        scopes: Vec::new(),
        bound: BTreeSet::new(),
        named: Vec::new(),
        uses: Uses { calls: Vec::new(), references: Vec::new(), depth: 0 },
        problems: Vec::new(),
        edits: Vec::new(),
        hoists: 0,
        depth: 0,
    };
    let all = parsed.tree.policy.iter().map(|rule| visitor.rule(rule)).collect();
    ModuleUses { rules: all, problems: visitor.problems, edits: visitor.edits }
}

struct Visitor<'a> {
    parsed: &'a Parsed<'a>,
    tokens: &'a [Token<'a>],
    rules: &'a BTreeSet<Vec<String>>,
    /// Names declared by the arguments and the queries around.
    scopes: Vec<Vec<String>>,
    /// Names that something in this rule gives a value.
    bound: BTreeSet<String>,
    /// Names that are neither declared nor global.
    named: Vec<(String, std::ops::Range<usize>)>,
    uses: Uses,
    problems: Vec<RegoProblem>,
    edits: Vec<Edit>,
    hoists: usize,
    depth: usize,
}

/// Whether variables in the brackets of a reference take their values there.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Binding,
    Negated,
}

impl Visitor<'_> {
    fn rule(&mut self, rule: &Ref<Rule>) -> Uses {
        self.uses = Uses { calls: Vec::new(), references: Vec::new(), depth: 0 };
        self.bound.clear();
        self.named.clear();
        self.depth = 0;
        let mut args = Vec::new();
        for arg in rule_args(rule) {
            pattern_names(arg, &mut args);
        }
        self.scopes = vec![args];
        // The head sees what the bodies declare.
        let mut names: Vec<String> = bodies(rule).flat_map(|query| declared(query)).collect();
        names.sort();
        names.dedup();
        for query in bodies(rule) {
            self.query(query);
        }
        self.scopes.push(names);
        for expr in head_exprs(rule) {
            self.expr(expr, Mode::Negated);
        }
        self.scopes.clear();
        let mut reported = BTreeSet::new();
        for (name, range) in std::mem::take(&mut self.named) {
            if !self.bound.contains(&name) && reported.insert(name.clone()) {
                let mut problem = self.parsed.problem(range, "PC0104", format!("`{name}` has no value here"));
                problem.hint = Some(
                    "a name must be a rule, an import, or get its value in the same body outside of `not`"
                        .to_owned(),
                );
                self.problems.push(problem);
            }
        }
        std::mem::replace(&mut self.uses, Uses { calls: Vec::new(), references: Vec::new(), depth: 0 })
    }

    fn is_local(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.iter().any(|local| local == name))
    }

    /// The path of a rule or an import with this name, if it is one.
    fn global(&self, name: &str) -> Option<Vec<String>> {
        if self.is_local(name) {
            return None;
        }
        if name == "input" || name == "data" {
            return Some(vec![name.to_owned()]);
        }
        if let Some(path) = self.parsed.imports.get(name) {
            return Some(path.clone());
        }
        let mut path = self.parsed.package.clone();
        path.push(name.to_owned());
        let known = self.rules.range(path.clone()..).next().is_some_and(|rule| rule.starts_with(&path));
        known.then_some(path)
    }

    fn deeper(&mut self, amount: usize, visit: impl FnOnce(&mut Self)) {
        self.depth += amount;
        self.uses.depth = self.uses.depth.max(self.depth);
        visit(self);
        self.depth -= amount;
    }

    fn query(&mut self, query: &Query) {
        self.scopes.push(declared(query));
        // The engine goes one deeper with every statement that iterates.
        self.deeper(1 + query.stmts.len(), |this| {
            for statement in &query.stmts {
                this.statement(statement);
            }
        });
        self.scopes.pop();
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::NotExpr { expr, .. } => {
                for modifier in &statement.with_mods {
                    self.expr(&modifier.refr, Mode::Negated);
                    self.expr(&modifier.r#as, Mode::Binding);
                }
                self.negation(statement, expr);
            }
            Literal::SomeIn { key, value, collection, .. } => {
                for pattern in key.iter().chain([value]) {
                    let mut names = Vec::new();
                    pattern_names(pattern, &mut names);
                    self.bound.extend(names);
                    self.expr(pattern, Mode::Binding);
                }
                self.expr(collection, Mode::Binding);
                self.modifiers(statement);
            }
            Literal::Every { key, value, domain, query, .. } => {
                self.expr(domain, Mode::Binding);
                self.scopes.push(key.iter().chain([value]).map(|span| span.text().to_owned()).collect());
                self.query(query);
                self.scopes.pop();
                self.modifiers(statement);
            }
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { lhs, rhs, op, .. } = expr.as_ref() {
                    let mut names = Vec::new();
                    pattern_names(lhs, &mut names);
                    if *op == AssignOp::Eq {
                        pattern_names(rhs, &mut names);
                    }
                    self.bound.extend(names);
                }
                // The last argument of a call may take its result.
                if let Expr::Call { params, .. } = expr.as_ref()
                    && let Some(last) = params.last()
                {
                    let mut names = Vec::new();
                    pattern_names(last, &mut names);
                    if params.len() > 1 {
                        self.bound.extend(names);
                    }
                }
                for expr in of_statement(statement).exprs {
                    self.expr(expr, Mode::Binding);
                }
            }
            Literal::SomeVars { vars, .. } => {
                // Declaring gives no value.
                for var in vars {
                    let range = var.start as usize..var.end as usize;
                    let mut path = self.parsed.package.clone();
                    path.push(var.text().to_owned());
                    if self.rules.contains(&path) || self.parsed.imports.contains_key(var.text()) {
                        let message = format!("`{}` is the name of a rule or an import as well", var.text());
                        let mut problem = self.parsed.problem(range.clone(), "PC0117", message);
                        problem.hint = Some("give the variable another name".to_owned());
                        self.problems.push(problem);
                    }
                    self.named.push((var.text().to_owned(), range));
                }
                self.modifiers(statement);
            }
        }
    }

    fn modifiers(&mut self, statement: &LiteralStmt) {
        for modifier in &statement.with_mods {
            self.expr(&modifier.refr, Mode::Negated);
            self.expr(&modifier.r#as, Mode::Binding);
        }
    }

    fn call(&mut self, expr: &Ref<Expr>, function: &Ref<Expr>, arguments: usize) {
        let (first, steps) = path(function);
        let mut name = vec![first.span().text().to_owned()];
        for step in steps {
            if let Step::Name(step) = step {
                name.push(step);
            }
        }
        let range = Parsed::range(self.tokens, function);
        if arguments == 1 && name == ["walk"] && self.global("walk").is_none() {
            self.walk(expr, range.clone());
        }
        self.uses.calls.push(Call { name, arguments, range });
        if let Expr::Call { fcn, params, .. } = expr.as_ref()
            && fcn.span().text() == "sprintf"
            && let [format, values] = params.as_slice()
        {
            self.sprintf(format, values);
        }
    }

    /// A literal format with a literal list: as many values as it has verbs.
    fn sprintf(&mut self, format: &Ref<Expr>, values: &Ref<Expr>) {
        let text = match format.as_ref() {
            Expr::String { value, .. } | Expr::RawString { value, .. } => value.as_string().ok(),
            _ => None,
        };
        if let (Some(text), Expr::Array { items, .. }) = (text, values.as_ref())
            && let Some(message) = builtins::sprintf_mismatch(text, items.len())
        {
            let range = Parsed::range(self.tokens, format);
            let mut problem = self.parsed.problem(range, "PC0115", message);
            problem.hint = Some("each verb takes one value; write %% for a percent sign".to_owned());
            self.problems.push(problem);
        }
    }

    /// A name with steps behind it. `part` visits what is within its brackets.
    fn reference(&mut self, expr: &Ref<Expr>, mode: Mode, part: &mut dyn FnMut(&mut Self, &Ref<Expr>)) {
        let (first, steps) = path(expr);
        match first.as_ref() {
            Expr::Var { span, .. } => {
                let name = span.text();
                let range = Parsed::range(self.tokens, expr);
                if let Some(mut full) = self.global(name) {
                    let known = steps.into_iter().map_while(|step| match step {
                        Step::Name(name) => Some(name),
                        Step::Dynamic => None,
                    });
                    full.extend(known);
                    self.uses.references.push(Reference { path: full, range });
                } else if !self.is_local(name) && name != "_" {
                    self.named.push((name.to_owned(), range));
                }
            }
            _ => part(self, first),
        }
        let mut at = expr;
        loop {
            match at.as_ref() {
                Expr::RefBrack { refr, index, .. } => {
                    if let Expr::Var { span, .. } = index.as_ref()
                        && self.global(span.text()).is_none()
                    {
                        if mode == Mode::Binding {
                            self.bound.insert(span.text().to_owned());
                        } else if span.text() == "_" {
                            let range = Parsed::range(self.tokens, index);
                            let mut problem = self.parsed.problem(
                                range,
                                "PC0104",
                                "`_` has no value here: `not` does not iterate",
                            );
                            problem.hint =
                                Some("name what is negated in a rule or function of its own".to_owned());
                            self.problems.push(problem);
                        }
                    } else if mode == Mode::Binding {
                        let mut names = Vec::new();
                        pattern_names(index, &mut names);
                        self.bound.extend(names);
                    }
                    part(self, index);
                    at = refr;
                }
                Expr::RefDot { refr, .. } => at = refr,
                _ => return,
            }
        }
    }

    fn expr(&mut self, expr: &Ref<Expr>, mode: Mode) {
        self.deeper(1, |this| match expr.as_ref() {
            Expr::Var { .. } => this.reference(expr, mode, &mut |_, _| {}),
            Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                this.reference(expr, mode, &mut |this, part| this.expr(part, mode));
            }
            Expr::Call { fcn, params, .. } => {
                this.call(expr, fcn, params.len());
                for param in params {
                    this.expr(param, mode);
                }
            }
            Expr::ArithExpr { lhs, rhs, .. } => this.arithmetic(expr, lhs, rhs, mode),
            Expr::UnaryExpr { span, expr: operand, .. } => {
                let range = Parsed::range(this.tokens, expr);
                let end = range.end;
                if is_infix(operand) {
                    // To the engine the sign is that of all that follows.
                    let mut problem = this.parsed.problem(
                        range,
                        "PC0117",
                        "a minus sign before an expression is not supported",
                    );
                    problem.hint = Some("write `0 - x`, with parentheses where they are needed".to_owned());
                    this.problems.push(problem);
                }
                this.edits.push(Edit::replace(span.start as usize, 1, "__minus(0, "));
                this.expr(operand, mode);
                this.edits.push(Edit::close(end, ")"));
            }
            other => {
                let parts = below(other);
                if let Some(query) = parts.query {
                    this.scopes.push(declared(query));
                    this.query(query);
                    for part in parts.exprs {
                        this.expr(part, Mode::Binding);
                    }
                    this.scopes.pop();
                } else {
                    for part in parts.exprs {
                        this.expr(part, mode);
                    }
                }
            }
        });
    }
}
