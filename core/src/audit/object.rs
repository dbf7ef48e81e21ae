//! One object, parsed once, with what the audit asks of its metadata.

use std::{collections::BTreeMap, sync::Arc};

use regorus::Value;

use super::{ObjectRef, Surroundings};
use crate::{
    identity::GroupVersionKind,
    scope::{Candidate, KindScope, Labels, Origin, Semantics},
};

/// The label that the API server puts on every Namespace.
pub(super) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// An object and its metadata; the value is shared, a clone costs nothing.
#[derive(Clone, Debug)]
pub struct Object {
    /// Group, version and kind.
    pub gvk: GroupVersionKind,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// `metadata.name`, empty where only `generateName` is given.
    pub name: String,
    /// `metadata.generateName`, empty where absent.
    pub generate_name: String,
    /// `metadata.uid`, empty where absent.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// The owner that says `controller: true`.
    pub controller: Option<Owner>,
    /// A finished Pod or a ReplicaSet scaled to zero: reported, not counted in gates.
    pub uncounted: bool,
    /// Where it stands, `file:line`; empty for objects that come from no file.
    pub source: String,
    /// The object as policies see it.
    pub value: Value,
}

/// A controller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A value that is no object the API server would take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// How a manifest becomes an object of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// Whose reading counts.
    pub semantics: Semantics,
    /// Under cluster semantics, the namespace of namespaced objects that name none.
    pub default_namespace: &'a str,
    /// What is known of the objects around.
    pub surroundings: &'a Surroundings,
}

impl Object {
    /// Takes an object apart. Under cluster semantics the value is completed as the API server would:
    /// a namespaced object without a namespace gets the default one, a cluster-scoped one loses its
    /// own, a Namespace gets the label with its name.
    pub fn new(mut value: Value, source: String, placement: &Placement<'_>) -> Result<Self, Unreadable> {
        let (gvk, name, generate_name) = identity(&value)?;
        let metadata = get(&value, "metadata").ok_or_else(|| Unreadable::new("it has no metadata"))?;
        let mut namespace = optional_text(metadata, "namespace", "metadata.namespace")?;
        let uid = optional_text(metadata, "uid", "metadata.uid")?;
        let mut labels = text_map(metadata, "labels")?;
        text_map(metadata, "annotations")?;
        let controller = controller_of(metadata);
        let uncounted = is_finished(&gvk, &value);

        if placement.semantics == Semantics::Cluster {
            match placement.surroundings.scope_of(&gvk.group, &gvk.kind) {
                KindScope::Namespaced if namespace.is_empty() => {
                    placement.default_namespace.clone_into(&mut namespace);
                    set_metadata(&mut value, "namespace", Some(Value::String(namespace.as_str().into())));
                }
                KindScope::Cluster if !namespace.is_empty() => {
                    namespace.clear();
                    set_metadata(&mut value, "namespace", None);
                }
                _ => {}
            }
            if gvk.group.is_empty() && gvk.kind == "Namespace" && !labels.contains_key(NAMESPACE_NAME_LABEL) {
                labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.clone());
                let object: BTreeMap<Value, Value> = labels
                    .iter()
                    .map(|(key, text)| {
                        (Value::String(key.as_str().into()), Value::String(text.as_str().into()))
                    })
                    .collect();
                set_metadata(&mut value, "labels", Some(Value::from(object)));
            }
        }
        Ok(Self { gvk, namespace, name, generate_name, uid, labels, controller, uncounted, source, value })
    }

    /// The object as findings name it; one that only has a `generateName` goes by that.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef {
            group: self.gvk.group.clone(),
            version: self.gvk.version.clone(),
            kind: self.gvk.kind.clone(),
            namespace: self.namespace.clone(),
            name: if self.name.is_empty() { self.generate_name.clone() } else { self.name.clone() },
            uid: self.uid.clone(),
        }
    }

    /// The object as a match looks at it.
    pub fn candidate<'a>(&'a self, surroundings: &'a Surroundings) -> Candidate<'a> {
        Candidate {
            group: &self.gvk.group,
            kind: &self.gvk.kind,
            namespace: &self.namespace,
            name: &self.name,
            generate_name: &self.generate_name,
            labels: &self.labels,
            namespace_labels: surroundings.namespace_labels(&self.namespace),
            origin: Origin::Original,
        }
    }

    /// Whether it is a Secret of the core group.
    pub fn is_secret(&self) -> bool {
        self.gvk.group.is_empty() && self.gvk.kind == "Secret"
    }

    /// The namespace exemptions go by: a Namespace's own name, else where the object lies.
    pub fn exemption_namespace(&self) -> &str {
        if self.gvk.group.is_empty() && self.gvk.kind == "Namespace" { &self.name } else { &self.namespace }
    }

    /// `input.review` as Gatekeeper's audit and gator build it, `operation` empty. `namespaceObject` is
    /// `{}` where there is none: that is what Gatekeeper's driver makes of it.
    pub fn review(&self, surroundings: &Surroundings, semantics: Semantics) -> Value {
        let namespace_object = match semantics {
            Semantics::Cluster => surroundings.namespace_object(&self.namespace),
            Semantics::Gator => None,
        };
        let empty = || Value::String("".into());
        let kind = object([
            ("group", Value::String(self.gvk.group.as_str().into())),
            ("version", Value::String(self.gvk.version.as_str().into())),
            ("kind", Value::String(self.gvk.kind.as_str().into())),
        ]);
        let resource = object([("group", empty()), ("version", empty()), ("resource", empty())]);
        let mut fields = vec![
            ("uid", empty()),
            ("kind", kind),
            ("resource", resource),
            ("operation", empty()),
            ("userInfo", Value::new_object()),
            ("object", self.value.clone()),
            ("oldObject", Value::Null),
            ("options", Value::Null),
            ("namespaceObject", namespace_object.unwrap_or_else(Value::new_object)),
        ];
        if !self.name.is_empty() {
            fields.push(("name", Value::String(self.name.as_str().into())));
        }
        if !self.namespace.is_empty() {
            fields.push(("namespace", Value::String(self.namespace.as_str().into())));
        }
        object(fields)
    }
}

/// A mapping of these fields.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let map: BTreeMap<Value, Value> =
        fields.into_iter().map(|(key, value)| (Value::String(key.into()), value)).collect();
    Value::from(map)
}

/// The value of a key of a mapping.
pub(super) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.as_object().ok()?.get(&Value::String(key.into()))
}

/// The text of a key of a mapping.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    match get(value, key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn identity(value: &Value) -> Result<(GroupVersionKind, String, String), Unreadable> {
    if value.as_object().is_err() {
        return Err(Unreadable::new("it is not a mapping"));
    }
    let api_version = text(value, "apiVersion").filter(|text| !text.is_empty());
    let kind = text(value, "kind").filter(|text| !text.is_empty());
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        return Err(Unreadable::new("it has no apiVersion and kind"));
    };
    let gvk = GroupVersionKind::new(api_version, kind);
    let of_metadata = |key: &str, path: &str| match get(value, "metadata") {
        Some(metadata) => optional_text(metadata, key, path),
        None => Ok(String::new()),
    };
    let name = of_metadata("name", "metadata.name")?;
    let generate_name = of_metadata("generateName", "metadata.generateName")?;
    if name.is_empty() && generate_name.is_empty() {
        return Err(Unreadable::new(format!("the {kind} has no metadata.name")));
    }
    Ok((gvk, name, generate_name))
}

fn optional_text(metadata: &Value, key: &str, path: &str) -> Result<String, Unreadable> {
    match get(metadata, key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(_) => Err(Unreadable::new(format!("{path} is not a text: put it in quotes"))),
    }
}

fn text_map(metadata: &Value, key: &str) -> Result<Labels, Unreadable> {
    let map = match get(metadata, key) {
        None | Some(Value::Null) => return Ok(Labels::new()),
        Some(value) => {
            value.as_object().map_err(|_| Unreadable::new(format!("metadata.{key} is not a mapping")))?
        }
    };
    map.iter()
        .map(|(name, value)| match (name, value) {
            (Value::String(name), Value::String(text)) => Ok((name.to_string(), text.to_string())),
            (name, _) => {
                let name = if let Value::String(name) = name { name.to_string() } else { name.to_string() };
                Err(Unreadable::new(format!(
                    "metadata.{key} holds something else than a text at `{name}`: put it in quotes"
                )))
            }
        })
        .collect()
}

/// The owner that says `controller: true`.
pub(super) fn controller_of(metadata: &Value) -> Option<Owner> {
    let references = get(metadata, "ownerReferences")?.as_array().ok()?;
    let reference = references.iter().find(|r| matches!(get(r, "controller"), Some(Value::Bool(true))))?;
    let gvk = GroupVersionKind::new(text(reference, "apiVersion")?, text(reference, "kind")?);
    Some(Owner { group: gvk.group, kind: gvk.kind, name: text(reference, "name")?.to_owned() })
}

/// A Pod that ran to its end, or a ReplicaSet scaled to zero.
fn is_finished(gvk: &GroupVersionKind, value: &Value) -> bool {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => {
            let phase = get(value, "status").and_then(|status| text(status, "phase"));
            matches!(phase, Some("Succeeded" | "Failed"))
        }
        ("apps" | "extensions", "ReplicaSet") => {
            let replicas = get(value, "spec").and_then(|spec| get(spec, "replicas"));
            replicas.is_some_and(|replicas| replicas.as_i64().is_ok_and(|count| count == 0))
        }
        _ => false,
    }
}

fn set_metadata(value: &mut Value, key: &str, to: Option<Value>) {
    let Ok(fields) = value.as_object_mut() else { return };
    let Some(Ok(metadata)) = fields.get_mut(&Value::String("metadata".into())).map(Value::as_object_mut)
    else {
        return;
    };
    let key = Value::String(Arc::from(key));
    match to {
        Some(to) => drop(metadata.insert(key, to)),
        None => drop(metadata.remove(&key)),
    }
}

#[cfg(test)]
mod tests {
    use regorus::Value;
    use serde_json::{Value as Json, json};

    use super::{Object, Placement, get, text};
    use crate::{audit::Surroundings, scope::Semantics};

    fn read(json: &Json, semantics: Semantics) -> Result<Object, String> {
        let mut surroundings = Surroundings::new(semantics);
        let custom =
            json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "b"}});
        surroundings.note(&Value::from(custom), "default");
        let placement = Placement { semantics, default_namespace: "shop", surroundings: &surroundings };
        Object::new(Value::from(json.clone()), String::new(), &placement).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_gets_the_namespace_the_cluster_would_give_it() {
        for (json, cluster, gator) in [
            (json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}), "shop", ""),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"}}),
                "b",
                "b",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "namespace": "b"}}),
                "",
                "b",
            ),
            (json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "b"}}), "shop", ""),
            (json!({"apiVersion": "x.io/v1", "kind": "Other", "metadata": {"name": "b"}}), "", ""),
        ] {
            for (semantics, expected) in [(Semantics::Cluster, cluster), (Semantics::Gator, gator)] {
                let object = read(&json, semantics).unwrap();
                assert_eq!(object.namespace, expected, "{json} {semantics:?}");
                let metadata = get(&object.value, "metadata").unwrap();
                assert_eq!(text(metadata, "namespace").unwrap_or(""), expected, "{json} {semantics:?}");
            }
        }
    }

    #[test]
    fn a_namespace_carries_the_label_with_its_name() {
        let json =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "y"}}});
        let object = read(&json, Semantics::Cluster).unwrap();
        assert_eq!(object.labels["kubernetes.io/metadata.name"], "a");
        assert_eq!(object.labels["x"], "y");
        let labels = get(get(&object.value, "metadata").unwrap(), "labels").unwrap();
        assert_eq!(text(labels, "kubernetes.io/metadata.name"), Some("a"));
        assert_eq!(read(&json, Semantics::Gator).unwrap().labels.len(), 1);
    }

    #[test]
    fn what_the_api_server_would_refuse_is_unreadable() {
        for (json, reason) in [
            (json!("text"), "it is not a mapping"),
            (json!({"kind": "Pod", "metadata": {"name": "a"}}), "it has no apiVersion and kind"),
            (
                json!({"apiVersion": "v1", "kind": 5, "metadata": {"name": "a"}}),
                "it has no apiVersion and kind",
            ),
            (json!({"apiVersion": "v1", "kind": "Pod"}), "the Pod has no metadata.name"),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ""}}),
                "the Pod has no metadata.name",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"on": true}}}),
                "metadata.labels holds something else than a text at `on`: put it in quotes",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": {"n": 1}}}),
                "metadata.annotations holds something else than a text at `n`: put it in quotes",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": true}}),
                "metadata.name is not a text: put it in quotes",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": []}}),
                "metadata.labels is not a mapping",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": 1}}),
                "metadata.namespace is not a text: put it in quotes",
            ),
        ] {
            assert_eq!(read(&json, Semantics::Cluster).unwrap_err(), reason, "{json}");
        }
        let generated =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-", "labels": null}});
        assert_eq!(read(&generated, Semantics::Cluster).unwrap().reference().name, "a-");
    }

    #[test]
    fn finished_pods_and_empty_replica_sets_are_uncounted() {
        for (json, expected) in [
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}),
                true,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {"phase": "Failed"}}),
                true,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {"phase": "Running"}}),
                false,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a"}, "spec": {"replicas": 0}}),
                true,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "a"}, "spec": {"replicas": 1}}),
                false,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 0}}),
                false,
            ),
        ] {
            assert_eq!(read(&json, Semantics::Cluster).unwrap().uncounted, expected, "{json}");
        }
    }
}
