//! Policies and objects by the thousand, the same for the same seed: renamed copies of the starter templates
//! with constraints of their own, and workloads as clusters have them.

#![allow(dead_code, reason = "one vocabulary for tests and benchmarks, of which each uses a part")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "no part of the program")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Namespaces the objects lie in.
pub const NAMESPACES: usize = 100;
/// Objects in one file.
const PER_FILE: usize = 25;

/// SplitMix64: small, and the same in every release of every library.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// How many of the workloads leave something out that a starter policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objects {
    /// About one in ten, as in a cluster that is looked after.
    Mixed,
    /// All, in everything.
    Violating,
}

/// Writes `count` Pods and Deployments, and the Namespaces they lie in, below `folder`; returns how many
/// objects there are in all.
pub fn objects(folder: &Path, count: usize, of: Objects, seed: u64) -> usize {
    let mut random = Random(seed);
    fs::create_dir_all(folder).unwrap();
    let mut namespaces = String::new();
    for number in 0..NAMESPACES {
        let owner = if number % 10 == 0 { "" } else { "\n  labels: {owner: platform}" };
        write!(
            namespaces,
            "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}{owner}\n",
            namespace(number)
        )
        .unwrap();
    }
    fs::write(folder.join("namespaces.yaml"), namespaces).unwrap();
    for first in (0..count).step_by(PER_FILE) {
        let mut text = String::new();
        for number in first..(first + PER_FILE).min(count) {
            text.push_str("---\n");
            text.push_str(&workload(&mut random, number, of));
        }
        fs::write(folder.join(format!("workloads-{:05}.yaml", first / PER_FILE)), text).unwrap();
    }
    count + NAMESPACES
}

fn namespace(number: usize) -> String {
    format!("team-{number:03}")
}

fn workload(random: &mut Random, number: usize, of: Objects) -> String {
    let bad = of == Objects::Violating;
    let deployment = random.percent(30);
    let namespace = namespace(random.below(NAMESPACES));
    let app = random.of(&["cart", "search", "ledger", "invoice", "gateway", "mailer"]);
    let mut text = if deployment {
        String::from("apiVersion: apps/v1\nkind: Deployment\n")
    } else {
        String::from("apiVersion: v1\nkind: Pod\n")
    };
    let owner = if bad || random.percent(10) { "" } else { "    owner: platform\n" };
    let runbook = if bad || random.percent(10) {
        String::new()
    } else {
        format!("\n    a8r.io/runbook: https://runbooks.example.com/{app}")
    };
    write!(
        text,
        "metadata:\n  name: {app}-{number:06}\n  namespace: {namespace}\n  labels:\n    app: {app}\n    \
         app.kubernetes.io/name: {app}\n    app.kubernetes.io/instance: {app}-{number}\n    \
         app.kubernetes.io/part-of: shop\n{owner}  annotations:\n    checksum/config: {:016x}{:016x}{runbook}\n",
        random.next(),
        random.next()
    )
    .unwrap();
    let indent = if deployment {
        write!(
            text,
            "spec:\n  replicas: {}\n  selector:\n    matchLabels: {{app: {app}}}\n  template:\n    \
             metadata:\n      labels: {{app: {app}}}\n    spec:\n",
            1 + random.below(9)
        )
        .unwrap();
        "      "
    } else {
        text.push_str("spec:\n");
        "  "
    };
    for line in pod_spec(random, app, bad).lines() {
        writeln!(text, "{indent}{line}").unwrap();
    }
    text
}

fn pod_spec(random: &mut Random, app: &str, bad: bool) -> String {
    let mut text = String::from("serviceAccountName: default\nterminationGracePeriodSeconds: 30\n");
    if !(bad || random.percent(10)) {
        text.push_str("securityContext: {runAsNonRoot: true, fsGroup: 1000}\n");
    }
    text.push_str("containers:\n");
    for number in 0..=random.below(2) {
        let registry = if bad || random.percent(10) { "docker.io/acme" } else { "registry.example.com/shop" };
        write!(
            text,
            "- name: {app}-{number}\n  image: {registry}/{app}:1.{}.{}\n  imagePullPolicy: IfNotPresent\n  \
             args: [--port=8080, --log-level=info, \"--shard={number}\"]\n  ports:\n  - {{containerPort: 8080, \
             name: http, protocol: TCP}}\n  - {{containerPort: 9090, name: metrics}}\n  env:\n  - {{name: \
             LOG_LEVEL, value: info}}\n  - name: POD_NAME\n    valueFrom: {{fieldRef: {{fieldPath: \
             metadata.name}}}}\n  - {{name: UPSTREAM, value: \"http://{app}.shop.svc:8080\"}}\n  readinessProbe:\n    \
             httpGet: {{path: /ready, port: http}}\n    periodSeconds: 10\n  livenessProbe:\n    httpGet: {{path: \
             /healthz, port: http}}\n    initialDelaySeconds: 15\n  volumeMounts:\n  - {{name: config, mountPath: \
             /etc/{app}, readOnly: true}}\n",
            random.below(20),
            random.below(10),
        )
        .unwrap();
        if bad || random.percent(10) {
            text.push_str("  resources: {requests: {cpu: 100m, memory: 128Mi}}\n");
        } else {
            text.push_str("  resources:\n    limits: {cpu: 500m, memory: 256Mi}\n    requests: {cpu: 100m, memory: 128Mi}\n");
        }
        if bad || random.percent(3) {
            text.push_str("  securityContext: {privileged: true}\n");
        } else {
            text.push_str(
                "  securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true}\n",
            );
        }
    }
    text.push_str("volumes:\n- name: config\n  configMap: {name: config}\n");
    text
}

/// The starter templates, by folder, kind, and the parameters of a constraint that violating workloads violate.
const POLICIES: [(&str, &str, &str); 6] = [
    ("container-limits", "K8sContainerLimits", "{maxMemory: 4Gi}"),
    ("run-as-non-root", "K8sRequireNonRoot", "{}"),
    ("no-privileged-containers", "K8sPrivilegedContainer", "{}"),
    (
        "allowed-registries",
        "K8sAllowedRegistries",
        "{registries: [registry.example.com, quay.io/prometheus]}",
    ),
    ("required-labels", "K8sRequiredLabels", "{labels: [app, owner]}"),
    ("required-annotations", "K8sRequiredAnnotations", "{annotations: [a8r.io/runbook]}"),
];

/// Where the constraints of a generated repository look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One namespace each, in turn.
    OneNamespace,
    /// Every namespace.
    Everywhere,
}

/// A policy repository as files, path and text: `templates` renamed copies of the starter templates with
/// `constraints` each, and one Rollout.
pub fn policies(templates: usize, constraints: usize, reach: Reach) -> Vec<(String, String)> {
    let mut files = vec![("policies/rollouts.yaml".to_owned(), ROLLOUT.to_owned())];
    for number in 0..templates {
        let (folder, kind, parameters) = POLICIES[number % POLICIES.len()];
        let source = starter().join(folder).join("template.yaml");
        let renamed = format!("{kind}{number:03}");
        let text = fs::read_to_string(source).unwrap();
        let text = text
            .replace(
                &format!("  name: {}\n", kind.to_lowercase()),
                &format!("  name: {}\n", renamed.to_lowercase()),
            )
            .replace(&format!("kind: {kind}\n"), &format!("kind: {renamed}\n"));
        files.push((format!("policies/{folder}-{number:03}/template.yaml"), text));
        for copy in 0..constraints {
            let namespaces = match reach {
                Reach::Everywhere => String::new(),
                Reach::OneNamespace => {
                    format!("    namespaces: [{}]\n", namespace((number * constraints + copy) % NAMESPACES))
                }
            };
            let text = format!(
                "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: {renamed}\nmetadata:\n  name: \
                 {folder}-{number:03}-{copy}\n  annotations:\n    portcullis.dev/severity: high\n    \
                 portcullis.dev/description: a copy of {folder}\nspec:\n  enforcementAction: deny\n  match:\n    \
                 kinds:\n    - apiGroups: [\"\"]\n      kinds: [Pod]\n    - apiGroups: [apps]\n      kinds: \
                 [Deployment]\n{namespaces}  parameters: {parameters}\n"
            );
            files.push((format!("policies/{folder}-{number:03}/constraint-{copy}.yaml"), text));
        }
    }
    files
}

const ROLLOUT: &str = "apiVersion: portcullis.dev/v1alpha1\nkind: Rollout\nmetadata: {name: default}\nspec:\n  match: {kinds: \
    [\"*\"], names: [\"*\"]}\n  stages:\n  - action: dryrun\n    soak: 14d\n    gate: {maxViolations: 0, minAudits: 10, \
    maxAuditAge: 1h}\n  - action: deny\n";

/// The starter bundle.
pub fn starter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles/starter")
}

/// Writes files below a folder.
pub fn write(folder: &Path, files: &[(String, String)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Makes a git repository with one commit on `main` that holds these files.
pub fn repository(folder: &Path, files: &[(String, String)]) {
    let options = &mut git2::RepositoryInitOptions::new();
    let git = git2::Repository::init_opts(folder, options.initial_head("main")).unwrap();
    write(folder, files);
    let mut index = git.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
    let who = git2::Signature::new("A", "a@example.com", &git2::Time::new(1_767_225_600, 0)).unwrap();
    git.commit(Some("HEAD"), &who, &who, "policies", &tree, &[]).unwrap();
}

/// A folder with `cluster/objects/`, `repository/` and `portcullis.yaml` over the two; returns the configuration.
pub fn installation(folder: &Path, files: &[(String, String)], workloads: usize, of: Objects) -> PathBuf {
    objects(&folder.join("cluster/objects"), workloads, of, 1);
    repository(&folder.join("repository"), files);
    let config = folder.join("portcullis.yaml");
    fs::write(
        &config,
        "apiVersion: portcullis.dev/v1alpha1\nkind: PortcullisConfig\ncluster: {name: scale, directory: \
         cluster}\nsource: {url: repository, branch: main, paths: [policies], interval: 1h}\naudit: {schedule: \"0 0 1 1 \
         *\", onSync: true, evaluationTimeout: 30s}\nstorage: {url: \"sqlite://state/portcullis.db\"}\nstate: state\nlog: {format: json}\n",
    )
    .unwrap();
    config
}
