//! The starter bundle against public manifests: every object is read, and twenty verdicts are what a person who
//! read the manifests says.
//!
//! The manifests are not part of the repository: name their folder in `PORTCULLIS_CORPUS`. How many findings
//! there are in all, and that `gator test` has the same, `starter::findings` says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the functions that tests share fail as tests do"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use portcullis::{
    cli::audit_local::{Args, SemanticsArg, audit},
    clock::ManualClock,
};
use portcullis_core::audit::Finding;

use crate::support::generated::starter;

/// A verdict that was checked by hand.
struct Checked {
    /// File, kind and name of the object.
    object: (&'static str, &'static str, &'static str),
    constraint: &'static str,
    /// What each finding's message begins with; empty where nothing is wrong.
    found: &'static [&'static str],
    /// What the manifest says.
    #[allow(dead_code, reason = "for those who read the list")]
    because: &'static str,
}

const ES: (&str, &str, &str) =
    ("kubernetes-examples/_archived__elasticsearch__es-rc.yaml", "ReplicationController", "es");
const WEBHOOK: (&str, &str, &str) = (
    "kubeflow-manifests/common__knative__knative-serving__base__upstream__net-istio.yaml",
    "Deployment",
    "net-istio-webhook",
);
const ISCSI: (&str, &str, &str) = (
    "longhorn/deploy__prerequisite__longhorn-iscsi-selinux-workaround.yaml",
    "DaemonSet",
    "longhorn-iscsi-selinux-workaround",
);
const WEB: (&str, &str, &str) =
    ("kubernetes-examples/_archived__volumes__aws_ebs__aws-ebs-web.yaml", "Pod", "aws-web");
const ROLLOUTS: (&str, &str, &str) = ("argo-rollouts/manifests__install.yaml", "Deployment", "argo-rollouts");
const STATE: (&str, &str, &str) =
    ("kube-prometheus/kubeStateMetrics-deployment.yaml", "Deployment", "kube-state-metrics");
const OPERATOR: (&str, &str, &str) =
    ("kube-prometheus/prometheusOperator-deployment.yaml", "Deployment", "prometheus-operator");
const EXPORTER: (&str, &str, &str) =
    ("kube-prometheus/nodeExporter-daemonset.yaml", "DaemonSet", "node-exporter");
const ADS: (&str, &str, &str) =
    ("online-boutique/release__kubernetes-manifests.yaml", "Deployment", "adservice");
const REDIS: (&str, &str, &str) =
    ("online-boutique/release__kubernetes-manifests.yaml", "Deployment", "redis-cart");
const USER: (&str, &str, &str) = ("sock-shop/manifests-jaeger__user-dep.yaml", "Deployment", "user");
const NFS: (&str, &str, &str) = ("csi-driver-nfs/csi-nfs-node.yaml", "DaemonSet", "csi-nfs-node");

const CHECKED: [Checked; 20] = [
    Checked {
        object: ES,
        constraint: "no-privileged-containers",
        found: &["init container init-sysctl is privileged"],
        because: "the init container says privileged: true, the other only adds IPC_LOCK",
    },
    Checked {
        object: WEBHOOK,
        constraint: "run-as-non-root",
        found: &[],
        because: "its only container says runAsNonRoot: true; that there is no runAsUser does not matter",
    },
    Checked {
        object: ISCSI,
        constraint: "allowed-registries",
        found: &["init container iscsi-selinux-workaround: image alpine:3.17"],
        because: "alpine is docker.io's; the other image is registry.k8s.io's, which is allowed",
    },
    Checked {
        object: ISCSI,
        constraint: "container-limits",
        found: &[
            "container sleep has no CPU limit",
            "container sleep has no memory limit",
            "init container iscsi-selinux-workaround has no CPU limit",
            "init container iscsi-selinux-workaround has no memory limit",
        ],
        because: "neither container names resources",
    },
    Checked {
        object: WEB,
        constraint: "run-as-non-root",
        found: &["container web may run as root"],
        because: "there is no securityContext, neither the Pod's nor the container's",
    },
    Checked {
        object: WEB,
        constraint: "workload-runbook",
        found: &[],
        because: "it has no annotation, but the constraint is not about Pods",
    },
    Checked {
        object: ROLLOUTS,
        constraint: "run-as-non-root",
        found: &[],
        because: "the Pod says runAsNonRoot: true, the container inherits it",
    },
    Checked {
        object: ROLLOUTS,
        constraint: "container-limits",
        found: &["container argo-rollouts has no CPU limit", "container argo-rollouts has no memory limit"],
        because: "its only limit is of ephemeral-storage",
    },
    Checked {
        object: ROLLOUTS,
        constraint: "allowed-registries",
        found: &["container argo-rollouts: image quay.io/argoproj/argo-rollouts:latest"],
        because: "of quay.io only quay.io/prometheus is allowed",
    },
    Checked {
        object: STATE,
        constraint: "container-limits",
        found: &[],
        because: "all three containers limit CPU and memory",
    },
    Checked {
        object: STATE,
        constraint: "allowed-registries",
        found: &[
            "container kube-rbac-proxy-main: image quay.io/brancz/kube-rbac-proxy:v0.22.1",
            "container kube-rbac-proxy-self: image quay.io/brancz/kube-rbac-proxy:v0.22.1",
        ],
        because: "registry.k8s.io is allowed, quay.io/brancz is not",
    },
    Checked {
        object: OPERATOR,
        constraint: "allowed-registries",
        found: &[
            "container kube-rbac-proxy: image quay.io/brancz/kube-rbac-proxy:v0.22.1",
            "container prometheus-operator: image quay.io/prometheus-operator/prometheus-operator:v0.93.1",
        ],
        because: "quay.io/prometheus-operator only begins like quay.io/prometheus",
    },
    Checked {
        object: EXPORTER,
        constraint: "allowed-registries",
        found: &["container kube-rbac-proxy: image quay.io/brancz/kube-rbac-proxy:v0.22.1"],
        because: "quay.io/prometheus/node-exporter is below quay.io/prometheus",
    },
    Checked {
        object: EXPORTER,
        constraint: "run-as-non-root",
        found: &[],
        because: "the Pod says runAsNonRoot: true and runAsUser: 65534, one container says the same for itself",
    },
    Checked {
        object: ADS,
        constraint: "no-privileged-containers",
        found: &[],
        because: "privileged is there, and false",
    },
    Checked {
        object: REDIS,
        constraint: "container-limits",
        found: &[],
        because: "cpu: 125m and memory: 256Mi, in that other order",
    },
    Checked {
        object: REDIS,
        constraint: "workload-runbook",
        found: &["annotation a8r.io/runbook is missing"],
        because: "it has no annotations",
    },
    Checked {
        object: USER,
        constraint: "run-as-non-root",
        found: &[],
        because: "the container itself says runAsNonRoot: true and runAsUser: 10001",
    },
    Checked {
        object: NFS,
        constraint: "container-limits",
        found: &[
            "container liveness-probe has no CPU limit",
            "container nfs has no CPU limit",
            "container node-driver-registrar has no CPU limit",
        ],
        because: "all three limit memory, none CPU",
    },
    Checked {
        object: NFS,
        constraint: "no-privileged-containers",
        found: &["container nfs is privileged"],
        because: "privileged: true stands among capabilities that are dropped and added",
    },
];

/// The corpus, where there is one.
fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("PORTCULLIS_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no corpus; name one in PORTCULLIS_CORPUS");
    None
}

/// How many objects there are, by the simplest means: documents with a line that begins with `kind:`. The
/// corpus has neither lists nor JSON.
fn counted(corpus: &Path) -> u64 {
    let mut count = 0;
    for entry in walkdir::WalkDir::new(corpus) {
        let entry = entry.unwrap();
        let extension = entry.path().extension().and_then(|extension| extension.to_str());
        if !entry.file_type().is_file() || !matches!(extension, Some("yaml" | "yml" | "json")) {
            continue;
        }
        assert_ne!(extension, Some("json"), "{}: JSON is not counted here", entry.path().display());
        let mut has_kind = false;
        for line in fs::read_to_string(entry.path()).unwrap().lines() {
            if line == "---" || line.starts_with("--- ") {
                count += u64::from(std::mem::take(&mut has_kind));
            }
            assert!(
                !line.starts_with("kind: List"),
                "{}: lists are not counted here",
                entry.path().display()
            );
            has_kind |= line.starts_with("kind:");
        }
        count += u64::from(has_kind);
    }
    count
}

#[test]
fn every_object_of_the_corpus_is_read_and_twenty_verdicts_are_as_checked_by_hand() {
    let Some(corpus) = corpus() else { return };
    let args = Args {
        bundle: vec![starter()],
        objects: vec![corpus.clone()],
        semantics: SemanticsArg::Gator,
        ..Args::default()
    };
    let clock = ManualClock::new("2026-12-01T09:00:00Z".parse::<Timestamp>().unwrap());
    let run = audit(&args, &clock).unwrap().outcome;
    assert_eq!(run.objects, counted(&corpus));
    let rows = run.ledger.rows();
    let holes: Vec<_> = rows.iter().filter(|row| !row.holes.is_empty()).collect();
    assert!(run.ledger.complete() && holes.is_empty(), "{holes:#?}");

    let mut found: BTreeMap<(String, String, String, String), Vec<&Finding>> = BTreeMap::new();
    for finding in &run.findings {
        let file = Path::new(&finding.source).strip_prefix(&corpus).unwrap().to_str().unwrap();
        let file = file.rsplit_once(':').map_or(file, |(file, _line)| file).to_owned();
        let object = (finding.object.kind.clone(), finding.object.name.clone());
        let key = (file, object.0, object.1, finding.constraint.name.clone());
        found.entry(key).or_default().push(finding);
    }
    for checked in &CHECKED {
        let (file, kind, name) = checked.object;
        assert!(corpus.join(file).is_file(), "{file} is not in the corpus");
        let key = (file.to_owned(), kind.to_owned(), name.to_owned(), checked.constraint.to_owned());
        let mut messages: Vec<&str> =
            found.get(&key).into_iter().flatten().map(|finding| finding.message.as_str()).collect();
        messages.sort_unstable();
        let alike = messages.len() == checked.found.len()
            && messages.iter().zip(checked.found).all(|(message, begins)| message.starts_with(begins));
        assert!(alike, "{key:?}: {messages:#?}");
    }
    assert!(CHECKED.iter().filter(|checked| checked.found.is_empty()).count() >= 8);
}
