//! What a match is asked about, and the answers it can give.

use std::{collections::BTreeMap, fmt};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Whose reading of a manifest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// As admission and Gatekeeper's audit see objects of a cluster.
    #[default]
    Cluster,
    /// As `gator test` sees files: an object without a namespace lies in a nameless Namespace without labels,
    /// and `default` exists.
    Gator,
}

/// Whether an object was written or made by an ExpansionTemplate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Written.
    #[default]
    Original,
    /// Expanded from a generator.
    Generated,
}

/// An object, as far as a match looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// API group, empty for the core group.
    pub group: &'a str,
    /// Kind.
    pub kind: &'a str,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.generateName`.
    pub generate_name: &'a str,
    /// `metadata.labels`.
    pub labels: &'a Labels,
    /// The labels of the namespace; `None` where there is no namespace or it is unknown.
    pub namespace_labels: Option<&'a Labels>,
    /// Written or expanded.
    pub origin: Origin,
}

impl Candidate<'_> {
    /// Whether the object is itself a Namespace.
    pub fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }
}

/// The field of the match that left an object out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// `kinds`.
    Kinds,
    /// `scope`.
    Scope,
    /// `namespaces`.
    Namespaces,
    /// `excludedNamespaces`.
    ExcludedNamespaces,
    /// `labelSelector`.
    LabelSelector,
    /// `namespaceSelector`.
    NamespaceSelector,
    /// `name`.
    Name,
    /// `source`.
    Source,
}

impl fmt::Display for Mismatch {
    /// The name of the field in `spec.match`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kinds => "kinds",
            Self::Scope => "scope",
            Self::Namespaces => "namespaces",
            Self::ExcludedNamespaces => "excludedNamespaces",
            Self::LabelSelector => "labelSelector",
            Self::NamespaceSelector => "namespaceSelector",
            Self::Name => "name",
            Self::Source => "source",
        })
    }
}

/// Whether a constraint is about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is.
    Applies,
    /// It is not, and the first field that says so.
    Differs(Mismatch),
}

impl Outcome {
    /// Whether it is about the object.
    pub fn applies(self) -> bool {
        self == Self::Applies
    }
}
