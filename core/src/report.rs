//! The compliance report: one model, several renderings.
//!
//! [`Report::build`] turns what the store and the cluster know ([`ReportInput`]) into the model; the
//! renderers ([`render_json`], …) turn the model into text and add nothing of their own, so that every
//! rendering says the same.

mod build;
mod constraints;
mod facts;
mod filter;
mod gaps;
mod group;
mod html;
mod json;
mod markdown;
mod model;
mod notices;
mod rows;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod samples_extreme;
mod score;
mod sentences;
mod severity;
mod summary;
mod text;
mod view;
mod words;

pub use facts::{
    Change, ChangeKind, ConstraintState, Engine, ExemptionState, ReportFinding, ReportProblem, RolloutState,
    RunFacts, Source, SyncState, SyncStatus, TrendPoint,
};
pub use filter::ReportFilter;
pub use html::render_html;
pub use json::{render_json, schema};
pub use markdown::render_markdown;
pub use model::{Cluster, Provenance, Report, ReportInput, SCHEMA};
pub use rows::{
    ConstraintRow, Gap, NamespaceRow, NotAuditable, NotEvaluated, SeverityCounts, StandardRow,
    StandardStatus, Verdict,
};
pub use score::Score;
pub use severity::Severity;
pub use summary::{Notice, NoticeLevel, Standing, Summary};
pub use text::render_summary_text;
