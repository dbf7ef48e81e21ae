//! What judging one object needs to know of the others: namespaces, controllers, the scope of kinds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regorus::Value;

use super::{
    Object, Subject,
    object::{NAMESPACE_NAME_LABEL, Owner, controller_of, get, text},
};
use crate::{
    identity::GroupVersionKind,
    scope::{KindScope, Labels, Semantics, kinds::scope_of},
};

/// At most so many controllers are remembered; beyond, the direct owner is the subject.
const MAX_OWNERS: usize = 200_000;

/// No chain of controllers is longer; a loop ends here.
const MAX_CHAIN: usize = 8;

/// What is known of the objects around, gathered before the first is judged. It holds all Namespaces, and
/// one small entry for each object but Pods that has a controller (ReplicaSets, Jobs and their like), up to
/// a bound, so that it stays small beside any number of Pods.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    semantics: Semantics,
    namespaces: BTreeMap<String, Namespace>,
    owners: HashMap<OwnedKey, Owner>,
    namespaced_kinds: BTreeSet<(String, String)>,
}

#[derive(Clone, Debug)]
struct Namespace {
    labels: Labels,
    /// As `namespaceObject` shows it.
    object: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OwnedKey {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

impl Surroundings {
    /// Nothing known yet.
    pub fn new(semantics: Semantics) -> Self {
        Self { semantics, ..Self::default() }
    }

    /// Whether an object of this kind can tell anything here: a Namespace, a kind whose scope is not in
    /// the built-in table, or, where it carries `ownerReferences`, any kind but Pods.
    pub fn wants(group: &str, kind: &str, has_owner: bool) -> bool {
        match scope_of(group, kind) {
            None => true,
            Some(_) => (group.is_empty() && kind == "Namespace") || (has_owner && kind != "Pod"),
        }
    }

    /// Takes from an object what others may need. Objects without apiVersion, kind or name tell nothing.
    pub fn note(&mut self, value: &Value, default_namespace: &str) {
        let (Some(api_version), Some(kind)) = (text(value, "apiVersion"), text(value, "kind")) else {
            return;
        };
        let Some(metadata) = get(value, "metadata") else { return };
        let Some(name) = text(metadata, "name") else { return };
        let gvk = GroupVersionKind::new(api_version, kind);
        if gvk.group.is_empty() && gvk.kind == "Namespace" {
            self.note_namespace(name, value, metadata);
            return;
        }
        let written = text(metadata, "namespace").unwrap_or("");
        if !written.is_empty() && scope_of(&gvk.group, &gvk.kind).is_none() {
            self.namespaced_kinds.insert((gvk.group.clone(), gvk.kind.clone()));
        }
        let is_pod = gvk.group.is_empty() && gvk.kind == "Pod";
        if !is_pod
            && self.owners.len() < MAX_OWNERS
            && let Some(owner) = controller_of(metadata)
        {
            let cluster_scoped = scope_of(&gvk.group, &gvk.kind) == Some(KindScope::Cluster);
            let namespace = match written {
                _ if cluster_scoped => "",
                "" if self.semantics == Semantics::Cluster => default_namespace,
                written => written,
            };
            let key = OwnedKey {
                group: gvk.group,
                kind: gvk.kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            self.owners.insert(key, owner);
        }
    }

    fn note_namespace(&mut self, name: &str, value: &Value, metadata: &Value) {
        let written = get(metadata, "labels").and_then(|labels| labels.as_object().ok());
        let mut labels = Labels::new();
        for (key, value) in written.into_iter().flatten() {
            // A Namespace whose labels are no texts is unreadable, and so is unknown.
            let (Value::String(key), Value::String(text)) = (key, value) else { return };
            labels.insert(key.to_string(), text.to_string());
        }
        if self.semantics == Semantics::Cluster {
            labels.entry(NAMESPACE_NAME_LABEL.to_owned()).or_insert_with(|| name.to_owned());
        }
        let object = namespace_object(value, metadata, &labels);
        self.namespaces.insert(name.to_owned(), Namespace { labels, object });
    }

    /// Adds what was gathered elsewhere; of a Namespace that stands twice the later one counts.
    pub fn merge(&mut self, other: Self) {
        self.namespaces.extend(other.namespaces);
        self.namespaced_kinds.extend(other.namespaced_kinds);
        let room = MAX_OWNERS.saturating_sub(self.owners.len());
        self.owners.extend(other.owners.into_iter().take(room));
    }

    /// The scope of a kind: by the built-in table; an unknown kind is namespaced where any of its objects
    /// names a namespace.
    pub fn scope_of(&self, group: &str, kind: &str) -> KindScope {
        scope_of(group, kind).unwrap_or_else(|| {
            let known = self.namespaced_kinds.contains(&(group.to_owned(), kind.to_owned()));
            if known { KindScope::Namespaced } else { KindScope::Cluster }
        })
    }

    /// The labels of a namespace, `None` where nobody knows it.
    pub fn namespace_labels(&self, name: &str) -> Option<&Labels> {
        self.namespaces.get(name).map(|namespace| &namespace.labels)
    }

    /// A namespace as `input.review.namespaceObject` shows it.
    pub fn namespace_object(&self, name: &str) -> Option<Value> {
        self.namespaces.get(name).map(|namespace| namespace.object.clone())
    }

    /// The names of the known namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(String::as_str)
    }

    /// Who has to act: the topmost controller that can be followed from the object, else the object. Where
    /// a controller is not among the objects, it is itself the topmost one.
    pub fn subject(&self, object: &Object) -> Subject {
        let reference = object.reference();
        let mut subject = Subject {
            group: reference.group,
            kind: reference.kind,
            namespace: reference.namespace,
            name: reference.name,
        };
        let mut next = object.controller.clone();
        for _ in 0..MAX_CHAIN {
            let Some(owner) = next else { break };
            // A controller lies in the namespace of what it owns, unless it is cluster-scoped (a Node).
            if scope_of(&owner.group, &owner.kind) == Some(KindScope::Cluster) {
                subject.namespace.clear();
            }
            let key = OwnedKey {
                group: owner.group,
                kind: owner.kind,
                namespace: subject.namespace.clone(),
                name: owner.name,
            };
            next = self.owners.get(&key).cloned();
            subject = Subject { group: key.group, kind: key.kind, namespace: key.namespace, name: key.name };
        }
        subject
    }
}

/// A Namespace as Gatekeeper passes it to policies: without apiVersion and kind, with spec and status.
fn namespace_object(value: &Value, metadata: &Value, labels: &Labels) -> Value {
    let string = |text: &str| Value::String(text.into());
    let mut metadata = metadata.clone();
    if let Ok(fields) = metadata.as_object_mut()
        && !labels.is_empty()
    {
        let labels: BTreeMap<Value, Value> = labels.iter().map(|(k, v)| (string(k), string(v))).collect();
        fields.insert(string("labels"), Value::from(labels));
    }
    let part = |key: &str| match get(value, key) {
        Some(part @ Value::Object(_)) => part.clone(),
        _ => Value::new_object(),
    };
    Value::from(BTreeMap::from([
        (string("metadata"), metadata),
        (string("spec"), part("spec")),
        (string("status"), part("status")),
    ]))
}

#[cfg(test)]
mod tests {
    use regorus::Value;
    use serde_json::{Value as Json, json};

    use super::Surroundings;
    use crate::{
        audit::{Object, Placement},
        scope::{KindScope, Semantics},
    };

    fn owned(api_version: &str, kind: &str, name: &str, owner: Option<(&str, &str, &str)>) -> Json {
        let owners: Vec<Json> = owner
            .map(|(api, kind, name)| json!({"apiVersion": api, "kind": kind, "name": name, "controller": true}))
            .into_iter()
            .collect();
        json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": "shop", "ownerReferences": owners}})
    }

    fn subject(known: &[Json], of: &Json) -> String {
        let mut surroundings = Surroundings::new(Semantics::Cluster);
        known.iter().for_each(|json| surroundings.note(&Value::from(json.clone()), "default"));
        let placement = Placement {
            semantics: Semantics::Cluster,
            default_namespace: "default",
            surroundings: &surroundings,
        };
        let object = Object::new(Value::from(of.clone()), String::new(), &placement).unwrap();
        surroundings.subject(&object).to_string()
    }

    #[test]
    fn the_subject_is_the_topmost_controller_that_is_known() {
        let set = owned("apps/v1", "ReplicaSet", "cart-7d9", Some(("apps/v1", "Deployment", "cart")));
        let deployment = owned("apps/v1", "Deployment", "cart", None);
        let pod = owned("v1", "Pod", "cart-7d9-x", Some(("apps/v1", "ReplicaSet", "cart-7d9")));
        assert_eq!(subject(&[set.clone(), deployment.clone(), pod.clone()], &pod), "Deployment shop/cart");
        assert_eq!(subject(&[], &pod), "ReplicaSet shop/cart-7d9");
        assert_eq!(subject(std::slice::from_ref(&set), &set), "Deployment shop/cart");
        assert_eq!(subject(&[], &deployment), "Deployment shop/cart");
        let managed = owned("apps/v1", "Deployment", "cart", Some(("x.io/v1", "Shop", "main")));
        assert_eq!(subject(&[set, managed, pod.clone()], &pod), "Shop shop/main");
    }

    #[test]
    fn a_node_is_a_subject_without_namespace_and_a_loop_ends() {
        let mirror = owned("v1", "Pod", "etcd", Some(("v1", "Node", "n1")));
        assert_eq!(subject(&[], &mirror), "Node n1");
        let a = owned("x.io/v1", "A", "a", Some(("x.io/v1", "B", "b")));
        let b = owned("x.io/v1", "B", "b", Some(("x.io/v1", "A", "a")));
        assert!(["A shop/a", "B shop/b"].contains(&subject(&[a.clone(), b], &a).as_str()));
    }

    #[test]
    fn namespaces_and_unknown_kinds_are_remembered() {
        let mut surroundings = Surroundings::new(Semantics::Cluster);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}}});
        surroundings.note(&Value::from(namespace), "default");
        surroundings.note(&Value::from(owned("x.io/v1", "Shop", "main", None)), "default");
        assert_eq!(surroundings.namespace_labels("shop").unwrap()["a"], "b");
        assert_eq!(surroundings.namespace_labels("other"), None);
        assert_eq!(surroundings.scope_of("x.io", "Shop"), KindScope::Namespaced);
        assert_eq!(surroundings.scope_of("x.io", "Market"), KindScope::Cluster);
        assert_eq!(surroundings.scope_of("", "Pod"), KindScope::Namespaced);
    }
}
