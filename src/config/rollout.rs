//! `rollout.default`: what the schema cannot say of it.

use portcullis_core::{
    document::Duration,
    identity::Stage,
    rollout::{Approval, Change, Demotion, Gate, GateSpec, RolloutMatch, RolloutSpec, StageSpec},
    schedule::Schedule,
};

use super::{checker::Checker, code};

/// The rollout where none is written: dryrun for 14d with 10 audits without violations, warn for 3d, deny.
///
/// `maxAuditAge` is left to its default, twice the audit interval and at least 1h, so that it fits any
/// audit schedule.
pub(super) fn documented() -> RolloutSpec {
    let days = |days: i64| Some(Duration::from_secs(days * 86_400));
    let gate = Gate { max_violations: Some(0), min_audits: Some(10), max_audit_age: None };
    let stage = |action, soak, gate| StageSpec { action, soak, gate, rings: None };
    RolloutSpec {
        r#match: RolloutMatch::default(),
        stages: vec![
            stage(Stage::Dryrun, days(14), Some(GateSpec::Bounds(gate))),
            stage(Stage::Warn, days(3), None),
            stage(Stage::Deny, None, None),
        ],
        change: Change::default(),
        windows: Vec::new(),
        approval: Approval::default(),
        demotion: Demotion::default(),
    }
}

pub(super) fn validate(
    checker: &mut Checker<'_>,
    written: Option<&RolloutSpec>,
    audit: Option<&Schedule>,
) -> RolloutSpec {
    let Some(spec) = written else { return documented() };
    stages(checker, &spec.stages);
    let ages = spec.stages.iter().enumerate().filter_map(|(at, stage)| match &stage.gate {
        Some(GateSpec::Bounds(gate)) => {
            Some((format!("/rollout/default/stages/{at}/gate/maxAuditAge"), gate.max_audit_age?))
        }
        _ => None,
    });
    let change = spec.change.gate.as_ref().and_then(|gate| gate.max_audit_age);
    let ages: Vec<(String, Duration)> =
        ages.chain(change.map(|age| ("/rollout/default/change/gate/maxAuditAge".to_owned(), age))).collect();
    if let Some(audit) = audit
        && !ages.is_empty()
    {
        let gap = audit.largest_gap();
        for (pointer, age) in ages.into_iter().filter(|(_, age)| *age < gap) {
            let message = format!(
                "maxAuditAge {age} is shorter than the audit interval: up to {gap} pass between two slots of `{}`",
                audit.expression()
            );
            let written = gap.to_string().replace(' ', "");
            let hint = format!("write `{written}` or more, or audit more often");
            checker.problem(&pointer, code::CONFLICT, message, hint);
        }
    }
    spec.clone()
}

fn stages(checker: &mut Checker<'_>, stages: &[StageSpec]) {
    let section = "/rollout/default/stages";
    let hint = "list dryrun first, then warn and deny or one of them";
    match stages.first() {
        None => checker.problem(section, code::VALUE, "expected stages, found none", hint),
        Some(first) if first.action != Stage::Dryrun => {
            let message = format!("the first stage is {}, expected dryrun", first.action);
            checker.problem(&format!("{section}/0/action"), code::VALUE, message, hint);
        }
        Some(_) => {}
    }
    for (at, pair) in stages.windows(2).enumerate() {
        let [before, stage] = pair else { continue };
        let message = match stage.action.cmp(&before.action) {
            std::cmp::Ordering::Greater => continue,
            std::cmp::Ordering::Equal => format!("the stage {} is listed twice", stage.action),
            std::cmp::Ordering::Less => format!("the stage {} comes after {}", stage.action, before.action),
        };
        checker.problem(&format!("{section}/{}/action", at + 1), code::VALUE, message, hint);
    }
}
