use std::path::Path;

use super::{Bundle, FileIssue, LayoutClass, LoadOptions, SourceFile, load};
use crate::{identity::ConstraintId, problem::Severity};

/// The files below a folder of this repository.
#[expect(clippy::disallowed_methods, reason = "the files are this repository's own")]
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

const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k8sowned}
spec:
  crd:
    spec:
      names: {kind: K8sOwned}
      validation:
        openAPIV3Schema: {type: object, properties: {labels: {type: array, items: {type: string}}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package k8sowned

        violation[{"msg": "no owner"}] {
          not input.review.object.metadata.labels.owner
        }
"#;

fn other_template() -> String {
    TEMPLATE.replace("k8sowned", "k8sother").replace("K8sOwned", "K8sOther")
}

fn constraint(kind: &str, name: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: {kind}\nmetadata: {{name: {name}, labels: {{team: a}}}}\nspec:\n  enforcementAction: deny\n  match:\n    kinds: [{{apiGroups: [\"\"], kinds: [Pod]}}]\n"
    )
}

fn ours(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: portcullis.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn codes(bundle: &Bundle) -> Vec<&'static str> {
    bundle
        .problems
        .iter()
        .filter(|problem| problem.severity != Severity::Note)
        .map(|problem| problem.code)
        .collect()
}

#[test]
fn the_starter_bundle_is_without_errors() {
    let bundle = load(&tree("bundles/starter"), &LoadOptions::default());
    assert_eq!(shown(&bundle), Vec::<String>::new());
    assert_eq!((bundle.templates.len(), bundle.suites.len()), (6, 6));
    assert!(bundle.units().values().all(|unit| unit.refused.is_none() && unit.template.is_some()));
}

#[test]
fn an_error_refuses_its_unit_and_no_other() {
    let bundle = files(&[
        ("a.yaml", TEMPLATE),
        ("b.yaml", &other_template()),
        ("c.yaml", &constraint("K8sOwned", "good")),
        (
            "d.yaml",
            &constraint("K8sOwned", "bad").replace("  match:", "  parameters: {label: [x]}\n  match:"),
        ),
        ("e.yaml", &constraint("K8sOther", "good")),
    ]);
    let units = bundle.units();
    assert_eq!(units["K8sOwned"].constraints.len(), 2);
    assert_eq!(
        units["K8sOwned"].refused.as_deref(),
        Some("parameter `label` is not in the schema of K8sOwned (d.yaml:6)")
    );
    assert_eq!(units["K8sOther"].refused, None);
    assert!(!bundle.refused_whole && bundle.has_errors());
}

#[test]
fn a_template_that_cannot_be_understood_refuses_its_unit() {
    for (broken, code) in [
        (TEMPLATE.replace("{name: k8sowned}", "{name: owned}"), "PC0120"),
        (TEMPLATE.replace("targets:", "target:"), "PC0120"),
        (TEMPLATE.replace("violation[{\"msg\": \"no owner\"}] {", "violation[{\"msg\": ] {"), "PC0104"),
        (TEMPLATE.replace("type: array", "type: arrays"), "PC0122"),
        (TEMPLATE.replace("      rego: |", "      operation: []\n      rego: |"), "PC0121"),
    ] {
        let bundle = files(&[("a.yaml", &broken), ("b.yaml", &constraint("K8sOwned", "all"))]);
        assert!(codes(&bundle).contains(&code), "{code}: {:?}", shown(&bundle));
        assert!(!codes(&bundle).contains(&"PC0204"), "{:?}", shown(&bundle));
        assert!(bundle.units()["K8sOwned"].refused.is_some(), "{code}");
    }
}

#[test]
fn rego_problems_stand_in_the_lines_of_the_file() {
    let broken = TEMPLATE.replace("          not input", "          x := \n          not input");
    let bundle = files(&[("a.yaml", &broken)]);
    let problem = bundle.problems.iter().find(|problem| problem.severity == Severity::Error).unwrap();
    assert!(problem.span.line >= 13 && problem.span.column > 8, "{:?}", shown(&bundle));
    assert!(problem.message.contains("of the Rego)"), "{}", problem.message);
}

#[test]
fn what_nobody_can_read_refuses_the_revision() {
    for (bytes, code) in [
        (&b"a: ["[..], "PC0101"),
        (b"a: 1\na: 2\n", "PC0102"),
        (b"a: *b\n", "PC0103"),
        (b"a: \xff\n", "PC0106"),
    ] {
        let bundle = load(&[SourceFile::new("a.yaml", bytes)], &LoadOptions::default());
        assert!(bundle.refused_whole, "{code}");
        assert_eq!(codes(&bundle), [code]);
    }
    let nested = "[".repeat(10_000);
    assert!(files(&[("a.yaml", &nested)]).refused_whole);
    let big = FileIssue::TooLarge { bytes: 100_000_000, limit: 1 << 20 };
    assert!(load(&[SourceFile::with_issue("a.yaml", big)], &LoadOptions::default()).refused_whole);
    let link = load(&[SourceFile::with_issue("a.yaml", FileIssue::Symlink)], &LoadOptions::default());
    assert!(link.has_errors() && !link.refused_whole);
}

#[test]
fn duplicates_are_named_at_both_places_and_refuse_their_unit() {
    let bundle = files(&[
        ("a.yaml", TEMPLATE),
        ("b.yaml", &constraint("K8sOwned", "all")),
        ("c.yaml", &constraint("K8sOwned", "all")),
    ]);
    let messages: Vec<_> = bundle
        .problems
        .iter()
        .filter(|problem| problem.code == "PC0127")
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(messages, ["K8sOwned `all` is also at c.yaml:1", "K8sOwned `all` is also at b.yaml:1"]);
    assert!(bundle.units()["K8sOwned"].refused.is_some());
}

#[test]
fn constraints_need_a_template_of_ours_or_of_others() {
    let lone = [SourceFile::new("a.yaml", constraint("K8sElsewhere", "all").as_bytes())];
    let bundle = load(&lone, &LoadOptions::default());
    assert_eq!(codes(&bundle), ["PC0204"]);
    let options =
        LoadOptions { external_templates: vec!["K8sElsewhere".to_owned()], ..LoadOptions::default() };
    let bundle = load(&lone, &options);
    assert_eq!(codes(&bundle), Vec::<&str>::new());
    assert!(bundle.units()["K8sElsewhere"].refused.is_none());
}

#[test]
fn fixtures_are_not_policy_and_policy_is_wherever_it_lies() {
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- template: samples/template.yaml\n  constraint: samples/bad.yaml\n  invalid: true\n- template: samples/template.yaml\n  constraint: samples/good.yaml\n  cases:\n  - {object: samples/pod.yaml, inventory: [samples/broken.yaml]}\n";
    let bundle = files(&[
        ("x/suite.yaml", suite),
        ("x/samples/template.yaml", TEMPLATE),
        ("x/samples/good.yaml", &constraint("K8sOwned", "good")),
        ("x/samples/bad.yaml", &constraint("K8sOwned", "BAD")),
        ("x/samples/pod.yaml", "apiVersion: v1\nkind: Pod\n"),
        ("x/samples/broken.yaml", "a: ["),
        ("drafts/later.yaml", "a: ["),
        ("drafts/kept.yaml", &constraint("K8sOwned", "kept")),
        ("drafts/.portcullisignore", "*.yaml\n!kept.yaml\n"),
        ("README.md", "a: ["),
    ]);
    assert_eq!(shown(&bundle), Vec::<String>::new());
    let class = |path: &str| bundle.layout.iter().find(|entry| entry.path == path).unwrap().class;
    assert_eq!(class("x/samples/template.yaml"), LayoutClass::Policy);
    assert_eq!(class("x/samples/bad.yaml"), LayoutClass::Fixture);
    assert_eq!(class("x/samples/broken.yaml"), LayoutClass::Fixture);
    assert_eq!(class("drafts/later.yaml"), LayoutClass::Ignored);
    assert_eq!(class("drafts/kept.yaml"), LayoutClass::Policy);
    assert_eq!(class("README.md"), LayoutClass::Other);
    let names: Vec<_> =
        bundle.constraints.iter().map(|constraint| constraint.spec.id.name.as_str()).collect();
    assert_eq!(names, ["kept", "good"]);
}

#[test]
fn the_closest_rollout_moves_a_constraint() {
    let stages = "stages: [{action: dryrun}, {action: deny}]";
    let rollout = |name: &str, rule: &str| ours("Rollout", name, &format!("{{match: {rule}, {stages}}}"));
    let all = [
        ("any", "{kinds: [\"*\"]}"),
        ("kind-glob", "{kinds: [\"K8sO*\"]}"),
        ("kind", "{kinds: [K8sOwned]}"),
        ("labels", "{labels: {team: a}}"),
        ("name-glob", "{names: [\"pro*\"]}"),
        ("name", "{names: [prod]}"),
        ("elsewhere", "{names: [prod], kinds: [K8sOther]}"),
    ];
    for used in 1..all.len() {
        let documents: Vec<String> = all.iter().take(used).map(|(name, rule)| rollout(name, rule)).collect();
        let text = documents.join("---\n");
        let bundle =
            files(&[("t.yaml", TEMPLATE), ("c.yaml", &constraint("K8sOwned", "prod")), ("r.yaml", &text)]);
        let found = bundle.rollout_for(&bundle.constraints[0].spec).unwrap();
        assert_eq!(found.name, all[used - 1].0, "{:?}", shown(&bundle));
        assert!(!bundle.has_errors(), "{:?}", shown(&bundle));
    }
}

#[test]
fn equally_specific_rollouts_are_errors_and_hold_what_they_match() {
    let stages = "stages: [{action: dryrun}, {action: deny}]";
    let rollout = |name: &str, rule: &str| ours("Rollout", name, &format!("{{match: {rule}, {stages}}}"));
    let text =
        [rollout("one", "{kinds: [\"K8sO*\"]}"), rollout("two", "{kinds: [\"*Owned\"]}")].join("---\n");
    let bundle = files(&[
        ("t.yaml", TEMPLATE),
        ("u.yaml", &other_template()),
        ("c.yaml", &constraint("K8sOwned", "all")),
        ("d.yaml", &constraint("K8sOther", "all")),
        ("r.yaml", &text),
    ]);
    assert_eq!(bundle.problems.iter().filter(|problem| problem.code == "PC0303").count(), 2);
    assert!(bundle.rollouts.is_empty());
    assert_eq!(bundle.held[&ConstraintId::new("K8sOwned", "all")].len(), 2);
    assert_eq!(bundle.held[&ConstraintId::new("K8sOther", "all")].len(), 1);
    assert!(bundle.units().values().all(|unit| unit.refused.is_none()), "no unit is refused by a Rollout");
}

#[test]
fn what_is_not_supported_yet_caps_what_it_matches() {
    let base = [
        ("t.yaml", TEMPLATE.to_owned()),
        ("u.yaml", other_template()),
        ("c.yaml", constraint("K8sOwned", "all")),
        ("d.yaml", constraint("K8sOther", "all")),
    ];
    let with = |extra: &str| {
        let mut all: Vec<(&str, &str)> = base.iter().map(|(path, text)| (*path, text.as_str())).collect();
        all.push(("z.yaml", extra));
        files(&all)
    };
    let stages = "stages: [{action: dryrun}, {action: deny}]";
    let owned = ConstraintId::new("K8sOwned", "all");
    let other = ConstraintId::new("K8sOther", "all");
    for (field, line) in [
        (
            format!(
                "{{match: {{kinds: [K8sOwned]}}, {stages},\n  windows: [{{cron: '0 9 * * *', duration: 6h}}]}}"
            ),
            5,
        ),
        (format!("{{match: {{kinds: [K8sOwned]}}, {stages},\n  approval: BeforeDeny}}"), 5),
        (
            format!(
                "{{match: {{kinds: [K8sOwned]}}, {stages},\n  demotion: {{distinctOwners: 1, distinctNamespaces: 1, within: 1m, to: warn}}}}"
            ),
            5,
        ),
        (format!("{{match: {{kinds: [K8sOwned]}}, {stages},\n  clusters: {{names: [a]}}}}"), 5),
        (
            "{match: {kinds: [K8sOwned]}, stages: [{action: dryrun}, {action: deny,\n  rings: [All]}]}"
                .to_owned(),
            5,
        ),
    ] {
        let bundle = with(&ours("Rollout", "r", &field));
        let problem = bundle.problems.iter().find(|problem| problem.code == "PC0410");
        let problem = problem.unwrap_or_else(|| panic!("{field}: {:?}", shown(&bundle)));
        assert_eq!((problem.span.line, problem.severity), (line, Severity::Error), "{field}");
        assert!(bundle.capped.contains_key(&owned) && !bundle.capped.contains_key(&other), "{field}");
        assert!(bundle.rollouts.is_empty() && bundle.units()["K8sOwned"].refused.is_none());
    }
    let bundle = with(&ours(
        "Exemption",
        "e",
        "{constraints: [{kind: K8sOther}], namespaces: [a], owner: o, reason: r, expires: 2030-01-01, clusters: {names: [a]}}",
    ));
    assert_eq!(bundle.capped.keys().collect::<Vec<_>>(), [&other]);
    assert!(bundle.exemptions.is_empty());
    for annotation in ["clusters", "override", "adopt", "expedite"] {
        let marked = constraint("K8sOwned", "marked").replace(
            "{name: marked,",
            &format!("{{name: marked, annotations: {{portcullis.dev/{annotation}: x}},"),
        );
        let bundle = with(&marked);
        assert_eq!(bundle.capped.keys().collect::<Vec<_>>(), [&ConstraintId::new("K8sOwned", "marked")]);
        assert!(bundle.units()["K8sOwned"].refused.is_none(), "applied, at dryrun");
        let marked = TEMPLATE.replace(
            "{name: k8sowned}",
            &format!("{{name: k8sowned, annotations: {{portcullis.dev/{annotation}: x}}}}"),
        );
        let bundle = files(&[("t.yaml", &marked), ("c.yaml", &constraint("K8sOwned", "all"))]);
        assert!(bundle.capped.contains_key(&owned));
    }
    for (kind, group) in [("SyncSet", "syncset"), ("Config", "config"), ("ExpansionTemplate", "expansion")] {
        let bundle = with(&format!(
            "apiVersion: {group}.gatekeeper.sh/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{generatedGVK: {{kind: Pod, group: '', version: v1}}}}\n"
        ));
        assert!(codes(&bundle).contains(&"PC0410"), "{kind}");
        assert_eq!(bundle.capped.len(), if kind == "ExpansionTemplate" { 2 } else { 0 }, "{kind}");
    }
}

#[test]
fn a_broken_rollout_or_exemption_holds_what_it_is_about() {
    let stages = "stages: [{action: dryrun}, {action: denied}]";
    let text = ours("Rollout", "r", &format!("{{match: {{kinds: [K8sOwned]}}, {stages}}}"));
    let bundle = files(&[
        ("t.yaml", TEMPLATE),
        ("u.yaml", &other_template()),
        ("c.yaml", &constraint("K8sOwned", "all")),
        ("d.yaml", &constraint("K8sOther", "all")),
        ("r.yaml", &text),
        ("e.yaml", &ours("Exemption", "e", "{constraints: [{kind: K8sOther}], namespaces: [a], reason: r}")),
    ]);
    assert_eq!(bundle.broken.len(), 2);
    assert!(bundle.held[&ConstraintId::new("K8sOwned", "all")][0].contains("Rollout `r`"));
    assert!(bundle.held[&ConstraintId::new("K8sOther", "all")][0].contains("Exemption `e`"));
    assert!(bundle.capped.is_empty() && !bundle.refused_whole);
}

#[test]
fn exemptions_are_held_against_their_policy() {
    let policy = ours(
        "ExemptionPolicy",
        "default",
        "{allowedNamespaces: [kube-system, 'calico-*'], maxDuration: 30d, requireTicket: '^SEC-[0-9]+$', forbidConstraints: [{kind: K8sOther, name: all}]}",
    );
    let check = |spec: &str| {
        let bundle = files(&[
            ("t.yaml", TEMPLATE),
            ("u.yaml", &other_template()),
            ("c.yaml", &constraint("K8sOwned", "all")),
            ("d.yaml", &constraint("K8sOther", "all")),
            ("p.yaml", &policy),
            ("e.yaml", &ours("Exemption", "e", spec)),
        ]);
        let found: Vec<_> = bundle
            .problems
            .iter()
            .filter(|problem| problem.file == "e.yaml" && problem.severity == Severity::Error)
            .map(|problem| problem.code)
            .collect();
        assert_eq!(bundle.exemptions.is_empty(), !found.is_empty(), "{:?}", shown(&bundle));
        found
    };
    let good = "{constraints: [{kind: K8sOwned, name: all}], namespaces: [kube-system, 'calico-a*'], owner: o, reason: r, ticket: SEC-1, from: 2026-11-01, expires: 2026-11-30}";
    assert_eq!(check(good), Vec::<&str>::new());
    for (from, to, code) in [
        ("kube-system,", "kube-public,", "PC0306"),
        ("'calico-a*'", "'calic*'", "PC0306"),
        ("kube-system,", "'*',", "PC0316"),
        ("2026-11-30", "2026-12-01", "PC0307"),
        ("from: 2026-11-01, ", "", "PC0307"),
        ("SEC-1", "OPS-1", "PC0308"),
        ("ticket: SEC-1, ", "", "PC0308"),
        ("K8sOwned, name: all", "K8sO*, name: all", "PC0309"),
        ("2026-11-30", "2026-10-30", "PC0315"),
        ("owner: o, ", "", "PC0301"),
        ("reason: r", "reasons: r", "PC0301"),
        ("2026-11-30", "2026-11-31", "PC0301"),
    ] {
        let spec = good.replacen(from, to, 1);
        assert!(check(&spec).contains(&code), "{code}: {spec}: {:?}", check(&spec));
    }
}

#[test]
fn without_its_policy_no_exemption_is_taken() {
    let exemption = ours(
        "Exemption",
        "e",
        "{constraints: [{kind: K8sOwned}], namespaces: [a], owner: o, reason: r, expires: 2030-01-01}",
    );
    let bundle = files(&[
        ("t.yaml", TEMPLATE),
        ("c.yaml", &constraint("K8sOwned", "all")),
        ("p.yaml", &ours("ExemptionPolicy", "default", "{requireTicket: '('}")),
        ("e.yaml", &exemption),
    ]);
    assert!(bundle.exemptions.is_empty());
    assert_eq!(bundle.broken.len(), 2);
}

#[test]
fn dates_are_never_errors() {
    let exemption = ours(
        "Exemption",
        "e",
        "{constraints: [{kind: K8sOwned}], namespaces: [a], owner: o, reason: r, expires: 2026-11-20}",
    );
    let bundle =
        files(&[("t.yaml", TEMPLATE), ("c.yaml", &constraint("K8sOwned", "all")), ("e.yaml", &exemption)]);
    assert!(codes(&bundle).contains(&"PC0310") && !bundle.has_errors(), "{:?}", shown(&bundle));
    assert_eq!(bundle.exemptions.len(), 1);
    let soon = files(&[
        ("t.yaml", TEMPLATE),
        ("c.yaml", &constraint("K8sOwned", "all")),
        ("e.yaml", &exemption.replace("11-20", "12-20")),
    ]);
    assert!(codes(&soon).contains(&"PC0311"));
}

#[test]
fn an_exemption_from_cluster_scoped_kinds_alone_is_an_error() {
    let roles = constraint("K8sOwned", "all").replace(
        "apiGroups: [\"\"], kinds: [Pod]",
        "apiGroups: [rbac.authorization.k8s.io], kinds: [ClusterRole]",
    );
    let exemption = ours(
        "Exemption",
        "e",
        "{constraints: [{kind: K8sOwned}], namespaces: [a], owner: o, reason: r, expires: 2030-01-01}",
    );
    let bundle = files(&[("t.yaml", TEMPLATE), ("c.yaml", &roles), ("e.yaml", &exemption)]);
    assert!(codes(&bundle).contains(&"PC0314"), "{:?}", shown(&bundle));
}

#[test]
fn a_match_of_everything_at_deny_is_refused() {
    let kinds = "kinds: [{apiGroups: [\"\"], kinds: [Pod]}]";
    for (other, expected) in [
        ("kinds: [{apiGroups: ['*'], kinds: ['*']}]", true),
        ("scope: '*'", true),
        ("kinds: [{apiGroups: [constraints.gatekeeper.sh], kinds: ['*']}]", true),
        ("namespaces: [prod]", true),
        ("scope: Namespaced", false),
        ("labelSelector: {matchLabels: {a: b}}", false),
        ("kinds: [{apiGroups: [apps], kinds: ['*']}]", false),
    ] {
        let text = constraint("K8sOwned", "all").replace(kinds, other);
        let bundle = files(&[("t.yaml", TEMPLATE), ("c.yaml", &text)]);
        assert_eq!(codes(&bundle).contains(&"PC0206"), expected, "{other}: {:?}", shown(&bundle));
        let warn = text.replace("enforcementAction: deny", "enforcementAction: warn");
        let bundle = files(&[("t.yaml", TEMPLATE), ("c.yaml", &warn)]);
        assert!(!codes(&bundle).contains(&"PC0206"), "{other} at warn");
    }
}

#[test]
fn a_thousand_documents_are_read() {
    let mut documents = Vec::new();
    for at in 0..200 {
        let template = TEMPLATE
            .replace("k8sowned", &format!("k8sowned{at}"))
            .replace("K8sOwned", &format!("K8sOwned{at}"));
        documents.push((format!("{at}/template.yaml"), template));
        for name in 0..4 {
            documents.push((
                format!("{at}/c{name}.yaml"),
                constraint(&format!("K8sOwned{at}"), &format!("c{name}")),
            ));
        }
    }
    let named: Vec<(&str, &str)> =
        documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let bundle = files(&named);
    assert_eq!((bundle.documents(), bundle.units().len(), bundle.has_errors()), (1_000, 200, false));
}
