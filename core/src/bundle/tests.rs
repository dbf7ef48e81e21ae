use std::path::Path;

use super::{Bundle, LayoutClass, LoadOptions, SourceFile, load};
use crate::{identity::ConstraintId, problem::Severity};

/// The files below a folder of this repository.
fn tree(folder: &str) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push(SourceFile::new(name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files
}

fn files(files: &[(&str, &str)]) -> Bundle {
    let files: Vec<SourceFile> =
        files.iter().map(|(path, text)| SourceFile::new(*path, text.as_bytes())).collect();
    load(&files, &LoadOptions { today: Some(jiff::civil::date(2026, 11, 21)), ..LoadOptions::default() })
}

fn shown(bundle: &Bundle) -> Vec<String> {
    bundle
        .problems
        .iter()
        .map(|problem| {
            format!(
                "{}:{}:{} {:?} {} {}",
                problem.file,
                problem.span.line,
                problem.span.column,
                problem.severity,
                problem.code,
                problem.message
            )
        })
        .collect()
}

#[test]
fn the_starter_bundle_is_without_errors() {
    let bundle = load(&tree("bundles/starter"), &LoadOptions::default());
    for line in shown(&bundle) {
        println!("{line}");
    }
    for l in &bundle.layout {
        println!("{l:?}");
    }
    assert!(!bundle.has_errors());
}
