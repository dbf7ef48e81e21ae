//! Policy units: a template with all its constraints.

use std::collections::BTreeMap;

use super::{Bundle, Constraint, Template};

/// A template with all its constraints; an error in one of them refuses them all.
#[derive(Clone, Debug)]
pub struct Unit<'b> {
    /// The kind of the constraints.
    pub kind: String,
    /// The template; `None` where others own it or where it could not be understood.
    pub template: Option<&'b Template>,
    /// The constraints, by name.
    pub constraints: Vec<&'b Constraint>,
    /// Why it is refused: it stays as enforced.
    pub refused: Option<String>,
}

impl Bundle {
    /// The policy units by kind. Refused ones of which nothing could be understood are there as well,
    /// under the name of their template.
    pub fn units(&self) -> BTreeMap<String, Unit<'_>> {
        let mut units: BTreeMap<String, Unit<'_>> = BTreeMap::new();
        let unit = |kind: &str| Unit {
            kind: kind.to_owned(),
            template: None,
            constraints: Vec::new(),
            refused: None,
        };
        for template in &self.templates {
            let kind = &template.spec.kind;
            // Of two templates of one kind, which is an error, the first one stands for the unit.
            units.entry(kind.clone()).or_insert_with(|| unit(kind)).template.get_or_insert(template);
        }
        for constraint in &self.constraints {
            let kind = &constraint.spec.id.kind;
            units.entry(kind.clone()).or_insert_with(|| unit(kind)).constraints.push(constraint);
        }
        for (lower, why) in &self.refused {
            let kinds: Vec<String> =
                units.keys().filter(|kind| kind.to_lowercase() == *lower).cloned().collect();
            if kinds.is_empty() {
                units.insert(lower.clone(), Unit { refused: Some(why.clone()), ..unit(lower) });
            }
            for kind in kinds {
                if let Some(unit) = units.get_mut(&kind) {
                    unit.refused = Some(why.clone());
                }
            }
        }
        for unit in units.values_mut() {
            unit.constraints.sort_by(|a, b| a.spec.id.name.cmp(&b.spec.id.name));
        }
        units
    }
}
