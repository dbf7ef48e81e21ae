//! What a person asked for by an annotation on the object: hold, resume, promote.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::PolicyHash;

/// The annotation by which a person freezes a constraint; it stays until `resume`.
pub const HOLD: &str = "portcullis.dev/hold";
/// The annotation by which a person ends a hold; removed when consumed.
pub const RESUME: &str = "portcullis.dev/resume";
/// The annotation by which a person promotes now; removed when consumed.
pub const PROMOTE: &str = "portcullis.dev/promote";
/// Intents that later versions act on; until then they are reported and left where they are.
pub const UNSUPPORTED: [&str; 4] =
    ["portcullis.dev/approve", "portcullis.dev/rollback", "portcullis.dev/pinned", "portcullis.dev/approved"];

/// Who asked for what, when and why; the JSON value of the annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonIntent {
    /// The version meant; absent means whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<PolicyHash>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who.
    #[serde(default)]
    pub by: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl PersonIntent {
    /// Reads an annotation's value; what is not the JSON object is taken as the reason, since kubectl can
    /// write that too and a hold must not be lost to a formality.
    pub fn read(value: &str) -> Self {
        serde_json::from_str(value).unwrap_or_else(|_| Self {
            hash: None,
            reason: value.trim().to_owned(),
            by: String::new(),
            at: None,
        })
    }

    /// `mara@example.com: release freeze`, as far as it was said.
    pub fn words(&self) -> String {
        match (self.by.is_empty(), self.reason.is_empty()) {
            (true, true) => "no reason given".to_owned(),
            (true, false) => self.reason.clone(),
            (false, true) => self.by.clone(),
            (false, false) => format!("{}: {}", self.by, self.reason),
        }
    }
}

/// The intents on one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intents {
    /// A standing hold.
    pub hold: Option<PersonIntent>,
    /// A wish to end it.
    pub resume: Option<PersonIntent>,
    /// A wish to promote now.
    pub promote: Option<PersonIntent>,
    /// Annotations this version does not act on.
    pub unsupported: Vec<String>,
}

impl Intents {
    /// Reads the intents from an object's annotations. A resume ends the hold it is newer than or equal to.
    pub fn read(annotations: &BTreeMap<String, String>) -> Self {
        let intent = |key: &str| annotations.get(key).map(|value| PersonIntent::read(value));
        Self {
            hold: intent(HOLD),
            resume: intent(RESUME),
            promote: intent(PROMOTE),
            unsupported: UNSUPPORTED
                .iter()
                .filter(|key| annotations.contains_key(**key))
                .map(|key| (*key).to_owned())
                .collect(),
        }
    }

    /// The hold that is in force: none where a resume was said.
    pub fn standing_hold(&self) -> Option<&PersonIntent> {
        if self.resume.is_some() { None } else { self.hold.as_ref() }
    }
}
