//! What a ConstraintTemplate says, read from its JSON form.

use serde_json::Value;

/// The Rego language version of a template's modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegoVersion {
    /// `targets[].rego`, or `code` whose version is `v0` or absent.
    V0,
    /// `code` whose version is `v1`.
    V1,
}

/// One Rego module and where it stands in the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// JSON pointer of the text in the template, for example `/spec/targets/0/rego`.
    pub pointer: String,
    /// The Rego text.
    pub text: String,
}

/// The Rego of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegoSource {
    /// The language version of all modules.
    pub version: RegoVersion,
    /// The module with `violation`.
    pub entry: Module,
    /// The libraries, packages `lib.*`, in the order written.
    pub libs: Vec<Module>,
}

/// A ConstraintTemplate, as far as verdicts depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateSpec {
    /// `metadata.name`.
    pub name: String,
    /// `spec.crd.spec.names.kind`: the kind of its constraints.
    pub kind: String,
    /// The Rego, if it has any.
    pub rego: Option<RegoSource>,
    /// The `source` of a `K8sNativeValidation` engine (CEL), if it has one.
    pub cel: Option<Value>,
    /// `spec.crd.spec.validation.openAPIV3Schema`: the schema of `spec.parameters`.
    pub schema: Option<Value>,
    /// `spec.crd.spec.validation.legacySchema`, `true` in `v1beta1` and older where unset.
    pub legacy_schema: bool,
    /// `spec.targets[0].operations`, as written.
    pub operations: Vec<String>,
}

/// A template that cannot be understood at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// JSON pointer of the part that is wrong.
    pub pointer: String,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
