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
    /// The fields that have text of a model.
    pub(crate) fn written(&self) -> BTreeSet<String> {
        let of_tasks = self.made.by.iter().flat_map(|made| &made.fields);
        of_tasks.chain(&self.made.fields).cloned().collect()
    }

    /// Entries that models were shown, each once.
    pub(crate) fn sources(&self) -> Vec<&EntryKey> {
        let of_tasks = self.made.by.iter().flat_map(|made| &made.sources);
        let mut out: Vec<&EntryKey> = Vec::new();
        for source in of_tasks.chain(&self.made.sources) {
            if !out.contains(&&source.key) {
                out.push(&source.key);
            }
        }
        out
    }

    /// Everybody who asked for it.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &str> {
        let of_tasks = self.made.by.iter().map(|made| &made.requested_by);
        of_tasks.chain(&self.made.requested_by).map(String::as_str)
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

    /// The same with all names of theirs.
    pub(crate) fn requesters(&self, governance: &Governance) -> BTreeSet<String> {
        self.asked().flat_map(|name| governance.names_of(name)).collect()
    }
}
