//! What a ConstraintTemplate says, read from its JSON form.

use serde_json::{Map, Value};

use super::reading::{self, Misread, boolean, join, list, mapping, shape, string, strings};

/// The one target Gatekeeper has.
const TARGET: &str = "admission.k8s.gatekeeper.sh";

/// The Rego language version of a template's modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegoVersion {
    /// `targets[].rego`, or `code` whose version is anything but `v1`.
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

impl From<Misread> for TemplateError {
    fn from(misread: Misread) -> Self {
        Self { pointer: misread.pointer, message: misread.message, hint: misread.hint }
    }
}

impl TemplateSpec {
    /// Reads `templates.gatekeeper.sh/{v1,v1beta1,v1alpha1}` ConstraintTemplates, the old `rego` and
    /// `libs` and the new `code`. Fields it does not know are left alone.
    ///
    /// # Errors
    /// The first part that cannot be understood, with its JSON pointer.
    pub fn from_json(document: &Value) -> Result<Self, TemplateError> {
        Ok(read(document)?)
    }
}

fn read(document: &Value) -> Result<TemplateSpec, Misread> {
    let Value::Object(root) = document else {
        return Err(Misread::new("", format!("expected a ConstraintTemplate, found {}", shape(document))));
    };
    let legacy_default = match string(root, "", "apiVersion")? {
        Some("templates.gatekeeper.sh/v1") => false,
        Some("templates.gatekeeper.sh/v1beta1" | "templates.gatekeeper.sh/v1alpha1") => true,
        other => {
            return Err(Misread::new(
                "/apiVersion",
                format!("expected templates.gatekeeper.sh/v1, found {}", other.unwrap_or("nothing")),
            )
            .hint("v1, v1beta1 and v1alpha1 are known"));
        }
    };
    match string(root, "", "kind")? {
        Some("ConstraintTemplate") => {}
        other => {
            let found = other.unwrap_or("nothing");
            return Err(Misread::new("/kind", format!("expected ConstraintTemplate, found {found}")));
        }
    }
    let required = |pointer: &str, what: &str| Misread::new(pointer, format!("{what} is missing"));

    let metadata = mapping(root, "", "metadata")?.ok_or_else(|| required("", "metadata"))?;
    let name = string(metadata, "/metadata", "name")?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| required("/metadata", "metadata.name"))?;
    let spec = mapping(root, "", "spec")?.ok_or_else(|| required("", "spec"))?;
    let crd = mapping(spec, "/spec", "crd")?.ok_or_else(|| required("/spec", "spec.crd"))?;
    let crd_spec =
        mapping(crd, "/spec/crd", "spec")?.ok_or_else(|| required("/spec/crd", "spec.crd.spec"))?;
    let names = mapping(crd_spec, "/spec/crd/spec", "names")?
        .ok_or_else(|| required("/spec/crd/spec", "spec.crd.spec.names"))?;
    let kind = string(names, "/spec/crd/spec/names", "kind")?
        .filter(|kind| !kind.is_empty())
        .ok_or_else(|| required("/spec/crd/spec/names", "spec.crd.spec.names.kind"))?;
    if name != kind.to_lowercase() {
        return Err(Misread::new(
            "/metadata/name",
            format!("expected the kind in lower case, `{}`, found `{name}`", kind.to_lowercase()),
        )
        .hint("rename the template, or its kind at spec.crd.spec.names.kind"));
    }

    let (schema, legacy_schema) = match mapping(crd_spec, "/spec/crd/spec", "validation")? {
        None => (None, legacy_default),
        Some(validation) => {
            let place = "/spec/crd/spec/validation";
            let schema = mapping(validation, place, "openAPIV3Schema")?.cloned().map(Value::Object);
            (schema, boolean(validation, place, "legacySchema")?.unwrap_or(legacy_default))
        }
    };

    let targets = list(spec, "/spec", "targets")?.unwrap_or_default();
    let [target] = targets else {
        let message = match targets.len() {
            0 => "spec.targets is missing: expected exactly one target".to_owned(),
            many => format!("expected exactly one target, found {many}"),
        };
        let pointer = if targets.is_empty() { "/spec" } else { "/spec/targets/1" };
        return Err(Misread::new(pointer, message));
    };
    let place = "/spec/targets/0";
    let Value::Object(target) = target else {
        return Err(Misread::new(place, format!("expected a mapping, found {}", shape(target))));
    };
    match string(target, place, "target")? {
        Some(TARGET) => {}
        other => {
            return Err(Misread::new(
                format!("{place}/target"),
                format!("expected {TARGET}, found {}", other.unwrap_or("nothing")),
            ));
        }
    }
    let operations = strings(target, place, "operations")?;
    for (index, operation) in operations.iter().enumerate() {
        if !matches!(operation.as_str(), "*" | "CREATE" | "UPDATE" | "DELETE" | "CONNECT") {
            return Err(Misread::new(
                format!("{place}/operations/{index}"),
                format!("expected CREATE, UPDATE, DELETE, CONNECT or *, found `{operation}`"),
            ));
        }
    }
    let (rego, cel) = read_code(target, place)?;
    if rego.is_none() && cel.is_none() {
        return Err(
            Misread::new(place, "the target has no code").hint("write the policy under `rego` or `code`")
        );
    }
    Ok(TemplateSpec {
        name: name.to_owned(),
        kind: kind.to_owned(),
        rego,
        cel,
        schema,
        legacy_schema,
        operations,
    })
}

fn read_code(
    target: &Map<String, Value>,
    place: &str,
) -> Result<(Option<RegoSource>, Option<Value>), Misread> {
    let mut rego = None;
    let mut cel = None;
    let codes_place = join(place, "code");
    for (index, code) in list(target, place, "code")?.unwrap_or_default().iter().enumerate() {
        let place = join(&codes_place, &index.to_string());
        let Value::Object(code) = code else {
            return Err(Misread::new(place, format!("expected a mapping, found {}", shape(code))));
        };
        let engine = string(code, &place, "engine")?.ok_or_else(|| {
            Misread::new(place.as_str(), "engine is missing").hint("Rego or K8sNativeValidation")
        })?;
        let source_place = join(&place, "source");
        let source = mapping(code, &place, "source")?
            .ok_or_else(|| Misread::new(place.as_str(), "source is missing"))?;
        let twice = || Misread::new(join(&place, "engine"), format!("the engine {engine} has code already"));
        match engine {
            "Rego" if rego.is_some() => return Err(twice()),
            "K8sNativeValidation" if cel.is_some() => return Err(twice()),
            "Rego" => {
                let text = string(source, &source_place, "rego")?
                    .ok_or_else(|| Misread::new(source_place.as_str(), "source.rego is missing"))?;
                let version = match string(source, &source_place, "version")? {
                    None | Some("" | "v0") => RegoVersion::V0,
                    Some("v1") => RegoVersion::V1,
                    Some(other) => {
                        return Err(Misread::new(
                            join(&source_place, "version"),
                            format!("expected v0 or v1, found `{other}`"),
                        )
                        .hint("Gatekeeper takes any other version for v0"));
                    }
                };
                rego = Some(read_rego(source, &source_place, version, text)?);
            }
            "K8sNativeValidation" => cel = Some(Value::Object(source.clone())),
            other => {
                return Err(Misread::new(
                    join(&place, "engine"),
                    format!("expected Rego or K8sNativeValidation, found `{other}`"),
                ));
            }
        }
    }
    if let Some(text) = string(target, place, "rego")?.filter(|text| !text.is_empty()) {
        if rego.is_some() {
            return Err(Misread::new(join(place, "rego"), "the target has Rego under `code` as well")
                .hint("keep one of the two; Gatekeeper takes this one and drops the other"));
        }
        rego = Some(read_rego(target, place, RegoVersion::V0, text)?);
    } else if target.get("libs").is_some_and(|libs| libs.as_array().is_some_and(|libs| !libs.is_empty())) {
        return Err(Misread::new(join(place, "libs"), "libs without rego")
            .hint("with `code`, the libraries belong under source.libs"));
    }
    Ok((rego, cel))
}

fn read_rego(
    source: &Map<String, Value>,
    place: &str,
    version: RegoVersion,
    text: &str,
) -> Result<RegoSource, Misread> {
    let libs_place = join(place, "libs");
    let libs = reading::strings(source, place, "libs")?
        .into_iter()
        .enumerate()
        .map(|(index, text)| Module { pointer: join(&libs_place, &index.to_string()), text })
        .collect();
    Ok(RegoSource { version, entry: Module { pointer: join(place, "rego"), text: text.to_owned() }, libs })
}
