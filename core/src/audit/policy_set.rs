//! The policies of one run, indexed by the kinds they are about.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use regorus::Value;
use serde_json::Value as Json;

use crate::{
    identity::ConstraintId,
    policy::{Auditability, CompiledTemplate, ConstraintSpec},
    scope::{Exemptions, Match},
};

/// The annotation that says how severe a violation is.
const SEVERITY: &str = "portcullis.dev/severity";

/// One constraint, ready to judge.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The constraint.
    pub id: ConstraintId,
    /// Its template.
    pub template: Arc<CompiledTemplate>,
    /// Its match, as git has it: without what exemptions add.
    pub matching: Match,
    /// Its parameters after defaulting and pruning.
    pub parameters: Value,
    /// The enforcementAction its findings carry.
    pub enforcement_action: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Whether the code looks at the namespace of the object.
    pub(super) reads_namespace: bool,
}

impl Policy {
    /// A constraint with its template. `parameters` are defaulted and pruned by the template's schema,
    /// `Null` for none.
    pub fn new(
        template: Arc<CompiledTemplate>,
        constraint: &ConstraintSpec,
        parameters: &Json,
        enforcement_action: impl Into<String>,
    ) -> Self {
        let severity = constraint
            .annotations
            .get(SEVERITY)
            .map(String::as_str)
            .filter(|severity| matches!(*severity, "low" | "medium" | "high" | "critical"))
            .unwrap_or("medium");
        let reads_namespace = template.spec.rego.iter().any(|rego| {
            std::iter::once(&rego.entry)
                .chain(&rego.libs)
                .any(|module| module.text.contains("namespaceObject"))
        });
        let parameters = match parameters {
            Json::Null => Value::new_object(),
            other => engine_value(other),
        };
        Self {
            id: constraint.id.clone(),
            template,
            matching: Match::parse(&constraint.match_spec).0,
            parameters,
            enforcement_action: enforcement_action.into(),
            severity: severity.to_owned(),
            reads_namespace,
        }
    }

    /// Why the audit cannot judge by it, `None` where it can.
    pub fn not_auditable(&self) -> Option<String> {
        match &self.template.auditability {
            Auditability::Auditable => None,
            Auditability::NotYet { reasons } => Some(reasons.join(", ")),
        }
    }
}

/// JSON as the policy engine takes it.
pub(crate) fn engine_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(float)) => Value::from(float),
            (None, None) => Value::Undefined,
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::from(items.iter().map(engine_value).collect::<Vec<_>>()),
        Json::Object(fields) => Value::from(
            fields
                .iter()
                .map(|(key, value)| (Value::String(key.as_str().into()), engine_value(value)))
                .collect::<std::collections::BTreeMap<_, _>>(),
        ),
    }
}

/// The policies of one run with what excuses from them. Shared by the workers.
#[derive(Debug, Default)]
pub struct PolicySet {
    policies: Vec<Policy>,
    /// For each policy the number of its template.
    templates: Vec<usize>,
    template_count: usize,
    /// Policies by group and kind, where `None` stands for all.
    index: HashMap<(Option<String>, Option<String>), Vec<usize>>,
    exemptions: Exemptions,
    exclude_kinds: BTreeSet<String>,
    refused: Vec<(ConstraintId, String)>,
}

impl PolicySet {
    /// Indexes the policies; they are sorted by constraint.
    pub fn new(mut policies: Vec<Policy>, exemptions: Exemptions) -> Self {
        policies.sort_by(|a, b| a.id.cmp(&b.id));
        let mut numbers: HashMap<*const CompiledTemplate, usize> = HashMap::new();
        let mut index: HashMap<(Option<String>, Option<String>), Vec<usize>> = HashMap::new();
        let mut templates = Vec::with_capacity(policies.len());
        for (number, policy) in policies.iter().enumerate() {
            let next = numbers.len();
            templates.push(*numbers.entry(Arc::as_ptr(&policy.template)).or_insert(next));
            for pattern in policy.matching.kinds() {
                let key = (pattern.group.map(str::to_owned), pattern.kind.map(str::to_owned));
                index.entry(key).or_default().push(number);
            }
        }
        let template_count = numbers.len();
        Self { policies, templates, template_count, index, exemptions, ..Self::default() }
    }

    /// Kinds that only a constraint judges that names them, such as Event.
    #[must_use]
    pub fn exclude_kinds(mut self, kinds: impl IntoIterator<Item = String>) -> Self {
        self.exclude_kinds = kinds.into_iter().collect();
        self
    }

    /// Constraints that cannot judge anything, each with the reason; nobody knows their verdicts.
    #[must_use]
    pub fn refused(mut self, refused: impl IntoIterator<Item = (ConstraintId, String)>) -> Self {
        self.refused = refused.into_iter().collect();
        self
    }

    /// The policies, sorted by constraint.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The exemptions in force.
    pub fn exemptions(&self) -> &Exemptions {
        &self.exemptions
    }

    /// Constraints without verdicts, with reasons.
    pub fn refused_constraints(&self) -> &[(ConstraintId, String)] {
        &self.refused
    }

    /// How many templates the policies have.
    pub(super) fn template_count(&self) -> usize {
        self.template_count
    }

    /// A policy and the number of its template.
    pub(super) fn policy(&self, number: usize) -> Option<(&Policy, usize)> {
        Some((self.policies.get(number)?, *self.templates.get(number)?))
    }

    /// The policies that may be about a kind, in order.
    pub(super) fn candidates(&self, group: &str, kind: &str, exclude: bool) -> Vec<usize> {
        let mut numbers = Vec::new();
        for group in [Some(group.to_owned()), None] {
            for kind in [Some(kind.to_owned()), None] {
                numbers.extend(self.index.get(&(group.clone(), kind)).into_iter().flatten().copied());
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let secret = group.is_empty() && kind == "Secret";
        if exclude && (secret || self.exclude_kinds.contains(kind)) {
            numbers.retain(|number| {
                self.policies.get(*number).is_some_and(|policy| policy.matching.names_kind(group, kind))
            });
        }
        numbers
    }
}
