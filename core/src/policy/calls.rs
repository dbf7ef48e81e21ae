//! What the rules of a template may call and refer to: no recursion, no foreign data, no unknown function.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Ref, Rule};

use super::{
    builtins::{Builtin, closest, is_deprecated, lookup, takes_no_result},
    compile::RegoProblem,
    modules::{Parsed, is_function},
    template::RegoVersion,
    uses::{Call, ModuleUses, Reference},
    walk::{rule_args, rule_ref},
};

/// The stack an evaluation may take, in the measure of `Uses::depth` summed along a chain of calls.
const MAX_DEPTH: usize = 400;

/// The paths of all rules.
pub(super) fn rule_paths(modules: &[Parsed<'_>]) -> BTreeSet<Vec<String>> {
    modules.iter().flat_map(|parsed| parsed.tree.policy.iter().map(|rule| parsed.rule_path(rule))).collect()
}

/// All problems with packages and imports.
pub(super) fn check_imports(modules: &[Parsed<'_>]) -> Vec<RegoProblem> {
    let mut problems = Vec::new();
    for (index, parsed) in modules.iter().enumerate() {
        let span = |span: &regorus::unstable::Span| span.start as usize..span.end as usize;
        let package = parsed.package.get(1..).unwrap_or_default();
        if index > 0 && (package.first().map(String::as_str) != Some("lib") || package.len() < 2) {
            let range = span(&parsed.tree.package.span);
            let message =
                format!("expected a package below `lib`, such as `lib.names`, found `{}`", package.join("."));
            let mut problem = parsed.problem(range, "PC0111", message);
            problem.hint = Some("Gatekeeper takes no other packages as libraries".to_owned());
            problems.push(problem);
        }
        for import in &parsed.tree.imports {
            let path = super::modules::static_path(&import.refr);
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            if !matches!(parts.as_slice(), ["data", "lib", ..] | ["future", ..]) {
                let message =
                    format!("expected an import of data.lib or future.keywords, found `{}`", path.join("."));
                let mut problem = parsed.problem(span(&import.span), "PC0112", message);
                problem.hint = Some(match parts.first() {
                    Some(&"rego") => {
                        "use `import future.keywords`, or set the source's version to v1".to_owned()
                    }
                    _ => "Gatekeeper refuses other imports".to_owned(),
                });
                problems.push(problem);
            }
        }
    }
    problems
}

/// A rule with all its definitions.
struct Node<'a> {
    /// The module and the first definition.
    parsed: &'a Parsed<'a>,
    rule: &'a Ref<Rule>,
    is_function: bool,
    arity: usize,
    edges: BTreeSet<usize>,
    depth: usize,
}

/// All problems with calls and references between the rules, recursion included.
pub(super) fn check_calls(
    modules: &[Parsed<'_>],
    uses: &[ModuleUses],
    version: RegoVersion,
) -> Vec<RegoProblem> {
    let mut problems = Vec::new();
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut by_path: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for parsed in modules {
        for rule in &parsed.tree.policy {
            by_path.entry(parsed.rule_path(rule)).or_insert_with(|| {
                nodes.push(Node {
                    parsed,
                    rule,
                    is_function: is_function(rule),
                    arity: rule_args(rule).len(),
                    edges: BTreeSet::new(),
                    depth: 0,
                });
                nodes.len() - 1
            });
        }
    }
    for (parsed, uses) in modules.iter().zip(uses) {
        for (rule, used) in parsed.tree.policy.iter().zip(&uses.rules) {
            let mut edges = BTreeSet::new();
            for reference in &used.references {
                match foreign(parsed, reference) {
                    Some(problem) => problems.push(problem),
                    None => edges.extend(targets(&by_path, &reference.path)),
                }
                let named = by_path.get(&reference.path).and_then(|index| nodes.get(*index));
                if named.is_some_and(|node| node.is_function) {
                    let name = reference.path.last().map_or("", String::as_str);
                    let message = format!("`{name}` is a function: expected a call, `{name}(…)`");
                    problems.push(parsed.problem(reference.range.clone(), "PC0114", message));
                }
            }
            for call in &used.calls {
                match resolve(parsed, &by_path, &call.name) {
                    Some(index) => {
                        edges.insert(index);
                        problems.extend(nodes.get(index).and_then(|node| wrong_call(parsed, call, node)));
                    }
                    None => problems.extend(unknown_call(parsed, call, version)),
                }
            }
            if let Some(node) = by_path.get(&parsed.rule_path(rule)).and_then(|index| nodes.get_mut(*index)) {
                node.edges.extend(edges);
                node.depth = node.depth.max(used.depth);
            }
        }
    }
    problems.extend(cycles(&nodes));
    problems
}

/// A reference into `data` that Gatekeeper does not allow.
fn foreign(parsed: &Parsed<'_>, reference: &Reference) -> Option<RegoProblem> {
    let parts: Vec<&str> = reference.path.iter().map(String::as_str).collect();
    // Rules of the module's own package are written without `data`.
    let written = parsed.edited.text.get(reference.range.clone()).unwrap_or_default();
    if parts.first() != Some(&"data")
        || !written.starts_with("data")
        || matches!(parts.as_slice(), ["data", "inventory" | "lib", ..])
    {
        return None;
    }
    let message = format!("expected data.inventory or data.lib, found `{}`", parts.join("."));
    let mut problem = parsed.problem(reference.range.clone(), "PC0112", message);
    problem.hint = Some("Gatekeeper gives policies no other data".to_owned());
    Some(problem)
}

/// The rules a path may read: those on the way to it, and those below it.
fn targets<'a>(
    by_path: &'a BTreeMap<Vec<String>, usize>,
    path: &'a [String],
) -> impl Iterator<Item = usize> + 'a {
    let above = (1..path.len()).filter_map(|length| by_path.get(path.get(..length)?).copied());
    let below = by_path.range(path.to_vec()..).take_while(move |(known, _)| known.starts_with(path));
    above.chain(below.map(|(_, index)| *index))
}

fn resolve(parsed: &Parsed<'_>, by_path: &BTreeMap<Vec<String>, usize>, name: &[String]) -> Option<usize> {
    let (first, rest) = name.split_first()?;
    if first == "data" {
        return by_path.get(name).copied();
    }
    if let Some(path) = parsed.imports.get(first) {
        let mut path = path.clone();
        path.extend_from_slice(rest);
        if let Some(index) = by_path.get(&path) {
            return Some(*index);
        }
    }
    let mut path = parsed.package.clone();
    path.extend_from_slice(name);
    by_path.get(&path).copied()
}

fn wrong_call(parsed: &Parsed<'_>, call: &Call, node: &Node<'_>) -> Option<RegoProblem> {
    let name = call.name.join(".");
    if !node.is_function {
        let message = format!("`{name}` is a rule, not a function");
        return Some(parsed.problem(call.range.clone(), "PC0114", message));
    }
    wrong_arity(parsed, call, node.arity)
}

fn wrong_arity(parsed: &Parsed<'_>, call: &Call, arity: usize) -> Option<RegoProblem> {
    // One more takes the result.
    (call.arguments != arity && call.arguments != arity + 1).then(|| {
        let message = format!("`{}` takes {arity} arguments, found {}", call.name.join("."), call.arguments);
        parsed.problem(call.range.clone(), "PC0114", message)
    })
}

fn unknown_call(parsed: &Parsed<'_>, call: &Call, version: RegoVersion) -> Option<RegoProblem> {
    let name = call.name.join(".");
    let problem = |message: String, hint: Option<String>| {
        let mut problem = parsed.problem(call.range.clone(), "PC0114", message);
        problem.hint = hint;
        Some(problem)
    };
    match lookup(&name) {
        Builtin::Known(_) if version == RegoVersion::V1 && is_deprecated(&name) => {
            problem(format!("`{name}` does not exist in Rego v1"), None)
        }
        Builtin::Known(Some(arity)) if call.arguments == usize::from(arity) + 1 && takes_no_result(&name) => {
            problem(
                format!("the result of `{name}` cannot be an argument here"),
                Some("write `x := …` in front of the call".to_owned()),
            )
        }
        Builtin::Known(arity) => arity.and_then(|arity| wrong_arity(parsed, call, usize::from(arity))),
        Builtin::Refused(why) => problem(format!("the function `{name}` is not supported: {why}"), None),
        Builtin::Unknown => problem(
            format!("there is no function `{name}`"),
            closest(&name).map(|near| format!("did you mean `{near}`?")),
        ),
    }
}

/// Recursion, which would take the whole program down, and chains of calls that are too deep.
fn cycles(nodes: &[Node<'_>]) -> Vec<RegoProblem> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done(usize),
    }
    let name = |index: &usize| nodes.get(*index).map_or("", |node| rule_ref(node.rule).span().text());
    let at = |index: usize, code, message: String| {
        nodes.get(index).map(|node| {
            let span = rule_ref(node.rule).span();
            node.parsed.problem(span.start as usize..span.end as usize, code, message)
        })
    };
    let mut problems = Vec::new();
    let mut states = vec![State::New; nodes.len()];
    for start in 0..nodes.len() {
        // Index and what is still to be looked at below it.
        let mut stack: Vec<(usize, Vec<usize>)> = Vec::new();
        let enter = |index: usize, stack: &mut Vec<(usize, Vec<usize>)>, states: &mut Vec<State>| {
            if let Some(state) = states.get_mut(index) {
                *state = State::Open;
            }
            let edges = nodes.get(index).map(|node| node.edges.iter().copied().collect()).unwrap_or_default();
            stack.push((index, edges));
        };
        if states.get(start) == Some(&State::New) {
            enter(start, &mut stack, &mut states);
        }
        while let Some((index, edges)) = stack.last_mut() {
            let index = *index;
            if let Some(next) = edges.pop() {
                match states.get(next) {
                    Some(State::New) => enter(next, &mut stack, &mut states),
                    Some(State::Open) => {
                        let chain: Vec<usize> = stack
                            .iter()
                            .map(|(index, _)| *index)
                            .skip_while(|index| *index != next)
                            .collect();
                        let shown: Vec<&str> = chain.iter().chain([&next]).map(name).collect();
                        let message = format!("`{}` is recursive: {}", name(&next), shown.join(" → "));
                        let mut problem = at(next, "PC0113", message);
                        if let Some(problem) = &mut problem {
                            problem.hint =
                                Some("Rego has no recursion; use walk or a comprehension".to_owned());
                        }
                        problems.extend(problem);
                    }
                    _ => {}
                }
            } else {
                stack.pop();
                let node = nodes.get(index);
                let below = node
                    .into_iter()
                    .flat_map(|node| &node.edges)
                    .filter_map(|edge| match states.get(*edge) {
                        Some(State::Done(depth)) => Some(*depth),
                        _ => None,
                    })
                    .max()
                    .unwrap_or(0);
                let own = node.map_or(0, |node| node.depth) + 4;
                if below <= MAX_DEPTH && below + own > MAX_DEPTH {
                    problems.extend(at(
                        index,
                        "PC0116",
                        "rules and functions call one another too deeply here".to_owned(),
                    ));
                }
                if let Some(state) = states.get_mut(index) {
                    *state = State::Done(below + own);
                }
            }
        }
    }
    problems
}
