//! The scope of the kinds that Kubernetes itself serves.

/// Whether the objects of a kind lie in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KindScope {
    /// They do.
    Namespaced,
    /// They belong to the cluster.
    Cluster,
}

/// Group, then the namespaced kinds, then the cluster-scoped kinds.
type Group = (&'static str, &'static [&'static str], &'static [&'static str]);

const GROUPS: &[Group] = &[
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
        &["ComponentStatus", "Namespace", "Node", "PersistentVolume"],
    ),
    (
        "admissionregistration.k8s.io",
        &[],
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &[], &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &[], &["APIService"]),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"], &[]),
    ("authentication.k8s.io", &[], &["SelfSubjectReview", "TokenReview"]),
    (
        "authorization.k8s.io",
        &["LocalSubjectAccessReview"],
        &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("autoscaling", &["HorizontalPodAutoscaler"], &[]),
    ("batch", &["CronJob", "Job"], &[]),
    ("certificates.k8s.io", &["PodCertificateRequest"], &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"], &[]),
    ("discovery.k8s.io", &["EndpointSlice"], &[]),
    ("events.k8s.io", &["Event"], &[]),
    (
        "extensions",
        &["DaemonSet", "Deployment", "Ingress", "NetworkPolicy", "ReplicaSet"],
        &["PodSecurityPolicy"],
    ),
    ("flowcontrol.apiserver.k8s.io", &[], &["FlowSchema", "PriorityLevelConfiguration"]),
    ("internal.apiserver.k8s.io", &[], &["StorageVersion"]),
    ("metrics.k8s.io", &["PodMetrics"], &["NodeMetrics"]),
    ("networking.k8s.io", &["Ingress", "NetworkPolicy"], &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &[], &["RuntimeClass"]),
    ("policy", &["Eviction", "PodDisruptionBudget"], &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["Role", "RoleBinding"], &["ClusterRole", "ClusterRoleBinding"]),
    (
        "resource.k8s.io",
        &["ResourceClaim", "ResourceClaimTemplate"],
        &["DeviceClass", "DeviceTaintRule", "ResourceSlice"],
    ),
    ("scheduling.k8s.io", &["Workload"], &["PriorityClass"]),
    (
        "storage.k8s.io",
        &["CSIStorageCapacity"],
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("storagemigration.k8s.io", &[], &["StorageVersionMigration"]),
    ("templates.gatekeeper.sh", &[], &["ConstraintTemplate"]),
    ("config.gatekeeper.sh", &["Config"], &[]),
    ("syncset.gatekeeper.sh", &[], &["SyncSet"]),
    ("expansion.gatekeeper.sh", &[], &["ExpansionTemplate"]),
    ("mutations.gatekeeper.sh", &[], &["Assign", "AssignImage", "AssignMetadata", "ModifySet"]),
    ("externaldata.gatekeeper.sh", &[], &["Provider"]),
    ("connection.gatekeeper.sh", &["Connection"], &[]),
    (
        "status.gatekeeper.sh",
        &[
            "ConfigPodStatus",
            "ConnectionPodStatus",
            "ConstraintPodStatus",
            "ConstraintTemplatePodStatus",
            "ExpansionTemplatePodStatus",
            "MutatorPodStatus",
            "ProviderPodStatus",
        ],
        &[],
    ),
];

/// The scope of a kind of Kubernetes or Gatekeeper, `None` for a kind this table does not know. Every
/// constraint is cluster-scoped.
pub fn scope_of(group: &str, kind: &str) -> Option<KindScope> {
    if group == "constraints.gatekeeper.sh" {
        return Some(KindScope::Cluster);
    }
    let (_, namespaced, cluster) = GROUPS.iter().find(|(name, _, _)| *name == group)?;
    if namespaced.contains(&kind) {
        Some(KindScope::Namespaced)
    } else if cluster.contains(&kind) {
        Some(KindScope::Cluster)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, KindScope, scope_of};

    #[test]
    fn kinds_are_known_by_group_and_kind() {
        assert_eq!(scope_of("", "Pod"), Some(KindScope::Namespaced));
        assert_eq!(scope_of("", "Namespace"), Some(KindScope::Cluster));
        assert_eq!(scope_of("apps", "Deployment"), Some(KindScope::Namespaced));
        assert_eq!(scope_of("rbac.authorization.k8s.io", "ClusterRole"), Some(KindScope::Cluster));
        assert_eq!(scope_of("constraints.gatekeeper.sh", "Anything"), Some(KindScope::Cluster));
        assert_eq!(scope_of("", "Deployment"), None);
        assert_eq!(scope_of("example.com", "Pod"), None);
    }

    #[test]
    fn no_kind_has_two_scopes_and_no_group_stands_twice() {
        for (index, (group, namespaced, cluster)) in GROUPS.iter().enumerate() {
            assert!(!GROUPS.iter().skip(index + 1).any(|(other, _, _)| other == group), "{group}");
            for kind in *namespaced {
                assert!(!cluster.contains(kind), "{group}/{kind}");
            }
        }
    }
}
