//! The file as its type, with as much of it as can be understood.

use std::path::Path;

use portcullis_core::{
    document::{Entry, Limits, Mismatch, Node, NodeKind, yaml},
    problem::{Problem, Severity, Span},
};

use super::{checker::Checker, code, file::ConfigFile, shape};

/// The one document of the file.
pub(super) fn document(bytes: &[u8], file: &Path) -> Result<Node, Box<Problem>> {
    let problem = |span, message: String, hint: Option<String>| {
        let file = file.display().to_string();
        Box::new(Problem { file, span, severity: Severity::Error, code: code::SYNTAX, message, hint })
    };
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let mut documents =
        yaml::read(bytes, &limits).map_err(|error| problem(error.span, error.message, error.hint))?;
    match (documents.pop(), documents.len()) {
        (Some(node), 0) => Ok(node),
        (None, _) => {
            let hint = "begin with `apiVersion: portcullis.dev/v1alpha1` and `kind: PortcullisConfig`";
            Err(problem(Span::default(), "the configuration is empty".to_owned(), Some(hint.to_owned())))
        }
        (Some(second), _) => {
            let message = "expected one document, found another after `---`".to_owned();
            Err(problem(second.span, message, Some("remove what follows".to_owned())))
        }
    }
}

/// The file as its type. What is wrong is noted and left out, so that the rest is still examined: first
/// the fields alone, then, where one of them was needed, the sections they are in.
pub(super) fn read(checker: &mut Checker<'_>, node: &Node) -> Option<ConfigFile> {
    let mismatches = match shape().decode(node) {
        Ok(file) => return Some(file),
        Err(mismatches) => mismatches,
    };
    let mut rest = shape().adapt(node);
    for Mismatch { pointer, .. } in &mismatches {
        remove(&mut rest, pointer);
    }
    checker.mismatches(mismatches);
    let needed = match shape().decode(&rest) {
        Ok(file) => return Some(file),
        Err(needed) => needed,
    };
    for Mismatch { pointer, .. } in needed {
        let section = pointer.split('/').nth(1).unwrap_or_default().to_owned();
        remove(&mut rest, &format!("/{section}"));
        checker.leave_out(format!("/{section}"));
        let stand_in = match section.as_str() {
            "apiVersion" => text("portcullis.dev/v1alpha1"),
            "kind" => text("PortcullisConfig"),
            "cluster" => mapping("directory", text(".")),
            "source" => mapping("url", text(".")),
            _ => continue,
        };
        if let NodeKind::Mapping(entries) = &mut rest.kind {
            entries.push(Entry { key: section, key_span: Span::default(), value: stand_in });
        }
    }
    shape().decode(&rest).ok()
}

fn text(text: &str) -> Node {
    Node { span: Span::default(), kind: NodeKind::String(text.to_owned()), block: None }
}

fn mapping(key: &str, value: Node) -> Node {
    let entry = Entry { key: key.to_owned(), key_span: Span::default(), value };
    Node { span: Span::default(), kind: NodeKind::Mapping(vec![entry]), block: None }
}

/// Takes a member out of a mapping; leaves lists as they are.
fn remove(node: &mut Node, pointer: &str) {
    let Some(rest) = pointer.strip_prefix('/') else { return };
    let (key, rest) = rest.split_once('/').map_or((rest, None), |(key, rest)| (key, Some(rest)));
    let key = key.replace("~1", "/").replace("~0", "~");
    let inner = match (&mut node.kind, rest) {
        (NodeKind::Mapping(entries), None) => {
            entries.retain(|entry| entry.key != key);
            None
        }
        (NodeKind::Mapping(entries), Some(_)) => {
            entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
        }
        (NodeKind::Sequence(items), _) => key.parse::<usize>().ok().and_then(|at| items.get_mut(at)),
        _ => None,
    };
    if let (Some(inner), Some(rest)) = (inner, rest) {
        remove(inner, &format!("/{rest}"));
    }
}
