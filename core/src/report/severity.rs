//! How much a policy matters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a policy matters, from its annotation `portcullis.dev/severity`; ordered from least to most.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Counts once in the score.
    Low,
    /// Counts three times; the severity of a policy that names none.
    #[default]
    Medium,
    /// Counts six times.
    High,
    /// Counts ten times.
    Critical,
}

impl Severity {
    /// From most to least.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The severity a text names; anything unknown is medium, as an unset annotation is.
    pub fn parse(text: &str) -> Self {
        match text {
            "low" => Self::Low,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => Self::Medium,
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// How often one judged object counts in the score.
    pub fn weight(self) -> u32 {
        match self {
            Self::Low => 1,
            Self::Medium => 3,
            Self::High => 6,
            Self::Critical => 10,
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
