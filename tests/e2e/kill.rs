//! The real program, killed at many moments and started again: the same stages, never anything weaker, no
//! half-written file, no report lost. And the ends it comes to in peace.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portcullis::{
    chance::Chance,
    clock::SystemClock,
    config::Config,
    edge::store::{DeliveryState, Outcome, Store},
    pipeline::deliver::{Deliverer, NamedSink},
};
use portcullis_core::identity::Stage;

use super::{
    documents::{deployment, labels, wants},
    stage::{KEY, assert_signed},
};
use crate::support::{
    program::{Program, eventually},
    receiver::Receiver,
};

const KILLS: usize = 16;

/// Seconds instead of days.
const ROLLOUT: &str = "apiVersion: portcullis.dev/v1alpha1
kind: Rollout
metadata:
  name: default
spec:
  stages:
    - {action: dryrun, soak: 1s, gate: {maxViolations: 0, minAudits: 1}}
    - {action: warn, soak: 1s, gate: {maxViolations: 0, minAudits: 1}}
    - {action: deny}
  change: {strategy: Apply}
";

fn program(receiver: &Receiver) -> Program {
    let program = Program::new(&format!(
        r#"audit: {{schedule: "* * * * * *"}}
reports:
  - {{name: often, schedule: "*/2 * * * * *", formats: [json], to: [officer]}}
notifications:
  - {{on: [promotion], to: [officer]}}
sinks:
  - {{name: officer, type: webhook, url: "{}", secretFile: key}}
"#,
        receiver.url("/hook")
    ));
    std::fs::write(program.path("key"), KEY).unwrap();
    program.object("cart.yaml", &deployment("shop", "cart", "{app: cart, owner: shop}"));
    program
}

/// The commits of the test, pushed one by one between the kills.
fn commits() -> Vec<Vec<(String, String)>> {
    let unit = |kind: &str, names: &[(&str, &str)]| {
        let mut files = vec![(format!("{kind}/template.yaml"), labels(kind, ""))];
        for (name, label) in names {
            files.push((format!("{kind}/{name}.yaml"), wants(kind, name, label, "deny")));
        }
        files
    };
    let mut first = unit("K8sFirst", &[("owner", "owner"), ("tier", "tier")]);
    first.push(("rollouts.yaml".to_owned(), ROLLOUT.to_owned()));
    vec![
        first,
        unit("K8sSecond", &[("one", "owner"), ("two", "app")]),
        // Changed verdicts: swapped at whatever stage it has.
        vec![("K8sFirst/template.yaml".to_owned(), labels("K8sFirst", "wanted != \"\""))],
        unit("K8sThird", &[("app", "app"), ("owner", "owner")]),
        // The same file under another name of the constraint: a rename.
        vec![("K8sSecond/one.yaml".to_owned(), wants("K8sSecond", "uno", "owner", "deny"))],
        unit("K8sFourth", &[("app", "app")]),
    ]
}

fn push(program: &Program, files: &[(String, String)]) {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    program.repo.commit("a change", &files);
}

/// What a run without a kill would come to: `tier` is violated, everything else is kept by everybody.
fn expected() -> BTreeMap<String, String> {
    [
        ("K8sFirst/owner", "deny"),
        ("K8sFirst/tier", "dryrun"),
        ("K8sFourth/app", "deny"),
        ("K8sSecond/two", "deny"),
        ("K8sSecond/uno", "deny"),
        ("K8sThird/app", "deny"),
        ("K8sThird/owner", "deny"),
    ]
    .into_iter()
    .map(|(name, stage)| (name.to_owned(), stage.to_owned()))
    .collect()
}

/// Asserts that nothing is enforced weaker than it was seen before, and remembers what is seen.
fn never_weaker(program: &Program, best: &mut BTreeMap<String, Stage>) {
    let now: BTreeMap<String, Stage> =
        program.stages().into_iter().map(|(name, stage)| (name, Stage::parse(&stage).unwrap())).collect();
    for (name, before) in best.iter() {
        // The only name that git takes away is that of the renamed one.
        let present = now.get(name).or_else(|| now.get("K8sSecond/uno").filter(|_| name == "K8sSecond/one"));
        let present = present.unwrap_or_else(|| panic!("{name} is gone"));
        assert!(present >= before, "{name} was at {before} and is at {present}");
    }
    best.retain(|name, _| now.contains_key(name));
    best.extend(now);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_goes_on_where_it_was() {
    let receiver = Receiver::start().await;
    let program = program(&receiver);
    // Where the kills fall. They do the harm; nothing that is asserted depends on them.
    let chance = Chance::from_seed(11);
    let mut best = BTreeMap::new();
    let mut commits = commits().into_iter();
    for at in 0..KILLS {
        let before = program.in_force();
        if at % 2 == 0 {
            commits.next().into_iter().for_each(|files| push(&program, &files));
        }
        let daemon = program.start();
        let pushed = at % 2 == 0 && at < 12;
        if pushed {
            // In the middle of what the commit asks for.
            eventually("the commit begins to act", || program.in_force() != before);
        }
        let longest = if pushed { 120.0 } else { 900.0 };
        std::thread::sleep(Duration::from_secs_f64(chance.fraction() * longest / 1_000.0));
        daemon.kill();
        never_weaker(&program, &mut best);
    }

    let daemon = program.start();
    eventually("the stages of a run without a kill", || program.stages() == expected());
    never_weaker(&program, &mut best);
    let first = program.in_force()["constrainttemplates/k8sfirst"].to_string();
    assert!(first.contains("wanted != \\\\\\\"\\\\\\\"") || first.contains("wanted !="), "{first}");
    let arrived = receiver.received().len();
    eventually("a report after the last kill", || receiver.received().len() > arrived);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(30), "{took:?}");
    nothing_is_lost(&program, &receiver).await;
}

/// Every delivery of the store arrived, signed, with one body for one identity; every promotion was told.
async fn nothing_is_lost(program: &Program, receiver: &Receiver) {
    let file = program.path("portcullis.yaml");
    let loaded = Config::load(&std::fs::read(&file).unwrap(), &file, std::iter::empty()).unwrap();
    let config = loaded.config;
    let store = Store::open(&config.storage.url, &config.cluster.name, &config.instance).await.unwrap();
    assert!(store.open_intents().await.unwrap().is_empty());
    // What was made in the last moment is still to be sent.
    let sinks = config.sinks.iter().map(NamedSink::from_config).collect();
    let chance = Arc::new(Chance::from_seed(12));
    Deliverer::new(store.clone(), sinks, Arc::new(SystemClock), chance).deliver_due().await.unwrap();

    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for got in receiver.received() {
        assert_signed(&got);
        let body = bodies.entry(got.header("webhook-id").to_owned()).or_insert_with(|| got.body.to_vec());
        assert_eq!(*body, got.body, "one identity, one body");
    }
    let deliveries = store.deliveries(None, 10_000).await.unwrap();
    let reports = deliveries.iter().filter(|row| row.event_type == "dev.portcullis.report.json.v1").count();
    assert_eq!(store.reports(Some("often"), 10_000).await.unwrap().len(), reports);
    assert!(reports >= 3, "{reports}");
    let mut told = BTreeSet::new();
    for row in deliveries {
        assert_eq!(row.state, DeliveryState::Delivered, "{row:?}");
        let delivery = store.delivery(row.id).await.unwrap().unwrap();
        assert_eq!(bodies.get(&row.webhook_id).unwrap(), delivery.body.as_bytes());
        if row.event_type == "dev.portcullis.promotion.v1" {
            let event: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
            told.insert((event["object"].to_string(), event["details"]["to"].to_string()));
        }
    }
    let decisions = store.decisions(None, None, 10_000).await.unwrap();
    let promoted: BTreeSet<(String, String)> = decisions
        .into_iter()
        .filter(|row| row.outcome == Outcome::Done && row.decision.reason.starts_with("promoted: "))
        .map(|row| {
            let decision = row.decision;
            (format!("\"{}/{}\"", decision.kind, decision.name), format!("\"{}\"", decision.to.unwrap()))
        })
        .collect();
    assert!(promoted.len() >= 12, "{promoted:?}");
    assert_eq!(told, promoted);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_when_the_leader_is_killed() {
    let receiver = Receiver::start().await;
    let program = program(&receiver);
    let commits = commits();
    push(&program, &commits[0]);
    let leader = program.start();
    eventually("the first commit acts", || program.stages().contains_key("K8sFirst/tier"));
    let standby = program.start();
    eventually("the second one stands by", || standby.log().contains("standby"));
    leader.kill();
    push(&program, &commits[1]);
    eventually("the second one leads", || program.stages().contains_key("K8sSecond/two"));
    assert_eq!(standby.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_daemon_a_sync_waits_and_says_so() {
    let receiver = Receiver::start().await;
    let program = program(&receiver);
    let text = std::fs::read_to_string(program.path("portcullis.yaml")).unwrap();
    std::fs::write(program.path("portcullis.yaml"), format!("{text}apply: {{timeout: 1s}}\n")).unwrap();
    push(&program, &commits()[0]);
    let daemon = program.start();
    eventually("the first commit acts", || program.stages().contains_key("K8sFirst/tier"));
    program
        .run(&["sync", "--once"])
        .ended(2, &["another process writes to this cluster", "portcullis status"]);
    assert_eq!(program.run(&["status", "-o", "json"]).ended(0, &[]).json()["daemon"]["running"], true);
    let (code, _) = daemon.terminate();
    assert_eq!(code, 0);
    program.run(&["sync", "--once"]).ended(0, &["in step"]);
    assert_eq!(program.run(&["status", "-o", "json"]).ended(0, &[]).json()["daemon"]["running"], false);
}
