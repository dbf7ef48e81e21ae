//! What is there: the live objects, the mirror of their state, and how the two stand to each other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    identity::{ConstraintId, PolicyHash, Revision, Stage},
    plan::render::{self, annotation},
    rollout::{Intents, PersonIntent},
};

/// A managed object by what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKey {
    /// A ConstraintTemplate, by the kind of its constraints.
    Template(String),
    /// A constraint.
    Constraint(ConstraintId),
}

impl ObjectKey {
    /// The kind of the unit it belongs to.
    pub fn unit(&self) -> &str {
        match self {
            Self::Template(kind) => kind,
            Self::Constraint(id) => &id.kind,
        }
    }

    /// Whether it is a template.
    pub fn is_template(&self) -> bool {
        matches!(self, Self::Template(_))
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Template(kind) => write!(f, "ConstraintTemplate/{}", kind.to_lowercase()),
            Self::Constraint(id) => write!(f, "{id}"),
        }
    }
}

/// The rollout state of one object, as annotations carry it and the store mirrors it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Semantic hash of the version in force.
    pub hash: PolicyHash,
    /// The commit that last changed the object's content.
    pub revision: Revision,
    /// The stage; `None` for templates.
    pub stage: Option<Stage>,
    /// Since when this version stands at this stage.
    pub since: Timestamp,
    /// When the cluster acknowledged it; `None` where it has not yet.
    pub acknowledged: Option<Timestamp>,
    /// Namespaces that exemptions added to `excludedNamespaces`.
    #[serde(default)]
    pub exempted: Vec<String>,
    /// A person's standing hold, so that a rename or a deletion by hand does not lose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<PersonIntent>,
    /// Digest of what was sent; `None` where unknown (a lost database).
    #[serde(default)]
    pub content: Option<String>,
}

/// An object as it is on the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveObject {
    /// The whole object.
    pub manifest: Value,
    /// What a compare-and-swap compares.
    pub version: String,
}

/// An object as the store remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorObject {
    /// Its state.
    pub record: Record,
    /// The whole object as the cluster had it after our last write; `None` where it was lost.
    pub manifest: Option<Value>,
}

/// Cluster and mirror together.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Live templates and constraints, others' included.
    pub live: BTreeMap<ObjectKey, LiveObject>,
    /// What the store remembers of ours.
    pub mirror: BTreeMap<ObjectKey, MirrorObject>,
}

/// How one object stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Neither on the cluster nor known to the store.
    New,
    /// On the cluster, and not ours.
    Foreign(String),
    /// Ours, but its state is missing or contradicts itself: kept as enforced, never promoted.
    Unknown(String),
    /// Ours, with its state.
    Known(Box<Known>),
}

/// An object of ours whose state is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its state.
    pub record: Record,
    /// The object as it should be now, our last write.
    pub manifest: Value,
    /// How the live object differs from that; `None` where it does not.
    pub drift: Option<Drift>,
    /// What people asked for.
    pub intents: Intents,
}

/// How a live object differs from our last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It is gone.
    Deleted,
    /// These parts are different.
    Changed(Vec<String>),
}

impl Observed {
    /// How an object stands for this instance.
    pub fn standing(&self, key: &ObjectKey, instance: &str) -> Standing {
        let live = self.live.get(key);
        let mirror = self.mirror.get(key);
        if let Some(live) = live
            && let Some(owner) = render::foreign_owner(&live.manifest, instance)
        {
            // A label taken off by hand does not make our own object foreign.
            let ours = mirror.is_some() && owner.is_empty();
            if !ours {
                return Standing::Foreign(if owner.is_empty() {
                    "nobody's instance".to_owned()
                } else {
                    owner
                });
            }
        }
        match (live, mirror) {
            (None, None) => Standing::New,
            (None, Some(mirror)) => match &mirror.manifest {
                Some(manifest) => Standing::Known(Box::new(Known {
                    record: mirror.record.clone(),
                    manifest: manifest.clone(),
                    drift: Some(Drift::Deleted),
                    intents: Intents { hold: mirror.record.hold.clone(), ..Intents::default() },
                })),
                None => Standing::New,
            },
            (Some(live), Some(MirrorObject { record, manifest: Some(manifest) })) => {
                let changed = render::differences(manifest, &live.manifest);
                Standing::Known(Box::new(Known {
                    record: record.clone(),
                    manifest: manifest.clone(),
                    drift: (!changed.is_empty()).then_some(Drift::Changed(changed)),
                    intents: Intents::read(&render::annotations(&live.manifest)),
                }))
            }
            (Some(live), _) => self.from_annotations(key, live),
        }
    }

    /// The state that the object itself carries, where the store knows nothing of it.
    fn from_annotations(&self, key: &ObjectKey, live: &LiveObject) -> Standing {
        let annotations = render::annotations(&live.manifest);
        let (Some(hash), Some(since)) = (
            annotations.get(annotation::HASH).map(PolicyHash::new),
            annotations.get(annotation::SINCE).and_then(|text| text.parse::<Timestamp>().ok()),
        ) else {
            return Standing::Unknown("its portcullis.dev annotations are missing or unreadable".to_owned());
        };
        let stage = match key {
            ObjectKey::Template(_) => None,
            ObjectKey::Constraint(_) => {
                let said = annotations.get(annotation::STAGE).and_then(|text| Stage::parse(text));
                let enforced = render::live_stage(&live.manifest);
                match (said, enforced) {
                    (Some(said), Some(enforced)) if said == enforced => Some(said),
                    _ => {
                        return Standing::Unknown(format!(
                            "its annotation says stage {}, its enforcementAction {}, and the store knows no decision",
                            said.map_or("nothing", Stage::as_str),
                            enforced.map_or("nothing", Stage::as_str),
                        ));
                    }
                }
            }
        };
        match self.live_hash(key) {
            Ok(actual) if actual == hash => {}
            Ok(_) => {
                return Standing::Unknown(
                    "its content does not have the hash its annotation names, and the store knows no decision"
                        .to_owned(),
                );
            }
            Err(why) => return Standing::Unknown(why),
        }
        Standing::Known(Box::new(Known {
            record: Record {
                hash,
                revision: Revision::new(annotations.get(annotation::REVISION).cloned().unwrap_or_default()),
                stage,
                since,
                acknowledged: Some(since),
                exempted: render::exempted(&annotations),
                hold: Intents::read(&annotations).hold,
                content: None,
            },
            manifest: live.manifest.clone(),
            drift: None,
            intents: Intents::read(&annotations),
        }))
    }

    /// The semantic hash recomputed from the live objects.
    fn live_hash(&self, key: &ObjectKey) -> Result<PolicyHash, String> {
        let template = self
            .live
            .get(&ObjectKey::Template(key.unit().to_owned()))
            .ok_or_else(|| "its template is not on the cluster".to_owned())?;
        match key {
            ObjectKey::Template(_) => render::hash_template(&template.manifest),
            ObjectKey::Constraint(_) => {
                let live = self.live.get(key).ok_or_else(|| "it is not on the cluster".to_owned())?;
                render::hash_constraint(&template.manifest, &live.manifest)
            }
        }
    }
}
