use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an actor may do. Every action names the right it needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Read what the public channel serves.
    Read,
    /// Read drafts, candidates, old releases and channels that are not public.
    Preview,
    /// Write drafts and changesets.
    Write,
    /// Push definitions.
    Define,
    /// Make candidates, promote and roll back.
    Release,
    /// Approve changes of one sensitivity (`pricing`, `legal`, `claim`) or of one owner (`owner:web-platform`).
    Approve(String),
    /// Let a failed gate through.
    Waive,
    /// Look at the pages of one draft, changeset or candidate (`draft`, `changeset:NAME`, `c4`) and at nothing else: what a
    /// preview link has.
    Show(String),
    /// Look at model calls that were chosen for review, and give verdicts on them.
    Review,
    /// Manage keys and tenants, collect garbage.
    Admin,
    /// Call models through the gateway: as one feature, or as every feature.
    Llm(Option<String>),
    /// Record what runs of eval suites showed: the gate `evals` opens by it.
    Evals,
    /// Ask models to write drafts, by the tasks of `assist.toml`.
    Assist,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::Preview => f.write_str("preview"),
            Self::Write => f.write_str("write"),
            Self::Define => f.write_str("define"),
            Self::Release => f.write_str("release"),
            Self::Approve(what) => write!(f, "approve:{what}"),
            Self::Waive => f.write_str("waive"),
            Self::Show(what) => write!(f, "show:{what}"),
            Self::Review => f.write_str("review"),
            Self::Admin => f.write_str("admin"),
            Self::Llm(None) => f.write_str("llm"),
            Self::Llm(Some(feature)) => write!(f, "llm:{feature}"),
            Self::Evals => f.write_str("evals"),
            Self::Assist => f.write_str("assist"),
        }
    }
}

/// A word that names no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a scope; there are read, preview, write, define, release, approve:NAME, waive, review, evals, admin, llm, llm:FEATURE and assist"
)]
pub struct RightError(String);

impl FromStr for Right {
    type Err = RightError;

    fn from_str(s: &str) -> Result<Self, RightError> {
        Ok(match s {
            "read" => Self::Read,
            "preview" => Self::Preview,
            "write" => Self::Write,
            "define" => Self::Define,
            "release" => Self::Release,
            "waive" => Self::Waive,
            "review" => Self::Review,
            "admin" => Self::Admin,
            "llm" => Self::Llm(None),
            "evals" => Self::Evals,
            "assist" => Self::Assist,
            _ => match s.strip_prefix("approve:") {
                Some(what) if !what.is_empty() && what.len() <= 100 => Self::Approve(what.to_owned()),
                _ if s.strip_prefix("llm:").is_some_and(|what| (1..=100).contains(&what.len())) => {
                    Self::Llm(Some(s["llm:".len()..].to_owned()))
                }
                _ if s.strip_prefix("show:").is_some_and(|what| (1..=120).contains(&what.len())) => {
                    Self::Show(s["show:".len()..].to_owned())
                }
                _ => return Err(RightError(s.chars().take(80).collect())),
            },
        })
    }
}

impl Serialize for Right {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Right {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Right {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Right".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(read|preview|write|define|release|waive|review|admin|llm|evals|assist|approve:[^\\s]{1,100}|llm:[^\\s]{1,100}|show:[^\\s]{1,120})$",
            "description": "A scope: `read`, `preview`, `write`, `define`, `release`, `approve:NAME`, `waive`, `review`, `evals`, `admin`, `llm`, `llm:FEATURE` or `assist`.",
        })
    }
}

/// Who acts: a person or a key, with the rights they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name that appears in history, approvals and the audit log.
    pub name: String,
    rights: BTreeSet<Right>,
    all: bool,
}

impl Actor {
    /// An actor with exactly these rights.
    pub fn new(name: impl Into<String>, rights: impl IntoIterator<Item = Right>) -> Self {
        Self { name: name.into(), rights: rights.into_iter().collect(), all: false }
    }

    /// Whoever has the data directory itself has every right in it. Approvals by name are still checked against
    /// the project's `governance.toml`.
    pub fn local(name: impl Into<String>) -> Self {
        Self { name: name.into(), rights: BTreeSet::new(), all: true }
    }

    /// What a preview link shows; `None` for every other actor.
    pub fn shows(&self) -> Option<&str> {
        self.rights.iter().find_map(|r| match r {
            Right::Show(what) => Some(what.as_str()),
            _ => None,
        })
    }

    /// Whether the actor has `right`. `admin` does not imply approvals, which are given by name only, nor evidence, which opens a gate,
    /// nor calls of models and what they write, which cost money.
    pub fn may(&self, right: &Right) -> bool {
        let by_name =
            matches!(right, Right::Approve(_) | Right::Waive | Right::Evals | Right::Llm(_) | Right::Assist);
        self.all
            || self.rights.contains(right)
            || (self.rights.contains(&Right::Admin) && !by_name)
            || (matches!(right, Right::Llm(Some(_))) && self.rights.contains(&Right::Llm(None)))
    }

    /// Whether the actor may approve anything whose name begins like this.
    pub fn approves(&self, beginning: &str) -> bool {
        let one = |right: &Right| matches!(right, Right::Approve(what) if what.starts_with(beginning));
        self.all || self.rights.iter().any(one)
    }

    /// The features that the actor may call models as, in their order. Empty for all of them, or for none.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.rights.iter().filter_map(|right| match right {
            Right::Llm(Some(feature)) => Some(feature.as_str()),
            _ => None,
        })
    }
}
