//! Which of several Rollouts is about a constraint most closely.

use super::Rollout;
use crate::{policy::ConstraintSpec, rollout::RolloutMatch, scope::Glob};

/// How closely a Rollout matches, the closest last: literal name, name glob, labels, literal kind,
/// kind glob, `*`.
pub(super) type Rank = [bool; 5];

/// The rank of a match for a constraint, `None` where it is not about it.
pub(super) fn rank(rule: &RolloutMatch, constraint: &ConstraintSpec) -> Option<Rank> {
    let (literal_name, name_glob) = closeness(&rule.names, &constraint.id.name)?;
    let (literal_kind, kind_glob) = closeness(&rule.kinds, &constraint.id.kind)?;
    let labels = rule.labels.iter().all(|(key, value)| constraint.labels.get(key) == Some(value));
    labels.then_some([literal_name, name_glob, !rule.labels.is_empty(), literal_kind, kind_glob])
}

/// Whether a text is named literally, and whether by a glob that says something; `None`: not at all.
fn closeness(globs: &[String], text: &str) -> Option<(bool, bool)> {
    if globs.is_empty() {
        return Some((false, false));
    }
    let matching: Vec<&String> = globs.iter().filter(|glob| Glob::new(glob.as_str()).matches(text)).collect();
    if matching.is_empty() {
        return None;
    }
    let literal = matching.iter().any(|glob| glob.as_str() == text);
    let glob = matching.iter().any(|glob| glob.as_str() != "*" && glob.as_str() != text);
    Some((literal, glob && !literal))
}

/// The Rollout that matches most closely; of equally close ones the first by name.
pub(super) fn closest<'r>(rollouts: &'r [Rollout], constraint: &ConstraintSpec) -> Option<&'r Rollout> {
    ranked(rollouts, constraint).into_iter().next().map(|(_, rollout)| rollout)
}

/// All that match, the closest first, equally close ones by name.
pub(super) fn ranked<'r>(rollouts: &'r [Rollout], constraint: &ConstraintSpec) -> Vec<(Rank, &'r Rollout)> {
    let mut ranked: Vec<_> = rollouts
        .iter()
        .filter_map(|rollout| rank(&rollout.spec.r#match, constraint).map(|rank| (rank, rollout)))
        .collect();
    ranked.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
    ranked
}
