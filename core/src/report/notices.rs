//! What a reader must know before reading on.

use std::fmt::Write as _;

use super::{
    Notice, NoticeLevel, Report, SyncStatus,
    words::{count, list, many, sentence, time},
};

/// The notices of a report, the gravest first.
pub(super) fn notices(report: &Report) -> Vec<Notice> {
    let mut notices: Vec<Notice> =
        [evidence(report), sync(report), exemptions(report), filter(report), simulated(report)]
            .into_iter()
            .flatten()
            .collect();
    notices.sort_by_key(|notice| notice.level);
    notices
}

fn notice(level: NoticeLevel, title: impl Into<String>, text: impl Into<String>) -> Notice {
    Notice { level, title: title.into(), text: text.into() }
}

/// Whether the figures can be relied on.
fn evidence(report: &Report) -> Option<Notice> {
    let Some(run) = &report.provenance.run else {
        return Some(notice(
            NoticeLevel::Alarm,
            "No audit has run yet",
            "This report holds no evidence. Whether anything violates a policy is unknown.",
        ));
    };
    if report.not_evaluated.leaves_open(run) {
        let reasons = &report.not_evaluated.unknown;
        let why = match reasons.as_slice() {
            [] => "The audit was cut short.".to_owned(),
            [gap] => format!("{} ({}).", sentence(&gap.reason), count(gap.count)),
            [gap, rest @ ..] => format!(
                "{} ({}), and {} under “Not evaluated”.",
                sentence(&gap.reason),
                count(gap.count),
                many(super::constraints::size(rest.len()), "more reason", "more reasons")
            ),
        };
        return Some(notice(
            NoticeLevel::Alarm,
            "This audit is incomplete",
            format!(
                "{why} The violations listed are real, but there may be more: what was not looked at is unknown, and does not count as passing.",
            ),
        ));
    }
    let blind = super::constraints::size(report.not_evaluated.not_auditable.len());
    (blind > 0).then(|| {
        notice(
            NoticeLevel::Warning,
            format!("No audit can judge {}", many(blind, "policy", "policies")),
            "Whether that is kept is unknown, and does not count as passing; see “Not evaluated”.",
        )
    })
}

fn sync(report: &Report) -> Option<Notice> {
    let sync = &report.sync;
    let errors = sync.problems.iter().filter(|problem| problem.severity == "error").count();
    let mut details = sync.reasons.iter().map(|reason| sentence(reason)).collect::<Vec<_>>().join(". ");
    if !details.is_empty() {
        details.push_str(". ");
    }
    if errors > 0 {
        let _ = write!(
            details,
            "{}; see “Problems in the repository”. ",
            many(super::constraints::size(errors), "mistake", "mistakes")
        );
    }
    let since = sync.at.map_or(String::new(), |at| format!(" as of {}", time(at)));
    match sync.status {
        SyncStatus::InStep => None,
        SyncStatus::Partial => Some(notice(
            NoticeLevel::Warning,
            "Part of the newest revision is not in force",
            format!("{details}The affected policies stay as they were; the others are up to date."),
        )),
        SyncStatus::Refused => Some(notice(
            NoticeLevel::Warning,
            "The newest revision was refused",
            format!("{details}The last good revision stays in force{since}."),
        )),
        SyncStatus::Unreachable => Some(notice(
            NoticeLevel::Warning,
            "The policy repository cannot be reached",
            format!("{details}The last good revision stays in force{since}."),
        )),
        SyncStatus::Unknown => Some(notice(
            NoticeLevel::Warning,
            "Not synchronised yet",
            format!("{details}Whether the cluster has the policies of the repository is unknown."),
        )),
    }
}

fn exemptions(report: &Report) -> Option<Notice> {
    let soon: Vec<String> = report
        .exemptions
        .iter()
        .filter_map(|exemption| match exemption.days_left? {
            days if days < 0 => Some(format!("“{}” has expired", exemption.name)),
            0 => Some(format!("“{}” ends today", exemption.name)),
            1 => Some(format!("“{}” ends tomorrow", exemption.name)),
            days @ 2..=7 => Some(format!("“{}” ends in {days} days", exemption.name)),
            _ => None,
        })
        .collect();
    (!soon.is_empty())
        .then(|| notice(NoticeLevel::Note, "Exemptions are running out", format!("{}.", list(&soon))))
}

fn filter(report: &Report) -> Option<Notice> {
    let filter = report.filter.as_ref()?;
    Some(notice(
        NoticeLevel::Note,
        format!("Filtered to {}", filter.sentence()),
        "Findings, violations and policies outside are left out. Score, coverage and trend, and how many objects were evaluated, are those of the whole cluster.",
    ))
}

fn simulated(report: &Report) -> Option<Notice> {
    (report.provenance.enforced == "simulated").then(|| {
        notice(
            NoticeLevel::Note,
            "Enforcement is simulated",
            "This cluster is a folder of files. No admission webhook refuses anything here.",
        )
    })
}
