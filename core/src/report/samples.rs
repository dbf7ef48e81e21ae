//! Reports to test with: a small realistic cluster, and the extremes.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::{
    Change, ChangeKind, Cluster, ConstraintState, Engine, ExemptionState, ReportFilter, ReportFinding,
    ReportInput, RolloutState, RunFacts, Severity, Source, SyncState, SyncStatus, TrendPoint,
};
use crate::{
    audit::{Class, Finding, Hole, HoleClass, LedgerRow, ObjectRef, Status, Subject},
    identity::{ConstraintId, Fingerprint, PolicyHash, Revision, Stage},
};

pub(super) fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

fn ago(days: i64) -> Timestamp {
    now() - (24 * days).hours()
}

/// A constraint at its target `deny`.
pub(super) fn constraint(kind: &str, name: &str, stage: Stage) -> ConstraintState {
    ConstraintState {
        id: ConstraintId::new(kind, name),
        stage: Some(stage),
        target: Stage::Deny,
        since: Some(ago(61)),
        next: String::new(),
        severity: Severity::Medium,
        owner: String::new(),
        controls: Vec::new(),
        description: String::new(),
        held: None,
        not_auditable: None,
        hash: Some(PolicyHash::new(format!("v1:{}", "0".repeat(64)))),
    }
}

/// A ledger row without holes.
pub(super) fn judged(constraint: &ConstraintState, kind: &str, evaluated: u64, violated: u64) -> LedgerRow {
    LedgerRow {
        constraint: constraint.id.clone(),
        group: if kind == "Deployment" { "apps".to_owned() } else { String::new() },
        kind: kind.to_owned(),
        evaluated,
        violated,
        exempt: 0,
        errors: 0,
        holes: Vec::new(),
    }
}

pub(super) fn hole(class: HoleClass, reason: &str, count: u64) -> Hole {
    Hole { class, reason: reason.to_owned(), count }
}

/// A violation of `constraint` by the object `kind namespace/name`.
pub(super) fn finding(
    constraint: &ConstraintState,
    kind: &str,
    namespace: &str,
    name: &str,
    message: &str,
    status: Status,
) -> ReportFinding {
    let group = if kind == "Deployment" { "apps" } else { "" }.to_owned();
    let print = format!("{}{kind}{namespace}{name}{message}", constraint.id);
    let print = print
        .bytes()
        .fold(7_u128, |hash, byte| hash.wrapping_mul(1_099_511_628_211).wrapping_add(byte.into()));
    ReportFinding {
        finding: Finding {
            constraint: constraint.id.clone(),
            enforcement_action: constraint.stage.map_or("dryrun", Stage::as_str).to_owned(),
            class: Class::Violation,
            operation: String::new(),
            via: String::new(),
            object: ObjectRef {
                group: group.clone(),
                version: "v1".to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: String::new(),
            },
            subject: Subject {
                group,
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            message: message.to_owned(),
            details: json!({}),
            severity: constraint.severity.as_str().to_owned(),
            fingerprint: Fingerprint::new(format!("f1:{print:032x}")),
            exempt_by: String::new(),
            uncounted: false,
            source: String::new(),
        },
        status,
        first_seen: if status == Status::New { ago(0) } else { ago(12) },
        last_seen: ago(0),
    }
}

/// A cluster without policies, in step.
pub(super) fn empty() -> ReportInput {
    ReportInput {
        generated: now(),
        cluster: Cluster {
            name: "prod-eu-1".to_owned(),
            labels: BTreeMap::from([
                ("region".to_owned(), "eu".to_owned()),
                ("tier".to_owned(), "prod".to_owned()),
            ]),
            instance: "portcullis".to_owned(),
        },
        source: Some(Source {
            url: "https://ci:s3cret@git.example.com/platform/policies.git".to_owned(),
            branch: "main".to_owned(),
            revision: Revision::new("3f9c2ab0d3b0c1c8a7f1b2d3e4f5061728394a5b"),
            subject: "Allow the registry mirror for batch jobs".to_owned(),
            author: "Mara Lindt <mara@example.com>".to_owned(),
            committed: ago(1),
            signer: None,
        }),
        engine: Engine { name: "regorus".to_owned(), version: "0.14".to_owned() },
        enforced: "Gatekeeper 3.23.1".to_owned(),
        run: Some(RunFacts {
            id: "1832".to_owned(),
            cause: "schedule".to_owned(),
            started: now() - 15.minutes(),
            finished: Some(now() - 15.minutes() + 2_800.milliseconds()),
            complete: true,
            objects: 9_674,
        }),
        findings: Vec::new(),
        fixed: Vec::new(),
        ledger: Vec::new(),
        constraints: Vec::new(),
        trend: Vec::new(),
        previous_score: None,
        changes: Vec::new(),
        rollouts: Vec::new(),
        exemptions: Vec::new(),
        sync: SyncState {
            status: SyncStatus::InStep,
            at: Some(now() - 12.minutes()),
            ..SyncState::default()
        },
        filter: ReportFilter::default(),
    }
}

/// Six policies at different stages, a few findings of every status, exemptions, changes.
pub(super) fn realistic() -> ReportInput {
    let mut privileged = constraint("K8sPrivilegedContainer", "all", Stage::Deny);
    privileged.severity = Severity::Critical;
    privileged.owner = "platform@example.com".to_owned();
    privileged.controls = vec!["cis-5.2.1".to_owned(), "soc2-cc6.1".to_owned()];
    privileged.description = "Containers must not run privileged".to_owned();
    let mut limits = constraint("K8sContainerLimits", "all", Stage::Deny);
    limits.description = "Containers must limit memory and CPU".to_owned();
    limits.owner = "platform@example.com".to_owned();
    limits.controls = vec!["cis-5.7.4".to_owned()];
    let mut root = constraint("K8sRequireNonRoot", "production", Stage::Warn);
    root.severity = Severity::High;
    root.since = Some(ago(2));
    root.next =
        "soak 2d 0h of 3d · 12 of 3 audits · 1 subject violates, 0 allowed: Deployment shop/cart".to_owned();
    root.description = "Containers must not run as root".to_owned();
    root.owner = "security@example.com".to_owned();
    root.controls = vec!["cis-5.2.6".to_owned(), "soc2-cc6.1".to_owned()];
    let mut repos = constraint("K8sAllowedRepos", "medstack-repos", Stage::Dryrun);
    repos.severity = Severity::High;
    repos.since = Some(ago(9));
    repos.next =
        "soak 9d of 14d · 2 subjects violate, 0 allowed: Deployment mcs/api, Pod mcs/debug".to_owned();
    repos.description = "Images must come from the company's registries".to_owned();
    let mut labels = constraint("K8sRequiredLabels", "namespace-owner", Stage::Dryrun);
    labels.severity = Severity::Low;
    labels.since = Some(ago(30));
    labels.held = Some("held by mara@example.com: waiting for the new team names".to_owned());
    labels.next = "held by mara@example.com: waiting for the new team names".to_owned();
    labels.description = "Every namespace must name its owner".to_owned();
    let mut hours = constraint("BusinessHours", "prod", Stage::Dryrun);
    hours.not_auditable = Some("its code asks for the time".to_owned());
    hours.next = "not auditable (asks for the time): approve or promote by hand".to_owned();
    hours.description = "Changes happen in business hours".to_owned();

    let mut excused = finding(
        &root,
        "Deployment",
        "calico-system",
        "calico-node",
        "container calico must set runAsNonRoot",
        Status::Open,
    );
    excused.finding.exempt_by = "cni-needs-root".to_owned();
    let cart = finding(
        &root,
        "Deployment",
        "shop",
        "cart",
        "container web must set runAsNonRoot",
        Status::Regressed,
    );
    let mut cart_pod = cart.clone();
    cart_pod.finding.object.kind = "Pod".to_owned();
    cart_pod.finding.object.group = String::new();
    cart_pod.finding.object.name = "cart-6d4cf56db6-x2x7p".to_owned();
    let registry = "image munta/nginx:1.27 is not from registry.example.com/ or docker.io/bitnami/";
    let mut root_row = judged(&root, "Deployment", 140, 1);
    root_row.exempt = 1;
    let mut root_pods = judged(&root, "Pod", 812, 1);
    root_pods.holes = vec![hole(
        HoleClass::NotEnforced,
        "namespace kube-system carries the label admission.gatekeeper.sh/ignore",
        31,
    )];
    let trend = (0..14_u32)
        .map(|day| TrendPoint {
            run: (1819 + day).to_string(),
            at: ago(13 - i64::from(day)),
            score: Some(if day == 5 { 95.1 } else { f64::from(955 + day * 10 / 3) / 10.0 }),
            open: u64::from(18 - day),
            new: u64::from(day % 3),
            fixed: u64::from(day % 4),
            complete: day != 7,
        })
        .collect();
    ReportInput {
        findings: vec![
            finding(
                &limits,
                "Deployment",
                "billing",
                "invoice",
                "container web has no memory limit",
                Status::New,
            ),
            finding(&repos, "Deployment", "mcs", "api", registry, Status::Open),
            finding(&repos, "Pod", "mcs", "debug", registry, Status::New),
            cart,
            cart_pod,
            excused,
            finding(&labels, "Namespace", "", "mcs", "you must provide labels: owner", Status::Open),
        ],
        fixed: vec![finding(
            &limits,
            "Deployment",
            "shop",
            "checkout",
            "container web has no memory limit",
            Status::Fixed,
        )],
        ledger: vec![
            judged(&privileged, "Pod", 812, 0),
            judged(&privileged, "Deployment", 140, 0),
            judged(&limits, "Pod", 812, 0),
            judged(&limits, "Deployment", 140, 1),
            root_row,
            root_pods,
            judged(&repos, "Pod", 96, 1),
            judged(&repos, "Deployment", 22, 1),
            judged(&labels, "Namespace", 24, 1),
        ],
        rollouts: vec![RolloutState {
            name: "default".to_owned(),
            path: "dryrun 14d → warn 3d → deny".to_owned(),
            strategy: "Shadow".to_owned(),
            constraints: vec![root.id.clone(), repos.id.clone()],
        }],
        changes: vec![
            Change {
                at: ago(2),
                what: ChangeKind::Promoted,
                object: root.id.to_string(),
                from: "dryrun".to_owned(),
                to: "warn".to_owned(),
                revision: None,
                who: "portcullis".to_owned(),
                why: "soak 14d of 14d · 1,344 of 10 audits · 0 subjects violate".to_owned(),
            },
            Change {
                at: ago(1),
                what: ChangeKind::Refused,
                object: "K8sAllowedRepos".to_owned(),
                from: String::new(),
                to: String::new(),
                revision: Some(Revision::new("3f9c2ab0d3b0c1c8a7f1b2d3e4f5061728394a5b")),
                who: "Mara Lindt <mara@example.com>".to_owned(),
                why: "parameter `repo` is not in the schema of K8sAllowedRepos".to_owned(),
            },
            Change {
                at: ago(5),
                what: ChangeKind::Held,
                object: labels.id.to_string(),
                from: String::new(),
                to: String::new(),
                revision: None,
                who: "mara@example.com".to_owned(),
                why: "waiting for the new team names".to_owned(),
            },
        ],
        exemptions: vec![ExemptionState {
            name: "cni-needs-root".to_owned(),
            constraints: vec!["K8sRequireNonRoot/*".to_owned()],
            namespaces: vec!["kube-system".to_owned(), "calico-*".to_owned()],
            owner: "team-network@example.com".to_owned(),
            reason: "the CNI agent programs the host's routes".to_owned(),
            ticket: "SEC-481".to_owned(),
            from: Some("2026-11-01".to_owned()),
            expires: Some("2026-11-28".to_owned()),
            days_left: Some(7),
            excused: 0,
        }],
        constraints: vec![privileged, limits, root, repos, labels, hours],
        trend,
        previous_score: Some(98.1),
        ..empty()
    }
}
