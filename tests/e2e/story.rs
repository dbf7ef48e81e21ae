//! Dozens of pushed commits, and the reports that arrive say exactly what came of each.

use portcullis::pipeline::sync::Verdict::{Held, InStep, Partial, Refused};
use serde_json::{Value, json};

use super::{
    documents::{deployment, exemption, labels, paced, rollout, wants},
    stage::{Pass, Stage},
};

const TEMPLATE: &str = "labels/template.yaml";
const OWNER: &str = "labels/owner.yaml";
const TIER: &str = "labels/tier.yaml";
const ROLLOUT: &str = "rollouts.yaml";

/// The stage and everything that was done on it so far, in the words of a report.
struct Story {
    stage: Stage,
    done: Vec<String>,
}

impl Story {
    async fn begin() -> Self {
        Self { stage: Stage::set().await, done: Vec::new() }
    }

    /// Asserts what a pass did and notes it.
    fn note(&mut self, pass: &Pass, verdict: portcullis::pipeline::sync::Verdict, lines: &[&str]) {
        pass.came_to(verdict, lines);
        let revision = pass.revision();
        for done in &pass.0.applied.done {
            let what = match done.word {
                "created" => "added",
                "restarted" if done.stages.0 == done.stages.1 => "changed",
                "lowered" | "restarted" => "demoted",
                "exemptions" => "exemption",
                "updated" | "swapped" | "rewritten" => "changed",
                same => same,
            };
            let stage = |stage: Option<portcullis_core::identity::Stage>| {
                stage.map_or(String::new(), |stage| stage.to_string())
            };
            let (from, to) = (stage(done.stages.0), stage(done.stages.1));
            self.done.push(format!("{what} {} {from}>{to} {}", done.key, revision.short()));
        }
    }

    /// Notes what a report will say was not taken.
    fn not_taken(&mut self, pass: &Pass, lines: &[&str]) {
        let revision = pass.revision();
        self.done.extend(lines.iter().map(|line| format!("{line} > {}", revision.short())));
    }

    async fn push(&mut self, message: &str, files: &[(&str, &str)], lines: &[&str]) -> Pass {
        let pass = self.stage.push(message, files).await;
        self.note(&pass, InStep, lines);
        pass
    }

    async fn soak(&mut self, lines: &[&str]) -> Pass {
        let pass = self.stage.soak().await;
        self.note(&pass, InStep, lines);
        pass
    }

    fn stages(&self, expected: &[(&str, &str)]) {
        let expected: std::collections::BTreeMap<String, String> =
            expected.iter().map(|(name, stage)| ((*name).to_owned(), (*stage).to_owned())).collect();
        assert_eq!(self.stage.stages(), expected);
    }

    /// A report arrives; its list of changes is exactly what was done since the report before.
    async fn report(&mut self) -> Value {
        let report = self.stage.report().await;
        let mut told: Vec<String> = report["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| {
                let text = |key: &str| change[key].as_str().unwrap_or_default();
                let revision = text("revision");
                format!(
                    "{} {} {}>{} {}",
                    text("what"),
                    text("object"),
                    text("from"),
                    text("to"),
                    &revision[..7]
                )
            })
            .collect();
        // What happened in the same pass has no order.
        told.sort();
        self.done.sort();
        assert_eq!(told, std::mem::take(&mut self.done));
        report
    }
}

#[tokio::test]
async fn reports_say_exactly_what_came_of_dozens_of_commits() {
    let mut story = Story::begin().await;
    entering(&mut story).await;
    promotion(&mut story).await;
    changed_past_dryrun(&mut story).await;
    broken_and_fixed(&mut story).await;
    renamed_and_removed(&mut story).await;
    exempted(&mut story).await;
    rollout_and_target(&mut story).await;
    the_last_report(&mut story).await;
}

/// New policies enter at dryrun; what changes no verdict is rewritten and restarts nothing.
async fn entering(story: &mut Story) {
    let (template, owner) = (labels("K8sLabels", ""), wants("K8sLabels", "owner", "owner", "deny"));
    let files = [(ROLLOUT, rollout("Shadow")), (TEMPLATE, template.clone()), (OWNER, owner.clone())];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    story
        .push("owners", &files, &["created ConstraintTemplate/k8slabels", "created K8sLabels/owner dryrun"])
        .await;
    let tier = wants("K8sLabels", "tier", "tier", "deny");
    story.push("tiers", &[(TIER, &tier)], &["created K8sLabels/tier dryrun"]).await;
    let noted = owner.replace("  name: owner\n", "  name: owner\n  labels: {team: platform}\n");
    story.push("who owns the owners", &[(OWNER, &noted)], &["rewritten K8sLabels/owner"]).await;
    let commented =
        template.replace("        violation[", "        # A label that is wanted.\n        violation[");
    story
        .push("say what it does", &[(TEMPLATE, &commented)], &["rewritten ConstraintTemplate/k8slabels"])
        .await;
    story.push("a readme", &[("README.md", "# Policies\n")], &[]).await;
    story.stages(&[("K8sLabels/owner", "dryrun"), ("K8sLabels/tier", "dryrun")]);
    assert_eq!(story.stage.templates(), ["k8slabels"]);
}

/// One goes from stage to stage, the other is held by what it would block, and the report says whom.
async fn promotion(story: &mut Story) {
    let pass = story.soak(&["promoted K8sLabels/owner dryrun → warn"]).await;
    assert!(pass.next("K8sLabels/tier").contains("1 subject violates, 0 allowed: Deployment shop/cart"));
    story.soak(&["promoted K8sLabels/owner warn → deny"]).await;
    story.soak(&[]).await;
    story.stages(&[("K8sLabels/owner", "deny"), ("K8sLabels/tier", "dryrun")]);

    let report = story.report().await;
    assert_eq!(report["sync"]["status"], "inStep");
    assert_eq!(report["provenance"]["source"]["revision"], story.stage.repo.head().as_str());
    assert_eq!(report["provenance"]["run"]["complete"], true);
    assert_eq!(report["provenance"]["run"]["objects"], 2);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["constraint"], json!({"kind": "K8sLabels", "name": "tier"}));
    assert_eq!(findings[0]["message"], "the label tier is missing");
    assert_eq!(findings[0]["object"]["name"], "cart");
}

/// What a changed policy does once it is enforced is its Rollout's to say.
async fn changed_past_dryrun(story: &mut Story) {
    let (owner, app) =
        (wants("K8sLabels", "owner", "owner", "deny"), wants("K8sLabels", "owner", "app", "deny"));
    let pass = story.stage.push("ask for apps", &[(OWNER, &app)]).await;
    story.note(&pass, Held, &[]);
    story.not_taken(&pass, &["held K8sLabels/owner"]);
    pass.because(&["K8sLabels/owner", "rollout promote K8sLabels/owner --now", "Apply", "Restart"]);
    assert_eq!(
        story.stage.manifest("constraints/K8sLabels/owner")["spec"]["parameters"],
        json!({"labels": ["owner"]})
    );
    let pass = story.stage.push("no, owners", &[(OWNER, &owner)]).await;
    story.note(&pass, InStep, &["rewritten K8sLabels/owner"]);

    story.push("apply changes at once", &[(ROLLOUT, &rollout("Apply"))], &[]).await;
    story.push("ask for apps", &[(OWNER, &app)], &["swapped K8sLabels/owner"]).await;
    assert_eq!(
        story.stage.manifest("constraints/K8sLabels/owner")["spec"]["parameters"],
        json!({"labels": ["app"]})
    );
    let stricter = labels("K8sLabels", "wanted != \"\"");
    story
        .push(
            "not the empty label",
            &[(TEMPLATE, &stricter)],
            &["swapped ConstraintTemplate/k8slabels", "swapped K8sLabels/owner", "swapped K8sLabels/tier"],
        )
        .await;

    story.push("start again after changes", &[(ROLLOUT, &rollout("Restart"))], &[]).await;
    story.push("ask for owners", &[(OWNER, &owner)], &["restarted K8sLabels/owner deny → dryrun"]).await;
    story.stages(&[("K8sLabels/owner", "dryrun"), ("K8sLabels/tier", "dryrun")]);
    story.soak(&["promoted K8sLabels/owner dryrun → warn"]).await;
}

/// A broken policy is refused alone, a broken file refuses the revision; both leave what is enforced.
async fn broken_and_fixed(story: &mut Story) {
    let before = story.stage.in_force();
    let good = labels("K8sLabels", "");
    let bad = good.replace("sprintf(\"the label", "sprintf(\"the label %v of %v");
    let team = wants("K8sTeams", "team", "app", "warn");
    let teams = labels("K8sTeams", "");
    let files = [(TEMPLATE, bad.as_str()), ("teams/template.yaml", &teams), ("teams/team.yaml", &team)];
    let pass = story.stage.push("teams, and a mistake", &files).await;
    story.note(&pass, Partial, &["created ConstraintTemplate/k8steams", "created K8sTeams/team dryrun"]);
    story.not_taken(&pass, &["refused policy repository"]);
    pass.because(&["in force in part", "labels/template.yaml:"]);
    assert!(pass.next("K8sLabels/owner").starts_with("refused in git, stays as enforced"));
    for (path, manifest) in &before {
        assert_eq!(&story.stage.manifest(path), manifest, "{path}");
    }

    let last_good = pass.revision();
    let pass = story.stage.push("a tab", &[("teams/extra.yaml", "kind: Rollout\n\tspec: {}\n")]).await;
    story.note(&pass, Refused, &[]);
    story.not_taken(&pass, &["refused policy repository"]);
    pass.because(&[
        "refused whole",
        "teams/extra.yaml:2:1",
        &format!("{} stays in force", last_good.short()),
    ]);
    assert_eq!(pass.revision(), last_good);

    let pass = story.stage.push("still the tab", &[("NOTES.md", "soon\n")]).await;
    story.note(&pass, Refused, &[]);
    story.not_taken(&pass, &["refused policy repository"]);
    let pass = story.stage.remove("without the tab", &["teams/extra.yaml"]).await;
    story.note(&pass, Partial, &[]);
    story.not_taken(&pass, &["refused policy repository"]);
    story.stage.sync().await.came_to(Partial, &[]);
    // Back to the template that asks for the empty label too: it is past dryrun, so it starts again.
    let pass = story.stage.push("fixed", &[(TEMPLATE, &good)]).await;
    story.note(
        &pass,
        InStep,
        &[
            "lowered K8sLabels/owner warn → dryrun",
            "restarted ConstraintTemplate/k8slabels",
            "restarted K8sLabels/owner",
            "restarted K8sLabels/tier",
        ],
    );
}

/// A rename keeps stage and soak; a removal within the budget is one, else it waits for a person.
async fn renamed_and_removed(story: &mut Story) {
    story.soak(&["promoted K8sLabels/owner dryrun → warn", "promoted K8sTeams/team dryrun → warn"]).await;
    let since = story.stage.manifest("constraints/K8sLabels/owner")["metadata"]["annotations"]
        ["portcullis.dev/stage-since"]
        .clone();
    let owners = wants("K8sLabels", "owners", "owner", "deny");
    story
        .push(
            "owner is owners",
            &[(OWNER, &owners)],
            &["renamed K8sLabels/owners warn", "removed K8sLabels/owner"],
        )
        .await;
    story.stages(&[("K8sLabels/owners", "warn"), ("K8sLabels/tier", "dryrun"), ("K8sTeams/team", "warn")]);
    let renamed = story.stage.manifest("constraints/K8sLabels/owners");
    assert_eq!(renamed["metadata"]["annotations"]["portcullis.dev/stage-since"], since);

    let pass = story.stage.remove("no teams", &["teams/team.yaml", "teams/template.yaml"]).await;
    story.note(&pass, InStep, &["removed K8sTeams/team", "removed ConstraintTemplate/k8steams"]);
    let many: Vec<(String, String)> = (0..6)
        .map(|at| (format!("many/{at}.yaml"), wants("K8sLabels", &format!("many-{at}"), "app", "dryrun")))
        .collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let created: Vec<String> = (0..6).map(|at| format!("created K8sLabels/many-{at} dryrun")).collect();
    story.push("six more", &files, &created.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let pass = story.stage.remove("all six at once", &paths).await;
    story.note(&pass, Held, &[]);
    story.not_taken(&pass, &["held policy repository"]);
    pass.because(&["prune of 6 objects is held", "6 objects would go, more than 5"]);
    let pass = story.stage.push("one of them back", &files[..1]).await;
    let removed: Vec<String> = (1..6).map(|at| format!("removed K8sLabels/many-{at}")).collect();
    story.note(&pass, InStep, &removed.iter().map(String::as_str).collect::<Vec<_>>());
    let pass = story.stage.remove("the last one", &paths[..1]).await;
    story.note(&pass, InStep, &["removed K8sLabels/many-0"]);
}

/// An exemption acts at once, on enforcement and gate alike, and so does its end.
async fn exempted(story: &mut Story) {
    let shop = exemption("old-charts", "K8sLabels", "shop");
    // Who is excused is judged when the gate is decided: the soak is over and the audits are there.
    story
        .push(
            "excuse the shop",
            &[("exemptions.yaml", &shop)],
            &["exemptions K8sLabels/owners", "promoted K8sLabels/tier dryrun → warn"],
        )
        .await;
    let tier = story.stage.manifest("constraints/K8sLabels/tier");
    assert_eq!(tier["spec"]["match"]["excludedNamespaces"], json!(["shop"]));
    story.soak(&["promoted K8sLabels/owners warn → deny", "promoted K8sLabels/tier warn → deny"]).await;
    let report = story.report().await;
    assert_eq!(report["exemptions"][0]["name"], "old-charts");
    assert_eq!(report["exemptions"][0]["excused"], 1);
    assert_eq!(report["findings"][0]["exemptBy"], json!("old-charts"));

    let pass = story.stage.remove("no excuses", &["exemptions.yaml"]).await;
    story.note(&pass, InStep, &["exemptions K8sLabels/owners", "exemptions K8sLabels/tier"]);
    assert_eq!(
        story.stage.manifest("constraints/K8sLabels/tier")["spec"]["match"].get("excludedNamespaces"),
        None
    );
    story.soak(&[]).await;
    let report = story.report().await;
    assert_eq!((&report["summary"]["open"], &report["summary"]["openAtDeny"]), (&json!(1), &json!(1)));
    let cart = deployment("shop", "cart", "{app: cart, owner: shop, tier: front}");
    story.stage.object("shop/cart.yaml", &cart);
    story.soak(&[]).await;
}

/// An edited Rollout restarts no soak; a lowered target acts at once, a raised one by the rules.
async fn rollout_and_target(story: &mut Story) {
    let lowered = wants("K8sLabels", "tier", "tier", "dryrun");
    let raised = wants("K8sLabels", "tier", "tier", "deny");
    story.push("tiers can wait", &[(TIER, &lowered)], &["lowered K8sLabels/tier deny → dryrun"]).await;
    story.push("a day at dryrun", &[(ROLLOUT, &paced("1d", "Shadow"))], &[]).await;
    story.push("tiers cannot wait", &[(TIER, &raised)], &[]).await;
    story.soak(&[]).await;
    story
        .push(
            "half an hour at dryrun",
            &[(ROLLOUT, &paced("30m", "Shadow"))],
            &["promoted K8sLabels/tier dryrun → warn"],
        )
        .await;
    story.soak(&["promoted K8sLabels/tier warn → deny"]).await;
}

/// The last report: everything enforced, nothing open, all of it in the rendering for people too.
async fn the_last_report(story: &mut Story) {
    let report = story.report().await;
    let constraints: Vec<(&str, &str)> = report["constraints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["id"]["name"].as_str().unwrap(), row["stage"].as_str().unwrap()))
        .collect();
    assert_eq!(constraints, [("owners", "deny"), ("tier", "deny")]);
    assert_eq!(
        report["sync"],
        json!({"at": report["sync"]["at"], "status": "inStep", "reasons": [], "problems": report["sync"]["problems"]})
    );
    assert_eq!(report["summary"]["open"], 0);
    let html = story.stage.arrived("dev.portcullis.report.html.v1");
    let html = String::from_utf8(html.last().unwrap().body.to_vec()).unwrap();
    assert!(html.contains(story.stage.repo.head().short()) && html.contains("K8sLabels/owners"));
    let promotions = story.stage.arrived("dev.portcullis.promotion.v1");
    assert_eq!(promotions.len(), 10);
}
