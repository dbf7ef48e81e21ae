//! The format of suites, `test.gatekeeper.sh` Suite.

use super::assertion::{Assertion, Expected};
use crate::{
    document::{Node, NodeKind},
    identity::GroupVersionKind,
    problem::{Severity, Span},
};

/// A set of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suite {
    /// In the order written.
    pub tests: Vec<Test>,
    /// Not to be run.
    pub skip: bool,
}

/// A template and a constraint, and objects to try them on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// Name, empty where it has none.
    pub name: String,
    /// Path of the template, relative to the suite's folder; empty where missing.
    pub template: String,
    /// Path of the constraint, relative to the suite's folder; empty where missing.
    pub constraint: String,
    /// Path of ExpansionTemplates, relative to the suite's folder; empty where there are none.
    pub expansion: String,
    /// The constraint is expected not to fit the template's schema; cases are not run then.
    pub invalid: bool,
    /// Not to be run.
    pub skip: bool,
    /// In the order written.
    pub cases: Vec<Case>,
    /// Where it stands.
    pub span: Span,
}

/// One object and what is expected of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// Name, empty where it has none.
    pub name: String,
    /// Path of the object, relative to the suite's folder; empty where missing.
    pub object: String,
    /// Paths of the other objects of the cluster.
    pub inventory: Vec<String>,
    /// All must hold.
    pub assertions: Vec<Assertion>,
    /// Not to be run.
    pub skip: bool,
    /// Where it stands.
    pub span: Span,
}

/// Something wrong with a suite: an error where gator would not read it, else a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteProblem {
    /// Where.
    pub span: Span,
    /// How bad.
    pub severity: Severity,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Whether a document is a suite.
pub fn is_suite(document: &Node) -> bool {
    let text = |key| document.get(key).and_then(Node::as_str).unwrap_or_default();
    let kind = GroupVersionKind::new(text("apiVersion"), text("kind"));
    kind.group == "test.gatekeeper.sh" && kind.kind == "Suite"
}

impl Suite {
    /// Reads a suite with everything that is wrong with it; it is only good without errors.
    pub fn read(document: &Node) -> (Self, Vec<SuiteProblem>) {
        let mut reader = Reader { problems: Vec::new() };
        let suite = reader.suite(document);
        (suite, reader.problems)
    }
}

struct Reader {
    problems: Vec<SuiteProblem>,
}

impl Reader {
    fn suite(&mut self, document: &Node) -> Suite {
        self.known(document, &["apiVersion", "kind", "metadata", "tests", "skip"]);
        let mut suite = Suite { skip: self.flag(document, "skip"), tests: Vec::new() };
        for node in self.list(document, "tests") {
            if self.mapping(node, "a test") {
                suite.tests.push(self.test(node));
            }
        }
        suite
    }

    fn test(&mut self, node: &Node) -> Test {
        self.known(node, &["name", "template", "constraint", "expansion", "cases", "invalid", "skip"]);
        let mut test = Test {
            name: self.text(node, "name"),
            template: self.text(node, "template"),
            constraint: self.text(node, "constraint"),
            expansion: self.text(node, "expansion"),
            invalid: self.flag(node, "invalid"),
            skip: self.flag(node, "skip"),
            cases: Vec::new(),
            span: place(node),
        };
        for node in self.list(node, "cases") {
            if self.mapping(node, "a case") {
                test.cases.push(self.case(node));
            }
        }
        if test.invalid && !test.cases.is_empty() {
            self.warn(
                place(node),
                "the cases of a test marked invalid are not run",
                "give them a test of their own",
            );
        }
        test
    }

    fn case(&mut self, node: &Node) -> Case {
        self.known(node, &["name", "object", "inventory", "assertions", "skip"]);
        let mut case = Case {
            name: self.text(node, "name"),
            object: self.text(node, "object"),
            inventory: Vec::new(),
            assertions: Vec::new(),
            skip: self.flag(node, "skip"),
            span: place(node),
        };
        for item in self.list(node, "inventory") {
            match item.as_str() {
                Some(path) => case.inventory.push(path.to_owned()),
                None => self.wrong(item, "the path of a file"),
            }
        }
        for item in self.list(node, "assertions") {
            if self.mapping(item, "an assertion") {
                let assertion = self.assertion(item);
                case.assertions.push(assertion);
            }
        }
        case
    }

    fn assertion(&mut self, node: &Node) -> Assertion {
        self.known(node, &["violations", "message"]);
        let violations = match node.get("violations") {
            None => Expected::Some,
            Some(value) => match &value.kind {
                // `yes` and `no` without quotes are booleans in YAML 1.1, and words to gator.
                NodeKind::Null | NodeKind::Bool(true) => Expected::Some,
                NodeKind::Bool(false) => Expected::None,
                NodeKind::String(text) => match text.as_str() {
                    "yes" => Expected::Some,
                    "no" => Expected::None,
                    other => Expected::Other(other.to_owned()),
                },
                NodeKind::Number(number) if number.is_i64() => {
                    Expected::Exactly(number.as_i64().unwrap_or(i64::MAX))
                }
                _ => {
                    self.wrong(value, "yes, no or a whole number");
                    Expected::Some
                }
            },
        };
        let message = node
            .get("message")
            .filter(|value| value.kind != NodeKind::Null)
            .map(|_| self.text(node, "message"));
        Assertion { violations, message }
    }

    fn text(&mut self, node: &Node, key: &str) -> String {
        match node.get(key) {
            None => String::new(),
            Some(value) => match &value.kind {
                NodeKind::String(text) => text.clone(),
                NodeKind::Null => String::new(),
                _ => {
                    self.wrong(value, "text");
                    String::new()
                }
            },
        }
    }

    fn flag(&mut self, node: &Node, key: &str) -> bool {
        match node.get(key) {
            None => false,
            Some(value) => match &value.kind {
                NodeKind::Bool(flag) => *flag,
                NodeKind::Null => false,
                _ => {
                    self.wrong(value, "true or false");
                    false
                }
            },
        }
    }

    fn list<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Node] {
        match node.get(key) {
            None => &[],
            Some(value) => match &value.kind {
                NodeKind::Sequence(items) => items,
                NodeKind::Null => &[],
                _ => {
                    self.wrong(value, "a list");
                    &[]
                }
            },
        }
    }

    fn mapping(&mut self, node: &Node, what: &str) -> bool {
        let is = matches!(node.kind, NodeKind::Mapping(_));
        if !is {
            self.wrong(node, what);
        }
        is
    }

    fn known(&mut self, node: &Node, keys: &[&str]) {
        for entry in node.entries() {
            if !keys.contains(&entry.key.as_str()) {
                let hint = format!("known here: {}", keys.join(", "));
                self.warn(entry.key_span, &format!("unknown field `{}`", entry.key), &hint);
            }
        }
    }

    fn wrong(&mut self, node: &Node, expected: &str) {
        let found = match &node.kind {
            NodeKind::Null => "nothing".to_owned(),
            NodeKind::Bool(value) => format!("`{value}`"),
            NodeKind::Number(value) => format!("`{value}`"),
            NodeKind::String(value) => format!("`{value}`"),
            NodeKind::Sequence(_) => "a list".to_owned(),
            NodeKind::Mapping(_) => "a mapping".to_owned(),
        };
        self.problems.push(SuiteProblem {
            span: node.span,
            severity: Severity::Error,
            message: format!("expected {expected}, found {found}"),
            hint: None,
        });
    }

    fn warn(&mut self, span: Span, message: &str, hint: &str) {
        self.problems.push(SuiteProblem {
            span,
            severity: Severity::Warning,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        });
    }
}

/// The name of a test or case is what people look for; without one, its beginning.
fn place(node: &Node) -> Span {
    node.get("name").map_or(node.span, |name| name.span)
}
