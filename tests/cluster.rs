//! What every cluster behind the port must do; today the folder that stands for one.

use std::{collections::BTreeMap, fs};

use portcullis::edge::cluster::{
    Acknowledgement, Cluster, ClusterError,
    directory::{DirectoryCluster, Fault},
};
use portcullis_core::{identity::ConstraintId, plan::ObjectKey};
use serde_json::{Value, json};
use tempfile::TempDir;

fn cluster() -> (TempDir, DirectoryCluster) {
    let folder = tempfile::tempdir().unwrap();
    let cluster = DirectoryCluster::open(folder.path()).unwrap();
    (folder, cluster)
}

fn template_key() -> ObjectKey {
    ObjectKey::Template("Labels".to_owned())
}

fn constraint_key() -> ObjectKey {
    ObjectKey::Constraint(ConstraintId::new("Labels", "all"))
}

fn template(rego: &str) -> Value {
    json!({
        "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "labels"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "Labels"}, "validation": {"openAPIV3Schema": {
                "type": "object", "properties": {
                    "labels": {"type": "array", "items": {"type": "string"}},
                    "mode": {"type": "string", "default": "strict"}}}}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]
        }
    })
}

const REGO: &str = "package labels\n\nviolation[{\"msg\": msg}] {\n  msg := \"no\"\n}\n";

fn constraint(parameters: &Value) -> Value {
    json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Labels", "metadata": {"name": "all"},
        "spec": {"parameters": parameters}
    })
}

#[tokio::test]
async fn objects_are_defaulted_and_written_whole_and_read_back() {
    let (folder, cluster) = cluster();
    cluster.apply(&template_key(), &template(REGO), None).await.unwrap();
    let made = cluster.apply(&constraint_key(), &constraint(&json!({"labels": ["a"]})), None).await.unwrap();
    assert_eq!(made.manifest["spec"]["enforcementAction"], "deny", "unset is deny, as the CRD defaults it");
    assert_eq!(made.manifest["spec"]["parameters"], json!({"labels": ["a"], "mode": "strict"}));
    let there = cluster.policies().await.unwrap();
    assert_eq!(there.get(&constraint_key()), Some(&made));
    let text = fs::read_to_string(folder.path().join("policies/constraints/Labels/all.yaml")).unwrap();
    assert!(text.starts_with(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Labels\nmetadata:\n  name: all\n"
    ));
    let text = fs::read_to_string(folder.path().join("policies/constrainttemplates/labels.yaml")).unwrap();
    assert!(text.contains("rego: |\n"), "multi-line strings are literal blocks:\n{text}");
    let hidden = fs::read_dir(folder.path().join("policies")).unwrap().count();
    assert_eq!(hidden, 2, "no temporary file stays behind");
    assert!(folder.path().join("status/constraints/Labels/all.yaml").is_file());
}

#[tokio::test]
async fn what_a_server_would_refuse_is_refused_and_changes_nothing() {
    let (_folder, cluster) = cluster();
    let refused = |result: Result<_, ClusterError>| match result {
        Err(ClusterError::Rejected { reason, .. }) => reason,
        other => panic!("expected a refusal, found {other:?}"),
    };
    let orphan = cluster.apply(&constraint_key(), &constraint(&json!({})), None).await.map(|_| ());
    assert!(refused(orphan).contains("does not serve Labels"));
    cluster.apply(&template_key(), &template(REGO), None).await.unwrap();
    let wrong =
        cluster.apply(&constraint_key(), &constraint(&json!({"labels": "a"})), None).await.map(|_| ());
    assert!(refused(wrong).contains("spec.parameters/labels"));
    let mut unknown = constraint(&json!({}));
    unknown["spec"]["enforcementAction"] = json!("block");
    let unknown = cluster.dry_run(&constraint_key(), &unknown, None).await.map(|_| ());
    assert!(refused(unknown).contains("block"));
    let outside = ObjectKey::Constraint(ConstraintId::new("Labels", "../../outside"));
    assert!(matches!(
        cluster.apply(&outside, &constraint(&json!({})), None).await,
        Err(ClusterError::Rejected { .. })
    ));
    assert_eq!(cluster.policies().await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_version_that_was_looked_at_is_replaced_or_deleted() {
    let (_folder, cluster) = cluster();
    let first = cluster.apply(&template_key(), &template(REGO), None).await.unwrap();
    let conflict = |result: Result<(), ClusterError>| matches!(result, Err(ClusterError::Conflict { .. }));
    assert!(conflict(cluster.apply(&template_key(), &template(REGO), None).await.map(|_| ())));
    let changed = template(&format!("{REGO}# more\n"));
    let second = cluster.apply(&template_key(), &changed, Some(&first.version)).await.unwrap();
    assert!(conflict(cluster.apply(&template_key(), &changed, Some(&first.version)).await.map(|_| ())));
    assert!(conflict(cluster.delete(&template_key(), &first.version).await));
    cluster.delete(&template_key(), &second.version).await.unwrap();
    assert!(cluster.policies().await.unwrap().is_empty());
    cluster.delete(&template_key(), &second.version).await.expect("gone already is as good as deleted");
}

#[tokio::test]
async fn deleting_a_template_takes_its_constraints_along_also_by_hand() {
    let (folder, cluster) = cluster();
    for by_hand in [false, true] {
        let made = cluster.apply(&template_key(), &template(REGO), None).await.unwrap();
        cluster.apply(&constraint_key(), &constraint(&json!({})), None).await.unwrap();
        if by_hand {
            fs::remove_file(folder.path().join("policies/constrainttemplates/labels.yaml")).unwrap();
            assert!(cluster.policies().await.unwrap().is_empty(), "without its template it is not in force");
            assert_eq!(cluster.collect().await.unwrap(), [constraint_key()]);
        } else {
            cluster.delete(&template_key(), &made.version).await.unwrap();
        }
        assert!(!folder.path().join("policies/constraints/Labels/all.yaml").exists());
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_loaded_is_stored_and_said_to_be() {
    let (_folder, cluster) = cluster();
    cluster.apply(&template_key(), &template("package labels\n\nviolation[x] {\n"), None).await.unwrap();
    let said = cluster.acknowledgement(&template_key()).await.unwrap();
    assert!(matches!(said, Acknowledgement::Failed(_)), "{said:?}");
    cluster.misbehave(template_key(), Some(Fault::NeverAcknowledge));
    assert!(matches!(cluster.acknowledgement(&template_key()).await.unwrap(), Acknowledgement::Pending(_)));
    cluster.misbehave(template_key(), Some(Fault::Refuse("no room".to_owned())));
    assert!(cluster.apply(&template_key(), &template(REGO), None).await.is_err());
}

#[tokio::test]
async fn a_file_made_unreadable_by_hand_is_there_and_can_be_replaced() {
    let (folder, cluster) = cluster();
    cluster.apply(&template_key(), &template(REGO), None).await.unwrap();
    cluster.apply(&constraint_key(), &constraint(&json!({})), None).await.unwrap();
    for path in ["policies/constrainttemplates/labels.yaml", "policies/constraints/Labels/all.yaml"] {
        fs::write(folder.path().join(path), "a: [b\n").unwrap();
    }
    let there = cluster.policies().await.unwrap();
    assert_eq!(there.get(&constraint_key()).unwrap().manifest, Value::Null);
    let version = there.get(&template_key()).expect("known by the kind of its constraints").version.clone();
    cluster.apply(&template_key(), &template(REGO), Some(&version)).await.unwrap();
}

#[tokio::test]
async fn people_annotate_and_one_leads() {
    let (folder, cluster) = cluster();
    cluster.apply(&template_key(), &template(REGO), None).await.unwrap();
    cluster.apply(&constraint_key(), &constraint(&json!({})), None).await.unwrap();
    let changes = BTreeMap::from([("portcullis.dev/hold".to_owned(), Some("because".to_owned()))]);
    assert!(cluster.annotate(&constraint_key(), &changes).await.unwrap());
    let live = cluster.policies().await.unwrap().remove(&constraint_key()).unwrap();
    assert_eq!(live.manifest["metadata"]["annotations"]["portcullis.dev/hold"], "because");
    let absent = ObjectKey::Constraint(ConstraintId::new("Labels", "none"));
    assert!(!cluster.annotate(&absent, &changes).await.unwrap());

    let other = DirectoryCluster::existing(folder.path());
    let leads = cluster.lead().await.unwrap();
    assert!(leads.is_some());
    assert!(other.lead().await.unwrap().is_none(), "never two");
    drop(leads);
    assert!(other.lead().await.unwrap().is_some());
}
