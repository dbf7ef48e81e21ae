//! The object of a case as `input.review`, with the fields Gatekeeper would fill.

use serde_json::{Map, Value, json};

use crate::{
    identity::GroupVersionKind,
    scope::{Candidate, Labels, Match, MatchError, Origin, Semantics},
};

/// What a constraint is asked about.
#[derive(Debug)]
pub(super) struct Review {
    /// `input.review`.
    pub input: Value,
    /// The object, and the one it replaces: the constraint applies if it does to either.
    objects: Vec<Matchable>,
    /// The namespace whose labels decide.
    namespace: String,
}

/// The part of an object that a match looks at.
#[derive(Debug)]
struct Matchable {
    kind: GroupVersionKind,
    namespace: String,
    name: String,
    generate_name: String,
    labels: Labels,
}

/// The fields of an AdmissionRequest, `admission.k8s.io/v1`.
const REQUEST: [&str; 15] = [
    "uid",
    "kind",
    "resource",
    "subResource",
    "requestKind",
    "requestResource",
    "requestSubResource",
    "name",
    "namespace",
    "operation",
    "userInfo",
    "object",
    "oldObject",
    "dryRun",
    "options",
];

impl Review {
    /// A Kubernetes object, or an AdmissionReview whose request is taken as it is.
    ///
    /// # Errors
    /// Where gator would refuse the object.
    pub fn new(object: &Value) -> Result<Self, String> {
        let kind = kind_of(object);
        if kind.kind.is_empty() {
            return Err("expected an object with apiVersion and kind, found no kind".to_owned());
        }
        if kind.group == "admission.k8s.io" && kind.kind == "AdmissionReview" {
            return from_admission(object);
        }
        let matchable = Matchable::of(object);
        let mut input = empty_request();
        input.insert("kind".into(), json!({"group": kind.group, "version": kind.version, "kind": kind.kind}));
        for (key, value) in [("name", &matchable.name), ("namespace", &matchable.namespace)] {
            if !value.is_empty() {
                input.insert(key.into(), Value::String(value.clone()));
            }
        }
        input.insert("object".into(), object.clone());
        Ok(Self {
            input: Value::Object(input),
            namespace: matchable.namespace.clone(),
            objects: vec![matchable],
        })
    }

    /// Whether the constraint applies, to the object or to the one it replaces. `namespaces` gives the
    /// labels of a namespace by name, where they are known.
    ///
    /// # Errors
    /// Where nobody can tell, with the name of the object.
    pub fn matches<'l>(
        &self,
        rule: &Match,
        namespaces: impl Fn(&str) -> Option<&'l Labels>,
    ) -> Result<bool, (String, MatchError)> {
        let namespace_labels = if self.namespace.is_empty() { None } else { namespaces(&self.namespace) };
        for object in &self.objects {
            let candidate = Candidate {
                group: &object.kind.group,
                kind: &object.kind.kind,
                namespace: &object.namespace,
                name: &object.name,
                generate_name: &object.generate_name,
                labels: &object.labels,
                namespace_labels,
                origin: Origin::Original,
            };
            // `gator verify` knows no namespace but those of the inventory: what a cluster's audit knows.
            match rule.applies(&candidate, Semantics::Cluster) {
                Ok(outcome) if outcome.applies() => return Ok(true),
                Ok(_) => {}
                Err(error) => return Err((object.name.clone(), error)),
            }
        }
        Ok(false)
    }
}

fn from_admission(review: &Value) -> Result<Review, String> {
    let Some(request) = review.get("request").filter(|request| !request.is_null()) else {
        return Err("the AdmissionReview has no request".to_owned());
    };
    let Value::Object(fields) = request else {
        return Err("expected the request of the AdmissionReview to be a mapping".to_owned());
    };
    if let Some(unknown) = fields.keys().find(|key| !REQUEST.contains(&key.as_str())) {
        return Err(format!("the request of the AdmissionReview has an unknown field `{unknown}`"));
    }
    let mut input = empty_request();
    input.extend(fields.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())));
    if input.get("operation").and_then(Value::as_str) == Some("DELETE") {
        match input.get("oldObject") {
            None | Some(Value::Null) => return Err("a DELETE needs an oldObject".to_owned()),
            Some(old) => {
                let old = old.clone();
                input.insert("object".into(), old);
            }
        }
    }
    let mut objects = Vec::new();
    for key in ["object", "oldObject"] {
        match input.get(key) {
            None | Some(Value::Null) => {}
            Some(object) if kind_of(object).kind.is_empty() => {
                return Err(format!("the {key} of the AdmissionReview has no kind"));
            }
            Some(object) => objects.push(Matchable::of(object)),
        }
    }
    if objects.is_empty() {
        return Err("the AdmissionReview has neither an object nor an oldObject".to_owned());
    }
    let namespace = input.get("namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Review { input: Value::Object(input), objects, namespace })
}

/// The fields that an AdmissionRequest of Gatekeeper always has, and a namespace that gator never gives.
fn empty_request() -> Map<String, Value> {
    let mut request = Map::new();
    for (key, value) in [
        ("uid", json!("")),
        ("kind", json!({"group": "", "version": "", "kind": ""})),
        ("resource", json!({"group": "", "version": "", "resource": ""})),
        ("operation", json!("")),
        ("userInfo", json!({})),
        ("object", Value::Null),
        ("oldObject", Value::Null),
        ("options", Value::Null),
        ("namespaceObject", Value::Null),
    ] {
        request.insert(key.to_owned(), value);
    }
    request
}

fn kind_of(object: &Value) -> GroupVersionKind {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    GroupVersionKind::new(text("apiVersion"), text("kind"))
}

impl Matchable {
    fn of(object: &Value) -> Self {
        let metadata = object.get("metadata");
        let text = |key: &str| {
            metadata.and_then(|meta| meta.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self {
            kind: kind_of(object),
            namespace: text("namespace"),
            name: text("name"),
            generate_name: text("generateName"),
            labels: labels_of(object),
        }
    }
}

/// `metadata.labels`; none at all where one of them is no string, as in Go.
pub(super) fn labels_of(object: &Value) -> Labels {
    let Some(Value::Object(labels)) = object.pointer("/metadata/labels") else { return Labels::new() };
    labels
        .iter()
        .map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())))
        .collect::<Option<Labels>>()
        .unwrap_or_default()
}
