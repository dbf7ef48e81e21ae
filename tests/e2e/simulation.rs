//! A long random day, from a seed: pushes, mistakes, hands, faults, restarts and losses in any order; after each
//! the rules that no order may break, and in the end everything is as git has it.

use std::collections::BTreeMap;

use portcullis::{
    chance::Chance,
    edge::{cluster::directory::Fault, store::Action},
    pipeline::sync::Verdict::InStep,
};
use portcullis_core::{identity::Stage as Level, plan::ObjectKey};

use super::{
    documents::{labels, rollout, wants},
    stage::{Pass, Stage, constraint},
};

const STEPS: usize = 60;
const KINDS: [&str; 2] = ["K8sAlpha", "K8sBeta"];
const NAMES: [&str; 3] = ["one", "two", "three"];
/// The last one is what a live Deployment lacks.
const LABELS: [&str; 3] = ["app", "owner", "tier"];
const TARGETS: [&str; 3] = ["dryrun", "warn", "deny"];
const STRATEGIES: [&str; 3] = ["Shadow", "Apply", "Restart"];

/// What git has at one commit.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Label and target by `Kind/name`.
    constraints: BTreeMap<String, (String, String)>,
    strategy: String,
}

struct Simulation {
    stage: Stage,
    chance: Chance,
    head: Model,
    /// By commit.
    models: BTreeMap<String, Model>,
    /// The stage each constraint was last known at.
    last: BTreeMap<String, Level>,
    faults: Vec<ObjectKey>,
    away: bool,
    /// Whether the newest step deleted something by hand.
    deleted: bool,
    story: Vec<String>,
}

impl Simulation {
    async fn begin(seed: u64) -> Self {
        let stage = Stage::set().await;
        let mut made = Self {
            stage,
            chance: Chance::from_seed(seed),
            head: Model { strategy: "Shadow".to_owned(), ..Model::default() },
            models: BTreeMap::new(),
            last: BTreeMap::new(),
            faults: Vec::new(),
            away: false,
            deleted: false,
            story: vec![format!("seed {seed}")],
        };
        let templates: Vec<(String, String)> =
            KINDS.iter().map(|kind| (format!("{kind}/template.yaml"), labels(kind, ""))).collect();
        made.commit(&templates);
        made.commit(&[("rollouts.yaml".to_owned(), rollout("Shadow"))]);
        made
    }

    fn choose<'a>(&self, from: &[&'a str]) -> &'a str {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a small index"
        )]
        let at = (self.chance.fraction() * from.len() as f64) as usize;
        from[at]
    }

    fn some_name(&self) -> String {
        format!("{}/{}", self.choose(&KINDS), self.choose(&NAMES))
    }

    fn commit(&mut self, files: &[(String, String)]) {
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        self.stage.repo.commit("a step", &files);
        self.note_head();
    }

    fn note_head(&mut self) {
        self.models.insert(self.stage.repo.head().to_string(), self.head.clone());
    }

    fn told(&self, what: &str) -> String {
        format!("{what}\nafter:\n  {}", self.story.join("\n  "))
    }

    /// One thing happens.
    async fn step(&mut self) {
        let step = self.choose(&[
            "constraint",
            "constraint",
            "constraint",
            "remove",
            "strategy",
            "template",
            "broken",
            "yaml",
            "edit",
            "delete",
            "restart",
            "database",
            "away",
            "fault",
            "mend",
            "soak",
            "soak",
            "soak",
        ]);
        self.story.push(step.to_owned());
        self.deleted = step == "delete";
        match step {
            "constraint" => {
                let (name, label, target) = (self.some_name(), self.choose(&LABELS), self.choose(&TARGETS));
                let (kind, short) = name.split_once('/').unwrap();
                let file = (format!("{name}.yaml"), wants(kind, short, label, target));
                self.story.push(format!("  {name} {label} {target}"));
                self.head.constraints.insert(name.clone(), (label.to_owned(), target.to_owned()));
                self.commit(&[file]);
            }
            "remove" => {
                let name = self.some_name();
                if self.head.constraints.remove(&name).is_some() {
                    self.story.push(format!("  {name}"));
                    self.stage.repo.delete("a step", &[&format!("{name}.yaml")]);
                    self.note_head();
                }
            }
            "strategy" => {
                self.head.strategy = self.choose(&STRATEGIES).to_owned();
                self.story.push(format!("  {}", self.head.strategy));
                let file = ("rollouts.yaml".to_owned(), rollout(&self.head.strategy));
                self.commit(&[file]);
            }
            "template" | "broken" => {
                let kind = self.choose(&KINDS);
                let line =
                    if step == "broken" { "wanted = = 1" } else { self.choose(&["", "wanted != \"\""]) };
                self.story.push(format!("  {kind} {line}"));
                self.commit(&[(format!("{kind}/template.yaml"), labels(kind, line))]);
            }
            "yaml" => self.commit(&[("extra.yaml".to_owned(), "kind: [\n".to_owned())]),
            "mend" => self.mend(),
            "edit" | "delete" if self.faults.is_empty() => self.by_hand(step),
            "restart" => self.stage.restart().await,
            // What was weakened by hand and not put back yet would be unknown without the database.
            "database" if self.faults.is_empty() => {
                self.stage.ports.store.close().await;
                for file in ["portcullis.db", "portcullis.db-wal", "portcullis.db-shm"] {
                    let _ = std::fs::remove_file(self.stage.path("state").join(file));
                }
                self.stage.start().await;
            }
            "away" if !self.away => {
                self.away = true;
                self.stage.hide_remote(true);
            }
            "fault" => {
                let name = self.some_name();
                let key = match self.choose(&["template", "constraint"]) {
                    "template" => ObjectKey::Template(name.split('/').next().unwrap().to_owned()),
                    _ => constraint(&name),
                };
                let fault = match self.choose(&["refuse", "load"]) {
                    "refuse" => Fault::Refuse("a fault".to_owned()),
                    _ => Fault::FailToLoad("a fault".to_owned()),
                };
                self.story.push(format!("  {key} {fault:?}"));
                self.stage.cluster.misbehave(key.clone(), Some(fault));
                self.faults.push(key);
            }
            "soak" => self.stage.quarters(5).await,
            _ => {}
        }
    }

    /// A person edits or deletes what is in force.
    fn by_hand(&mut self, step: &str) {
        let name = self.some_name();
        let path = self.stage.policy(if self.chance.fraction() < 0.3 { "k8salpha" } else { &name });
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        self.story.push(format!("  {}", path.file_name().unwrap().display()));
        if step == "delete" {
            std::fs::remove_file(&path).unwrap();
        } else {
            let text = text.replace("enforcementAction: deny", "enforcementAction: dryrun");
            std::fs::write(&path, text.replace("- apps", "- none").replace("not input", "1 > 2; not input"))
                .unwrap();
        }
    }

    /// Everything that is broken is whole again.
    fn mend(&mut self) {
        for key in self.faults.drain(..) {
            self.stage.cluster.misbehave(key, None);
        }
        if std::mem::take(&mut self.away) {
            self.stage.hide_remote(false);
        }
        let mut files: Vec<(String, String)> =
            KINDS.iter().map(|kind| (format!("{kind}/template.yaml"), labels(kind, ""))).collect();
        files.push(("extra.yaml".to_owned(), "# nothing\n".to_owned()));
        self.commit(&files);
    }

    /// A pass, and the rules that hold after each.
    async fn sync(&mut self) -> Pass {
        let pass = self.stage.sync().await;
        for line in pass.done() {
            self.story.push(format!("  → {line}"));
        }
        let stages = self.stage.stages();
        let model = pass.0.revision.as_ref().map(|revision| self.models[revision.as_str()].clone());
        let model = model.unwrap_or_default();
        let did = |words: &[&str], name: &str| {
            let done = pass.0.applied.done.iter();
            done.filter(|done| done.key.to_string() == name).any(|done| words.contains(&done.word))
        };
        for (name, before) in std::mem::take(&mut self.last) {
            let target = model.constraints.get(&name).map(|(_, target)| Level::parse(target).unwrap());
            let Some(now) = stages.get(&name).map(|stage| Level::parse(stage).unwrap()) else {
                // What git no longer has and a hand deleted is gone without a word.
                let by_hand = self.deleted && target.is_none();
                assert!(did(&["removed"], &name) || by_hand, "{}", self.told(&format!("{name} is gone")));
                assert!(target.is_none(), "{}", self.told(&format!("{name} was removed and is in git")));
                continue;
            };
            if now < before {
                assert!(
                    did(&["lowered", "restarted", "swapped"], &name),
                    "{}",
                    self.told(&format!("{name} went down"))
                );
                let asked = target.is_some_and(|target| target < before) || model.strategy == "Restart";
                assert!(asked, "{}", self.told(&format!("nobody wanted {name} down from {before}")));
            }
            if now > before {
                assert!(did(&["promoted"], &name), "{}", self.told(&format!("{name} went up")));
                assert!(
                    target.is_some_and(|target| now <= target),
                    "{}",
                    self.told(&format!("{name} too far"))
                );
                let steps = (before == Level::Dryrun && now == Level::Warn)
                    || (before == Level::Warn && now == Level::Deny);
                assert!(steps, "{}", self.told(&format!("{name} leapt from {before} to {now}")));
                let manifest = self.stage.manifest(&format!("constraints/{name}"));
                let label = &manifest["spec"]["parameters"]["labels"][0];
                assert!(*label != "tier", "{}", self.told(&format!("{name} is violated and went up")));
            }
            self.last.insert(name, now);
        }
        for (name, stage) in &stages {
            let kind = name.split('/').next().unwrap().to_lowercase();
            assert!(
                self.stage.templates().contains(&kind),
                "{}",
                self.told(&format!("{name} has no template"))
            );
            if !self.last.contains_key(name) {
                let entered = stage == "dryrun" || did(&["renamed"], name);
                assert!(entered, "{}", self.told(&format!("{name} entered at {stage}")));
                self.last.insert(name.clone(), Level::parse(stage).unwrap());
            }
        }
        pass
    }

    /// All is mended, changes apply, and time goes on: everything ends as git has it.
    async fn settle(&mut self) {
        self.head.strategy = "Apply".to_owned();
        self.mend();
        let file = ("rollouts.yaml".to_owned(), rollout("Apply"));
        self.story.push("settle".to_owned());
        self.commit(&[file]);
        // Past every pause after an undone write.
        self.stage.quarters(3).await;
        for _ in 0..6 {
            self.stage.quarters(5).await;
            let pass = self.sync().await;
            // A person allows the removals that are held.
            if !pass.0.plan.prune.held.is_empty() {
                let (count, revision) = (pass.0.plan.prune.objects.len() as u64, pass.revision());
                let action = Action::AllowPrune { count, revision };
                self.stage.ports.store.request_action(&action, "mara", self.stage.ports.now()).await.unwrap();
            }
        }
        let pass = self.sync().await;
        assert_eq!(pass.0.verdict, InStep, "{}", self.told(&format!("{:?}", pass.0.reasons)));
        assert!(pass.done().is_empty(), "{}", self.told("it does not come to rest"));
        let in_force = self.stage.in_force();
        for (name, (label, target)) in &self.head.constraints {
            let manifest = in_force.get(&format!("constraints/{name}"));
            let missing = || panic!("{}", self.told(&format!("{name} is missing: {:?}", pass.0.reasons)));
            let manifest = manifest.unwrap_or_else(missing);
            assert_eq!(manifest["spec"]["parameters"]["labels"][0], **label, "{}", self.told(name));
            let stage = Level::parse(manifest["spec"]["enforcementAction"].as_str().unwrap()).unwrap();
            let target = Level::parse(target).unwrap();
            let there = if label == "tier" { stage <= target } else { stage == target };
            assert!(there, "{}", self.told(&format!("{name} is at {stage}, git wants {target}")));
        }
        let stages = self.stage.stages();
        let stays = stages.keys().find(|name| !self.head.constraints.contains_key(*name));
        assert!(stays.is_none(), "{}", self.told(&format!("{stays:?} is not in git and stays")));
    }
}

async fn simulate(seed: u64) {
    let mut simulation = Simulation::begin(seed).await;
    for _ in 0..STEPS {
        simulation.step().await;
        simulation.sync().await;
    }
    simulation.settle().await;
}

/// Other seeds: `PORTCULLIS_SEED=100`, and the fifty from there on with `PORTCULLIS_SEEDS=50`.
#[tokio::test]
async fn no_order_of_events_breaks_a_rule() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("PORTCULLIS_SEED").unwrap_or(1);
    for seed in first..first + number("PORTCULLIS_SEEDS").unwrap_or(3) {
        simulate(seed).await;
    }
}
