//! Documents against the types they are meant for: every mismatch at once, each with its place.

mod adapt;
mod explain;

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use explain::closest;

use super::Node;
use crate::problem::Span;

/// What a document must look like: the JSON schema of a type, compiled.
#[derive(Debug)]
pub struct Shape {
    schema: Value,
    validator: jsonschema::Validator,
}

/// One way in which a document is not what its type asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON pointer to the value; for an unknown or missing field, to that field.
    pub pointer: String,
    /// The value; the key of an unknown field; the start of the mapping that lacks a field.
    pub span: Span,
    /// Expected and found.
    pub message: String,
    /// What to do, where known.
    pub hint: Option<String>,
}

impl Shape {
    /// The shape of a type. Compiling takes about a millisecond: keep it.
    ///
    /// # Panics
    /// Where the type's own schema is no valid JSON schema, which is a defect of the type.
    #[expect(clippy::expect_used, reason = "a derived schema compiles; a test of the type shows it if not")]
    pub fn of<T: JsonSchema>() -> Self {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let schema = generator.into_root_schema_for::<T>().to_value();
        let validator = jsonschema::validator_for(&schema).expect("the schema of a type compiles");
        Self { schema, validator }
    }

    /// The JSON schema (draft 2020-12).
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The schemas with references followed and choices opened: all that may say something of a value.
    pub fn alternatives<'a>(&'a self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        adapt::alternatives(&self.schema, schemas)
    }

    /// All schemas that may say something of a member of a mapping with these alternatives.
    pub fn members<'a>(&'a self, alternatives: &[&'a Value], key: &str) -> Vec<&'a Value> {
        self.alternatives(&adapt::members(alternatives, key))
    }

    /// The JSON schema as indented text with a line feed at its end.
    pub fn schema_json(&self) -> String {
        format!("{:#}\n", self.schema)
    }

    /// Everything that is wrong with the document, in the order of the file; empty if it fits.
    pub fn check(&self, node: &Node) -> Vec<Mismatch> {
        self.check_adapted(&self.adapt(node))
    }

    /// The document as its type, or everything that is wrong with it.
    pub fn decode<T: DeserializeOwned>(&self, node: &Node) -> Result<T, Vec<Mismatch>> {
        let node = self.adapt(node);
        let mismatches = self.check_adapted(&node);
        if !mismatches.is_empty() {
            return Err(mismatches);
        }
        // What a schema cannot say (a number that overflows) is said by the type itself.
        serde_json::from_value(node.to_json()).map_err(|error| {
            vec![Mismatch { pointer: String::new(), span: node.span, message: error.to_string(), hint: None }]
        })
    }

    /// The document with the words that YAML 1.1 reads as booleans put back where the type has a word
    /// (`demotion: Off`) or a field (`on:`) of that name.
    pub fn adapt(&self, node: &Node) -> Node {
        adapt::adapt(&self.schema, &[&self.schema], node)
    }

    fn check_adapted(&self, node: &Node) -> Vec<Mismatch> {
        let json = node.to_json();
        let explainer = explain::Explainer { schema: &self.schema, node };
        let mut mismatches: Vec<Mismatch> =
            self.validator.iter_errors(&json).flat_map(|error| explainer.explain(&error)).collect();
        mismatches.sort_by(|a, b| (a.span, &a.pointer, &a.message).cmp(&(b.span, &b.pointer, &b.message)));
        mismatches.dedup();
        mismatches
    }
}

/// The document as its type, or everything that is wrong with it; remembers the shape of each type.
pub fn decode<T: DeserializeOwned + JsonSchema + 'static>(node: &Node) -> Result<T, Vec<Mismatch>> {
    // A memo of pure values: the same type always has the same shape.
    static SHAPES: LazyLock<Mutex<HashMap<TypeId, Arc<Shape>>>> = LazyLock::new(Mutex::default);
    let shape = {
        let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
        shapes.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(Shape::of::<T>())).clone()
    };
    shape.decode(node)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::{Mismatch, Shape, decode};
    use crate::{
        document::{Duration, Entry, Node, NodeKind},
        identity::Stage,
        problem::Span,
        rollout::{Demotion, RolloutSpec},
    };

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Source {
        /// Where.
        url: String,
        /// How often.
        #[serde(default)]
        interval: Option<Duration>,
        /// How many.
        #[serde(default)]
        files: u32,
        #[serde(default)]
        token_file: Option<String>,
        #[serde(default)]
        token_env: Option<String>,
        #[serde(default)]
        action: Option<Stage>,
        #[serde(default)]
        on: Vec<Stage>,
    }

    /// Each value on a line of its own: the place tells which one it is.
    fn place(json: &serde_json::Value, line: &mut u32) -> Node {
        *line += 1;
        let span = Span { line: *line, column: 5, length: 1 };
        let kind = match json {
            serde_json::Value::Null => NodeKind::Null,
            serde_json::Value::Bool(value) => NodeKind::Bool(*value),
            serde_json::Value::Number(number) => NodeKind::Number(number.clone()),
            serde_json::Value::String(text) => NodeKind::String(text.clone()),
            serde_json::Value::Array(items) => {
                NodeKind::Sequence(items.iter().map(|item| place(item, line)).collect())
            }
            serde_json::Value::Object(map) => NodeKind::Mapping(
                map.iter()
                    .map(|(key, value)| {
                        let value = place(value, line);
                        let key_span = Span { column: 1, ..value.span };
                        Entry { key: key.clone(), key_span, value }
                    })
                    .collect(),
            ),
        };
        Node { span, kind, block: None }
    }

    fn node(json: &serde_json::Value) -> Node {
        place(json, &mut 0)
    }

    fn lines(mismatches: &[Mismatch]) -> Vec<String> {
        mismatches
            .iter()
            .map(|m| {
                let hint = m.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!("{}:{} {} {}{hint}", m.span.line, m.span.column, m.pointer, m.message)
            })
            .collect()
    }

    fn problems<T: JsonSchema>(json: &serde_json::Value) -> Vec<String> {
        lines(&Shape::of::<T>().check(&node(json)))
    }

    #[test]
    fn all_mismatches_of_a_document_come_at_once_with_their_places() {
        let json = serde_json::json!({
            "action": "denny", "files": -1, "intervall": "30s", "interval": 5, "token": "s3cret"
        });
        assert_eq!(
            problems::<Source>(&json),
            [
                "1:5 /url missing field `url`",
                "2:5 /action expected one of `dryrun`, `warn`, `deny`, found `denny` (did you mean `deny`?)",
                "3:5 /files expected at least 0, found -1",
                "4:5 /interval expected a duration such as 30s, 5m or 14d, found 5 (write `5s` for 5 seconds)",
                "5:1 /intervall unknown field `intervall` (did you mean `interval`? known: action, files, \
                 interval, on, tokenEnv, tokenFile, url)",
                "6:1 /token unknown field `token` (a secret is never written here: use `tokenFile` or `tokenEnv`)",
            ]
        );
    }

    #[test]
    fn a_choice_between_a_word_and_a_mapping_names_both() {
        let stages =
            |gate: serde_json::Value| serde_json::json!({"stages": [{"action": "dryrun", "gate": gate}]});
        assert_eq!(problems::<RolloutSpec>(&stages("None".into())), Vec::<String>::new());
        assert_eq!(
            problems::<RolloutSpec>(&stages("Nonne".into())),
            ["5:5 /stages/0/gate expected `None` or a mapping, found `Nonne` (did you mean `None`?)"]
        );
        assert_eq!(
            problems::<RolloutSpec>(&stages(serde_json::json!({"minAudit": 3}))),
            ["6:1 /stages/0/gate/minAudit unknown field `minAudit` (did you mean `minAudits`? known: \
              maxAuditAge, maxViolations, minAudits)"]
        );
        assert_eq!(
            problems::<RolloutSpec>(&stages(serde_json::json!({"minAudits": "3"}))),
            ["6:5 /stages/0/gate/minAudits expected a whole number, found the text `3`"]
        );
    }

    #[test]
    fn words_that_yaml_reads_as_booleans_are_words_where_the_type_has_them() {
        let spec = node(&serde_json::json!({"stages": [], "demotion": false}));
        assert_eq!(decode::<RolloutSpec>(&spec).unwrap().demotion, Demotion::default());
        let source = node(&serde_json::json!({"url": "x", "true": ["warn"]}));
        assert_eq!(decode::<Source>(&source).unwrap().on, [Stage::Warn]);
        let no = node(&serde_json::json!({"stages": [], "demotion": true}));
        assert_eq!(
            lines(&decode::<RolloutSpec>(&no).unwrap_err()),
            ["2:5 /demotion expected `Off` or a mapping, found true"]
        );
    }

    #[test]
    fn what_the_schema_cannot_say_is_said_by_the_type() {
        let source = node(&serde_json::json!({"url": "x", "files": 5_000_000_000_u64}));
        let mismatches = decode::<Source>(&source).unwrap_err();
        assert!(mismatches[0].message.contains("5000000000"), "{mismatches:?}");
    }
}
