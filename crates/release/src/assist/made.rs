//! Where text of a model comes from.

use std::collections::BTreeSet;

use ashlar_model::{Digest, EntryKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most sources of one provenance.
pub const SOURCES_MAX: usize = 30;
/// The most provenances of one entry that are kept whole: the newest. Fields and people are kept of all.
const KEPT_MAX: usize = 4;
/// The most sources of one entry.
const SOURCES_OF_ENTRY_MAX: usize = 50;

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
    /// Entries of that release that the model was shown, in this order, at most 30.
    pub sources: Vec<SourceRef>,
    /// The trace of the call.
    pub trace: String,
    /// Who asked for it.
    pub requested_by: String,
    /// When it was written, RFC 3339.
    pub at: String,
    /// The fields of the entry that have text of it.
    pub fields: BTreeSet<String>,
}

/// What models wrote of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Where it comes from, newest first, at most 4.
    pub by: Vec<Provenance>,
    /// All fields that have text of a model.
    #[serde(default)]
    pub fields: BTreeSet<String>,
    /// Everybody who asked for it.
    #[serde(default)]
    pub requested_by: BTreeSet<String>,
    /// Entries of releases that models were shown, at most 50: those of the newest text.
    #[serde(default)]
    pub sources: Vec<SourceRef>,
    /// A person wrote the entry after the model, or put text of a model there.
    pub edited_by_person: bool,
}

impl Made {
    /// What one task wrote.
    pub(crate) fn of(provenance: Provenance) -> Self {
        Self {
            fields: provenance.fields.clone(),
            requested_by: [provenance.requested_by.clone()].into(),
            sources: provenance.sources.clone(),
            by: vec![provenance],
            edited_by_person: false,
        }
    }

    /// With what models wrote of the entry before. `self` is newer.
    #[must_use]
    pub(crate) fn after(mut self, earlier: Self) -> Self {
        for made in earlier.by {
            if self.by.len() < KEPT_MAX && !self.by.contains(&made) {
                self.by.push(made);
            }
        }
        for source in earlier.sources {
            if self.sources.len() < SOURCES_OF_ENTRY_MAX && !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        self.fields.extend(earlier.fields);
        self.requested_by.extend(earlier.requested_by);
        self
    }

    /// What concerns only these fields.
    pub(crate) fn only(mut self, fields: &BTreeSet<String>) -> Self {
        self.fields.retain(|field| fields.contains(field));
        self
    }

    /// Whether it is within the bounds of what tasks note, so that a file cannot bring more.
    pub(crate) fn is_bounded(&self) -> bool {
        const TEXT_MAX: usize = 500;
        const NAMES_MAX: usize = 1_000;
        let short = |text: &String| text.len() <= TEXT_MAX;
        let names = |names: &BTreeSet<String>| names.len() <= NAMES_MAX && names.iter().all(short);
        let of = |made: &Provenance| {
            let texts = [
                &made.task,
                &made.prompt,
                &made.route,
                &made.model,
                &made.release,
                &made.trace,
                &made.requested_by,
                &made.at,
            ];
            texts.into_iter().all(short) && names(&made.fields) && made.sources.len() <= SOURCES_MAX
        };
        self.by.len() <= KEPT_MAX
            && self.by.iter().all(of)
            && names(&self.fields)
            && names(&self.requested_by)
            && self.sources.len() <= SOURCES_OF_ENTRY_MAX
    }
}
