//! The schema of a template's parameters, as the API server applies it to constraints.

mod structural;
mod translate;

use serde_json::Value;

use super::{
    reading::{join, shape},
    template::TemplateSpec,
};

/// Where the schema stands in the template.
const PLACE: &str = "/spec/crd/spec/validation/openAPIV3Schema";

/// The schema of `spec.parameters`, ready to check, default and prune.
#[derive(Debug)]
pub struct ParameterSchema {
    /// As Gatekeeper writes it into the CRD, `legacySchema` applied; `None` where parameters are unknown.
    effective: Option<Value>,
    validator: Option<jsonschema::Validator>,
    kind: String,
}

/// A schema that the API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// JSON pointer in the template.
    pub pointer: String,
    /// What is wrong: expected, found.
    pub message: String,
}

/// Parameters that do not fit the schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaMismatch {
    /// JSON pointer relative to the parameters; empty for the parameters themselves.
    pub pointer: String,
    /// What is wrong: expected, found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ParameterSchema {
    /// The schema of a template's parameters. Without one, a template takes no parameters at all, or,
    /// with `legacySchema` (the default of `v1beta1`), any.
    ///
    /// # Errors
    /// The first thing in the schema that the API server would refuse.
    pub fn new(template: &TemplateSpec) -> Result<Self, SchemaError> {
        let schema = match (&template.schema, template.legacy_schema) {
            (Some(schema), _) => Some(schema.clone()),
            (None, true) => Some(Value::Object(serde_json::Map::new())),
            (None, false) => None,
        };
        let Some(mut effective) = schema else {
            return Ok(Self { effective: None, validator: None, kind: template.kind.clone() });
        };
        if template.legacy_schema {
            structural::preserve_unknown_fields(&mut effective);
        }
        structural::check(&effective, PLACE)?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&translate::json_schema(&effective))
            .map_err(|error| SchemaError {
                pointer: format!("{PLACE}{}", error.instance_path()),
                message: format!("not a usable schema: {error}"),
            })?;
        Ok(Self { effective: Some(effective), validator: Some(validator), kind: template.kind.clone() })
    }

    /// Everything in the parameters (`Null` where absent) that does not fit, unknown fields included.
    pub fn check(&self, parameters: &Value) -> Vec<SchemaMismatch> {
        let mut mismatches = Vec::new();
        if parameters.is_null() {
            return mismatches;
        }
        let (Some(effective), Some(validator)) = (&self.effective, &self.validator) else {
            if parameters.as_object().is_none_or(|map| !map.is_empty()) {
                mismatches.push(SchemaMismatch {
                    pointer: String::new(),
                    message: format!("{} takes no parameters, found {}", self.kind, shape(parameters)),
                    hint: Some("remove them, or describe them in the template's openAPIV3Schema".to_owned()),
                });
            }
            return mismatches;
        };
        let defaulted = structural::default(parameters, effective);
        for error in validator.iter_errors(&defaulted) {
            mismatches.push(translate::mismatch(&error));
        }
        structural::unknown_fields(parameters, effective, "", &mut |parent, key, known| {
            let close = known
                .iter()
                .map(|name| (strsim::damerau_levenshtein(name, key), name))
                .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
                .min();
            mismatches.push(SchemaMismatch {
                pointer: join(parent, key),
                message: format!("parameter `{key}` is not in the schema of {}", self.kind),
                hint: Some(match close {
                    Some((_, name)) => format!("did you mean `{name}`?"),
                    None if known.is_empty() => "nothing is known here".to_owned(),
                    None => format!("known here: {}", known.join(", ")),
                }),
            });
        });
        mismatches.sort();
        mismatches.dedup();
        mismatches
    }

    /// The parameters as Rego sees them: pruned and defaulted as the API server does, `{}` where absent.
    pub fn default_and_prune(&self, parameters: &Value) -> Value {
        match &self.effective {
            None => Value::Object(serde_json::Map::new()),
            Some(schema) => or_empty(&structural::prune(structural::default(parameters, schema), schema)),
        }
    }

    /// The schema in a form in which two that mean the same look the same: documentation dropped,
    /// lists that are sets sorted.
    pub fn normal_form(&self) -> Value {
        self.effective.as_ref().map_or(Value::Null, structural::normal_form)
    }
}

/// Gatekeeper gives a policy `{}` where a constraint has no parameters.
pub(super) fn or_empty(parameters: &Value) -> Value {
    if parameters.is_null() { Value::Object(serde_json::Map::new()) } else { parameters.clone() }
}

#[cfg(test)]
mod tests;
