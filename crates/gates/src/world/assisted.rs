//! Entries that a model wrote something of.

use std::collections::BTreeSet;

use ashlar_model::{Digest, EntryKey};
use ashlar_project::Governance;
use ashlar_release::Made;
use serde_json::Value;

/// An entry of a candidate that a model wrote something of since the base.
pub(crate) struct Assisted {
    pub(crate) key: EntryKey,
    /// The digest of its fields.
    pub(crate) digest: Digest,
    /// Whether the base does not have it.
    pub(crate) is_new: bool,
    pub(crate) made: Made,
    pub(crate) fields: Value,
}

impl Assisted {
    /// The fields that a model wrote.
    pub(crate) fn written(&self) -> BTreeSet<String> {
        self.made.by.iter().flat_map(|made| made.fields.iter().cloned()).collect()
    }

    /// The tasks that wrote it, for people.
    pub(crate) fn tasks(&self) -> String {
        let tasks: BTreeSet<String> = self
            .made
            .by
            .iter()
            .map(|made| format!("the task {} for {}", made.task, made.requested_by))
            .collect();
        tasks.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Everybody who asked for it, with all names of theirs.
    pub(crate) fn requesters(&self, governance: &Governance) -> BTreeSet<String> {
        self.made.requesters().flat_map(|name| governance.names_of(name)).collect()
    }
}
