//! The documents that the tests push, written as people write them.

/// A template whose constraints ask for labels; `extra` is a further line of its rule.
pub fn labels(kind: &str, extra: &str) -> String {
    let name = kind.to_lowercase();
    format!(
        r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: {name}
spec:
  crd:
    spec:
      names:
        kind: {kind}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            labels:
              type: array
              items: {{type: string}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package {name}

        violation[{{"msg": msg}}] {{
          wanted := input.parameters.labels[_]
          not input.review.object.metadata.labels[wanted]
          {extra}
          msg := sprintf("the label %v is missing", [wanted])
        }}
"#
    )
}

/// A constraint on Deployments that asks for one label.
pub fn wants(kind: &str, name: &str, label: &str, target: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1
kind: {kind}
metadata:
  name: {name}
spec:
  enforcementAction: {target}
  match:
    kinds:
      - apiGroups: [apps]
        kinds: [Deployment]
  parameters:
    labels: [{label}]
"
    )
}

/// A Rollout of everything: an hour at dryrun, an hour at warn, two audits each.
pub fn rollout(strategy: &str) -> String {
    paced("1h", strategy)
}

/// The same with another time at dryrun.
pub fn paced(soak: &str, strategy: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: Rollout
metadata:
  name: default
spec:
  stages:
    - {{action: dryrun, soak: {soak}, gate: {{maxViolations: 0, minAudits: 2, maxAuditAge: 1h}}}}
    - {{action: warn, soak: 1h, gate: {{maxViolations: 0, minAudits: 2, maxAuditAge: 1h}}}}
    - {{action: deny}}
  change: {{strategy: {strategy}}}
"
    )
}

/// An Exemption of one namespace from the constraints of a kind.
pub fn exemption(name: &str, kind: &str, namespace: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1alpha1
kind: Exemption
metadata:
  name: {name}
spec:
  constraints: [{{kind: {kind}, name: \"*\"}}]
  namespaces: [{namespace}]
  owner: team-{namespace}@example.com
  reason: the old charts are being replaced
"
    )
}

/// A live Deployment with labels written as `{a: b}`.
pub fn deployment(namespace: &str, name: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {namespace}
  labels: {labels}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: main, image: registry.example.com/{name}:1}}]
"
    )
}
