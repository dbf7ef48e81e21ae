//! Objects read from files: order, places, lists, and what cannot be read.

use std::{fs, path::Path};

use portcullis::edge::objects::{Item, ObjectSource, items, survey};
use portcullis_core::scope::{KindScope, Semantics};
use tempfile::TempDir;

/// `kind/name@place` of each object and the reason of each hole, places relative to the folder.
fn read(source: &ObjectSource) -> Vec<String> {
    let mut read = Vec::new();
    for chunk in source.chunks() {
        items(&chunk, &mut |item| {
            read.push(match item {
                Item::Object(value, place) => {
                    let text =
                        |value: &regorus::Value| value.as_string().map_or("?".into(), ToString::to_string);
                    format!("{}/{}@{place}", text(&value["kind"]), text(&value["metadata"]["name"]))
                }
                Item::Hole(reason) => format!("hole {reason}"),
            });
        });
    }
    read
}

fn source(folder: &Path) -> ObjectSource {
    ObjectSource::open(&[folder.to_owned()]).unwrap().relative_to(folder)
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn object(kind: &str, name: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
}

#[test]
fn files_are_read_in_order_and_documents_know_their_lines() {
    let two = format!("# a comment\n{}---\n\n# nothing\n---\n{}", object("Pod", "a"), object("Service", "b"));
    let folder = folder(&[
        ("b/two.yaml", two.as_bytes()),
        ("a.yml", object("Pod", "first").as_bytes()),
        ("c.json", b"{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"c\"}}"),
        ("empty.yaml", b""),
        ("README.md", b"kind: Pod"),
        (".hidden/d.yaml", object("Pod", "hidden").as_bytes()),
        (".lock.yaml", object("Pod", "hidden").as_bytes()),
    ]);
    assert_eq!(
        read(&source(folder.path())),
        ["Pod/first@a.yml:1", "Pod/a@b/two.yaml:2", "Service/b@b/two.yaml:9", "Pod/c@c.json:1"]
    );
    assert_eq!(read(&source(folder.path())), read(&source(folder.path())));
}

#[test]
fn a_broken_document_costs_itself_alone() {
    let text = format!("{}---\nkind: [unclosed\n---\n{}", object("Pod", "a"), object("Pod", "c"));
    let folder = folder(&[("broken.yaml", text.as_bytes()), ("next.yaml", object("Pod", "d").as_bytes())]);
    let read = read(&source(folder.path()));
    assert_eq!(read.len(), 4, "{read:?}");
    assert_eq!(read[0], "Pod/a@broken.yaml:1");
    assert!(read[1].starts_with("hole broken.yaml:"), "{}", read[1]);
    let line: u32 = read[1].split(':').nth(1).unwrap().parse().unwrap();
    assert!((5..=6).contains(&line), "{}", read[1]);
    assert_eq!(read[2..], ["Pod/c@broken.yaml:7", "Pod/d@next.yaml:1"]);
}

#[test]
fn what_is_no_text_or_too_large_is_a_hole_and_reading_goes_on() {
    let large = format!("{}# {}\n", object("Pod", "large"), "x".repeat(2_000));
    let folder = folder(&[
        ("a.yaml", b"kind: \xff\xfe\n"),
        ("b.yaml", large.as_bytes()),
        ("c.json", b"{\"kind\": "),
        ("d.yaml", object("Pod", "d").as_bytes()),
    ]);
    let read = read(&source(folder.path()).max_file(1_000));
    assert_eq!(read.len(), 4, "{read:?}");
    assert!(read[0].starts_with("hole a.yaml:1: "), "{}", read[0]);
    assert!(read[1].starts_with("hole b.yaml: the file is larger than "), "{}", read[1]);
    assert!(read[2].starts_with("hole c.json:"), "{}", read[2]);
    assert_eq!(read[3], "Pod/d@d.yaml:1");
}

#[test]
fn nesting_and_alias_bombs_are_holes() {
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ('a'..='i').zip('b'..='j') {
        let aliases = vec![format!("*{from}"); 10].join(", ");
        bomb.push_str(&format!("{to}: &{to} [{aliases}]\n"));
    }
    let folder = folder(&[("bomb.yaml", bomb.as_bytes()), ("deep.yaml", deep.as_bytes())]);
    let read = read(&source(folder.path()));
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[0].starts_with("hole bomb.yaml:") && read[1].starts_with("hole deep.yaml:"), "{read:?}");
}

#[test]
fn lists_are_unpacked_item_by_item() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {apiVersion: v1, kind: Service, metadata: {name: b}}\n";
    let typed = r#"{"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [
        {"metadata": {"name": "c"}}, {"metadata": {"name": "d"}}]}"#;
    let custom = "apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: e}\nitems: [1]\n";
    let folder = folder(&[
        ("a.yaml", list.as_bytes()),
        ("b.json", typed.as_bytes()),
        ("c.yaml", custom.as_bytes()),
        ("d.yaml", b"apiVersion: v1\nkind: List\nitems: []\n"),
    ]);
    assert_eq!(
        read(&source(folder.path())),
        ["Pod/a@a.yaml:4", "Service/b@a.yaml:5", "Pod/c@b.json:2", "Pod/d@b.json:2", "AllowList/e@c.yaml:1"]
    );
}

#[test]
fn a_broken_item_of_a_list_costs_itself_alone() {
    let yaml = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {broken: [}\n-\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n";
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"PodList\", \"items\": [\n{\"metadata\": {\"name\": \"c\", \"name\": \"d\"}},\n{\"metadata\": {\"name\": \"e\"}}]}\n";
    let stream = "{\"kind\": \"Pod\", \"metadata\": {\"name\": \"f\"}}\n{\"kind\": \"Pod\", \"metadata\": {\"name\": \"g\"}}\n";
    let folder = folder(&[
        ("a.yaml", yaml.as_bytes()),
        ("b.json", json.as_bytes()),
        ("c.json", stream.as_bytes()),
        ("d.yaml", b"{kind: Pod, metadata: {name: h}}"),
    ]);
    let read = read(&source(folder.path()));
    assert_eq!(read[0], "Pod/a@a.yaml:4");
    assert!(read[1].starts_with("hole a.yaml:5: "), "{read:?}");
    assert_eq!(read[3], "Pod/b@a.yaml:7");
    assert!(read[4].starts_with("hole b.json:2: "), "{read:?}");
    assert_eq!(read[5..], ["Pod/e@b.json:3", "Pod/f@c.json:1", "Pod/g@c.json:2", "Pod/h@d.yaml:1"]);
}

#[test]
fn a_path_that_is_missing_cannot_be_read() {
    let folder = TempDir::new().unwrap();
    let error = ObjectSource::open(&[folder.path().join("nothing")]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read objects from "), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[cfg(unix)]
#[test]
fn a_link_in_a_loop_is_a_hole_and_a_link_to_a_file_is_read() {
    let folder = folder(&[("real/a.yaml", object("Pod", "a").as_bytes())]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("real/loop")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("real/a.yaml"), folder.path().join("b.yaml")).unwrap();
    let read = read(&source(folder.path()));
    assert_eq!(read[..2], ["Pod/a@b.yaml:1", "Pod/a@real/a.yaml:1"]);
    assert!(read[2].starts_with("hole real/loop: a link back to"), "{read:?}");
}

#[test]
fn a_large_file_is_handed_out_in_parts() {
    let text = (0..3_000).map(|n| format!("---\n{}", object("Pod", &format!("p{n}")))).collect::<String>();
    let folder = folder(&[("many.yaml", text.as_bytes())]);
    let source = source(folder.path());
    assert!(source.chunks().count() > 1);
    let read = read(&source);
    assert_eq!(read.len(), 3_000);
    assert_eq!(read[2_999], format!("Pod/p2999@many.yaml:{}", 2_999 * 4 + 2));
}

#[test]
fn the_survey_finds_namespaces_controllers_and_custom_kinds_in_any_form() {
    let folder = folder(&[
        ("a.yaml", b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: one\n  labels: {team: a}\n"),
        ("b.json", b"{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"two\"}}"),
        ("c.yaml", b"kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: three}\n"),
        ("d.yaml", b"apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t, namespace: one}\n"),
        ("e.yaml", b"kind: [broken\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: four}\n"),
    ]);
    let surroundings = survey(&source(folder.path()), Semantics::Cluster, "default");
    assert_eq!(surroundings.namespaces().collect::<Vec<_>>(), ["four", "one", "three", "two"]);
    assert_eq!(surroundings.namespace_labels("one").unwrap()["team"], "a");
    assert_eq!(surroundings.scope_of("x.io", "Thing"), KindScope::Namespaced);
}
