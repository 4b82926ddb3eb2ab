//! Where text of a model comes from.

use std::collections::BTreeSet;

use ashlar_model::{Digest, EntryKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most sources of one provenance.
pub const SOURCES_MAX: usize = 20;
/// The most provenances of one entry that are kept: the newest.
pub(crate) const KEPT_MAX: usize = 4;

/// An entry of a release that a model was shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct SourceRef {
    /// What names it.
    #[serde(flatten)]
    pub key: EntryKey,
    /// The digest of its fields.
    pub digest: Digest,
}

/// Where text of a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The task of `assist.toml`.
    pub task: String,
    /// The prompt with its version: `draft-faq@v2`.
    pub prompt: String,
    /// The route that the call took.
    pub route: String,
    /// The provider with the model that answered.
    pub model: String,
    /// The release that was read.
    pub release: String,
    /// Entries of that release that the model was shown, at most 20.
    pub sources: Vec<SourceRef>,
    /// The trace of the call.
    pub trace: String,
    /// Who asked for it.
    pub requested_by: String,
    /// When it was written, RFC 3339.
    pub at: String,
    /// The fields that it wrote.
    pub fields: BTreeSet<String>,
}

/// What models wrote of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Where it comes from, newest first, at most 4.
    pub by: Vec<Provenance>,
    /// A person wrote the entry after the model, or put text of a model there.
    pub edited_by_person: bool,
}

impl Made {
    /// Who asked for it.
    pub fn requesters(&self) -> impl Iterator<Item = &str> {
        self.by.iter().map(|made| made.requested_by.as_str())
    }

    /// With what models wrote of the entry before. `self` is newer.
    #[must_use]
    pub(crate) fn after(mut self, earlier: Self) -> Self {
        for made in earlier.by {
            if self.by.len() < KEPT_MAX && !self.by.contains(&made) {
                self.by.push(made);
            }
        }
        self
    }
}
