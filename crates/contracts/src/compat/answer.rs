//! What a comparison answers.

use std::fmt;

use ashlar_model::Digest;
use serde::{Deserialize, Serialize};

/// Whether something is true, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It is true for every value.
    Yes,
    /// Not known; the reasons are listed.
    Unknown,
    /// There is a value for which it does not hold.
    No,
}

/// What a change demands of the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing changed.
    None,
    /// No reader or writer can notice.
    Patch,
    /// Something was added.
    Minor,
    /// Something that was valid may not be any more.
    Major,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// One difference between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// JSON pointer into the schema.
    pub path: String,
    /// A stable kebab-case kind, such as `required-added`.
    pub kind: String,
    /// What it demands of the version by itself.
    pub verdict: Verdict,
    /// A sentence an editor understands.
    pub message: String,
    /// Whether old values stay valid, as far as this change is concerned.
    pub backward: Answer,
    /// Whether new values were valid before, as far as this change is concerned.
    pub forward: Answer,
    /// Whether it changes what values mean.
    pub semantic: bool,
}

/// How two versions of a contract differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What the changes demand of the version.
    pub verdict: Verdict,
    /// Whether any changes what values mean.
    pub semantic: bool,
    /// Whether every value valid under the old version is valid under the new one.
    pub backward: Answer,
    /// Whether every value valid under the new version is valid under the old one.
    pub forward: Answer,
    /// Each difference.
    pub changes: Vec<Change>,
    /// Why an answer is not yes.
    pub reasons: Vec<String>,
    /// Names exactly this change, without annotations: approvals are tied to it.
    pub digest: Digest,
}
