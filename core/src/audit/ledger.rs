//! What was evaluated, and what was not and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::ConstraintId;

/// Why something was not evaluated, by its consequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HoleClass {
    /// Nobody knows the verdict: the run is incomplete for the constraint.
    Unknown,
    /// Evaluated, but Gatekeeper does not enforce there: makes nothing incomplete.
    NotEnforced,
}

/// One kind of hole and how often it occurred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Hole {
    /// Consequence.
    pub class: HoleClass,
    /// What happened, in words, with the place where known.
    pub reason: String,
    /// Objects (or files) concerned.
    pub count: u64,
}

/// One constraint against one kind of object; the JSON form is the one of `portcullis audit -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRow {
    /// The constraint.
    pub constraint: ConstraintId,
    /// API group of the objects, `*` where the hole touches every kind.
    pub group: String,
    /// Kind of the objects, `*` where the hole touches every kind.
    pub kind: String,
    /// Objects that matched and were evaluated.
    pub evaluated: u64,
    /// Objects with at least one violation, exempt ones apart.
    pub violated: u64,
    /// Objects with violations that are all excused.
    pub exempt: u64,
    /// Objects whose match or evaluation failed.
    pub errors: u64,
    /// What was not evaluated.
    pub holes: Vec<Hole>,
}

/// The ledger of one run; merges associatively, so workers keep their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    rows: BTreeMap<(ConstraintId, String, String), Counts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    evaluated: u64,
    violated: u64,
    exempt: u64,
    errors: u64,
    holes: BTreeMap<(HoleClass, String), u64>,
}

/// Stands for every constraint, group or kind.
const ALL: &str = "*";

impl Ledger {
    fn counts(&mut self, constraint: &ConstraintId, group: &str, kind: &str) -> &mut Counts {
        self.rows.entry((constraint.clone(), group.to_owned(), kind.to_owned())).or_default()
    }

    /// An object matched and was evaluated.
    pub fn evaluated(&mut self, constraint: &ConstraintId, group: &str, kind: &str) {
        self.counts(constraint, group, kind).evaluated += 1;
    }

    /// An evaluated object violates, and is not excused.
    pub fn violated(&mut self, constraint: &ConstraintId, group: &str, kind: &str) {
        self.counts(constraint, group, kind).violated += 1;
    }

    /// An object violates or fails, and is excused.
    pub fn exempt(&mut self, constraint: &ConstraintId, group: &str, kind: &str) {
        self.counts(constraint, group, kind).exempt += 1;
    }

    /// Match or evaluation of an object failed, for this reason; nobody knows the verdict.
    pub fn error(&mut self, constraint: &ConstraintId, group: &str, kind: &str, reason: &str) {
        self.counts(constraint, group, kind).errors += 1;
        self.hole(constraint, group, kind, HoleClass::Unknown, reason, 1);
    }

    /// So many objects were not evaluated, or are not enforced, for this reason.
    pub fn hole(
        &mut self,
        constraint: &ConstraintId,
        group: &str,
        kind: &str,
        class: HoleClass,
        reason: &str,
        count: u64,
    ) {
        *self.counts(constraint, group, kind).holes.entry((class, reason.to_owned())).or_default() += count;
    }

    /// Something was not evaluated by one constraint, whatever its kind: the row of `*` kinds.
    pub fn hole_of_constraint(&mut self, constraint: &ConstraintId, reason: &str) {
        self.hole(constraint, ALL, ALL, HoleClass::Unknown, reason, 1);
    }

    /// Something could not be read, so that no constraint knows all: the row of the constraint `*/*`.
    pub fn hole_everywhere(&mut self, reason: &str) {
        self.hole(&ConstraintId::new(ALL, ALL), ALL, ALL, HoleClass::Unknown, reason, 1);
    }

    /// Adds what another worker has seen.
    pub fn merge(&mut self, other: Self) {
        for (key, from) in other.rows {
            let into = self.rows.entry(key).or_default();
            into.evaluated += from.evaluated;
            into.violated += from.violated;
            into.exempt += from.exempt;
            into.errors += from.errors;
            for (hole, count) in from.holes {
                *into.holes.entry(hole).or_default() += count;
            }
        }
    }

    /// Whether every verdict of the run is known.
    pub fn complete(&self) -> bool {
        self.rows.values().all(Counts::is_complete)
    }

    /// Whether every verdict of this constraint is known.
    pub fn complete_for(&self, constraint: &ConstraintId) -> bool {
        self.touching(constraint).all(|(_, counts)| counts.is_complete())
    }

    /// Whether every verdict of this constraint on objects of this kind is known.
    pub fn complete_for_kind(&self, constraint: &ConstraintId, group: &str, kind: &str) -> bool {
        self.touching(constraint)
            .filter(|((_, g, k), _)| (g == ALL && k == ALL) || (g == group && k == kind))
            .all(|(_, counts)| counts.is_complete())
    }

    /// What is unknown for this constraint: reasons and how often, holes of every constraint included.
    pub fn unknown_for(&self, constraint: &ConstraintId) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        for (_, counts) in self.touching(constraint) {
            for ((class, reason), count) in &counts.holes {
                if *class == HoleClass::Unknown {
                    *reasons.entry(reason.clone()).or_default() += count;
                }
            }
        }
        reasons
    }

    fn touching<'a>(
        &'a self,
        constraint: &'a ConstraintId,
    ) -> impl Iterator<Item = (&'a (ConstraintId, String, String), &'a Counts)> {
        let of = |id: ConstraintId| {
            let from = (id, String::new(), String::new());
            let id = from.0.clone();
            self.rows.range(from..).take_while(move |((other, _, _), _)| *other == id)
        };
        of(constraint.clone()).chain(of(ConstraintId::new(ALL, ALL)))
    }

    /// The rows, sorted by constraint, group and kind.
    pub fn rows(&self) -> Vec<LedgerRow> {
        self.rows
            .iter()
            .map(|((constraint, group, kind), counts)| LedgerRow {
                constraint: constraint.clone(),
                group: group.clone(),
                kind: kind.clone(),
                evaluated: counts.evaluated,
                violated: counts.violated,
                exempt: counts.exempt,
                errors: counts.errors,
                holes: counts
                    .holes
                    .iter()
                    .map(|((class, reason), count)| Hole {
                        class: *class,
                        reason: reason.clone(),
                        count: *count,
                    })
                    .collect(),
            })
            .collect()
    }

    /// The ledger these rows came from.
    pub fn from_rows(rows: impl IntoIterator<Item = LedgerRow>) -> Self {
        let mut ledger = Self::default();
        for row in rows {
            let counts = ledger.counts(&row.constraint, &row.group, &row.kind);
            counts.evaluated += row.evaluated;
            counts.violated += row.violated;
            counts.exempt += row.exempt;
            counts.errors += row.errors;
            for hole in row.holes {
                *counts.holes.entry((hole.class, hole.reason)).or_default() += hole.count;
            }
        }
        ledger
    }
}

impl Counts {
    fn is_complete(&self) -> bool {
        self.holes.keys().all(|(class, _)| *class != HoleClass::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HoleClass, Ledger};
    use crate::identity::ConstraintId;

    #[derive(Clone, Debug)]
    enum Step {
        Evaluated(u8, u8),
        Violated(u8, u8),
        Exempt(u8, u8),
        Error(u8, u8),
        NotEnforced(u8, u8),
        Everywhere(u8),
    }

    fn id(number: u8) -> ConstraintId {
        ConstraintId::new("K", format!("c{number}"))
    }

    fn apply(ledger: &mut Ledger, step: &Step) {
        let kind = |number: u8| format!("Kind{number}");
        match *step {
            Step::Evaluated(c, k) => ledger.evaluated(&id(c), "", &kind(k)),
            Step::Violated(c, k) => ledger.violated(&id(c), "", &kind(k)),
            Step::Exempt(c, k) => ledger.exempt(&id(c), "", &kind(k)),
            Step::Error(c, k) => ledger.error(&id(c), "", &kind(k), "failed"),
            Step::NotEnforced(c, k) => ledger.hole(&id(c), "", &kind(k), HoleClass::NotEnforced, "label", 2),
            Step::Everywhere(f) => ledger.hole_everywhere(&format!("file{f}")),
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let pair = || (0_u8..3, 0_u8..3);
        proptest::collection::vec(
            prop_oneof![
                pair().prop_map(|(c, k)| Step::Evaluated(c, k)),
                pair().prop_map(|(c, k)| Step::Violated(c, k)),
                pair().prop_map(|(c, k)| Step::Exempt(c, k)),
                pair().prop_map(|(c, k)| Step::Error(c, k)),
                pair().prop_map(|(c, k)| Step::NotEnforced(c, k)),
                (0_u8..3).prop_map(Step::Everywhere),
            ],
            0..20,
        )
    }

    fn of(steps: &[Step]) -> Ledger {
        let mut ledger = Ledger::default();
        steps.iter().for_each(|step| apply(&mut ledger, step));
        ledger
    }

    proptest! {
        #[test]
        fn merging_workers_is_the_same_as_one_worker(a in steps(), b in steps(), c in steps()) {
            let whole = of(&[a.clone(), b.clone(), c.clone()].concat());
            let mut left = of(&a);
            left.merge(of(&b));
            left.merge(of(&c));
            let mut right = of(&c);
            right.merge(of(&b));
            right.merge(of(&a));
            prop_assert_eq!(&left, &whole);
            prop_assert_eq!(&right, &whole);
        }

        #[test]
        fn rows_carry_the_whole_ledger(steps in steps()) {
            let ledger = of(&steps);
            prop_assert_eq!(Ledger::from_rows(ledger.rows()), ledger);
        }

        #[test]
        fn a_run_is_complete_where_every_constraint_is(steps in steps()) {
            let ledger = of(&steps);
            let each = (0..3).all(|number| ledger.complete_for(&id(number)));
            prop_assert_eq!(ledger.complete(), each);
        }
    }

    #[test]
    fn an_unknown_hole_touches_its_constraint_and_kind_alone() {
        let mut ledger = Ledger::default();
        ledger.evaluated(&id(1), "", "Pod");
        ledger.error(&id(2), "", "Pod", "failed");
        ledger.hole(&id(3), "", "Pod", HoleClass::NotEnforced, "ignore label", 1);
        assert!(ledger.complete_for(&id(1)));
        assert!(!ledger.complete_for(&id(2)));
        assert!(ledger.complete_for_kind(&id(2), "apps", "Deployment"));
        assert!(!ledger.complete_for_kind(&id(2), "", "Pod"));
        assert!(ledger.complete_for(&id(3)));
        assert!(!ledger.complete());
    }

    #[test]
    fn an_unreadable_file_touches_every_constraint() {
        let mut ledger = Ledger::default();
        ledger.evaluated(&id(1), "", "Pod");
        ledger.hole_everywhere("a.yaml:3: broken");
        assert!(!ledger.complete_for(&id(1)));
        assert!(!ledger.complete_for(&id(9)));
        assert!(!ledger.complete_for_kind(&id(1), "apps", "Deployment"));
        assert_eq!(
            ledger.unknown_for(&id(1)).into_iter().collect::<Vec<_>>(),
            [("a.yaml:3: broken".to_owned(), 1)]
        );
    }
}
