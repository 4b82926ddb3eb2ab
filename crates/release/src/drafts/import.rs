//! Writing many drafts at once.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{EntryId, EntryKey, Fields, Finding, Right, TypeName};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    ground::Ground,
    write::{CountsByType, Write, Written, write_entry},
};
use crate::{Action, ReleaseError, Scope, engine::action::Record};

/// The most entries of one batch.
pub const BATCH_MAX: usize = 5_000;

/// Writes a batch of drafts in one transaction. Entries that are already there as they are stay untouched, so an import
/// that was interrupted is resumed by running it again.
#[derive(Debug, Clone)]
pub struct ImportEntries {
    /// Where they come from, for the audit log.
    pub source: String,
    /// The entries, at most [`BATCH_MAX`].
    pub entries: Vec<IncomingEntry>,
}

/// An entry that comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncomingEntry {
    /// What names it.
    #[serde(flatten)]
    pub key: EntryKey,
    /// The major version of its contract; the newest active when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// Its fields.
    pub fields: Fields,
}

/// The outcome of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Drafts that were written.
    pub written: u64,
    /// Drafts that were already there as they are.
    pub unchanged: u64,
}

#[async_trait]
impl Action for ImportEntries {
    type Output = Imported;
    const NAME: &'static str = "entry.import";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Imported, ReleaseError> {
        if self.entries.len() > BATCH_MAX {
            let message =
                format!("a batch has {} entries; at most {BATCH_MAX} are allowed", self.entries.len());
            return Err(ReleaseError::invalid(message, "send several batches"));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = self.entries.iter().find(|e| !seen.insert(&e.key)) {
            let message = format!("{} is in the batch twice", twice.key);
            return Err(ReleaseError::invalid(message, "remove one of them, or give it another id"));
        }
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let ground = Ground::read(scope.engine, &mut rows).await?;
        let mut entries = self.entries;
        share(&ground, &mut entries)?;
        let (mut imported, mut by_type) = (Imported::default(), CountsByType::new());
        for entry in entries {
            let type_name = entry.key.type_name.to_string();
            let write =
                Write { key: entry.key, major: entry.major, fields: entry.fields, expected_version: None };
            match write_entry(&mut rows, &ground, write, &scope.author()).await? {
                Written::Unchanged => imported.unchanged += 1,
                Written::Version { .. } => {
                    imported.written += 1;
                    *by_type.entry(type_name).or_default() += 1;
                }
            }
        }
        if imported.written > 0 {
            let data =
                json!({"written": imported.written, "unchanged": imported.unchanged, "types": by_type});
            scope.commit(tx, Record::one("drafts.imported", self.source, data)).await?;
        }
        Ok(imported)
    }
}

/// Locales of an entry in one batch must agree on the fields they share. One that leaves such a field out takes the value of
/// the others, so that it does not matter which comes last.
fn share(ground: &Ground, entries: &mut [IncomingEntry]) -> Result<(), ReleaseError> {
    let shared = |entry: &IncomingEntry| {
        let rules = match entry.major {
            Some(major) => ground.rules.of(&entry.key.type_name, major),
            None => ground.rules.newest(&entry.key.type_name),
        };
        rules.map(|r| &r.shared).filter(|shared| !shared.is_empty())
    };
    let mut groups: BTreeMap<(TypeName, EntryId), Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate().filter(|(_, e)| shared(e).is_some()) {
        groups.entry((entry.key.type_name.clone(), entry.key.id.clone())).or_default().push(at);
    }
    let mut findings = Vec::new();
    for group in groups.values().filter(|g| g.len() > 1) {
        let fields: BTreeSet<String> =
            group.iter().filter_map(|at| shared(&entries[*at])).flatten().cloned().collect();
        for field in fields {
            let has = |at: &&usize| entries[**at].fields.contains_key(&field);
            let Some(first) = group.iter().find(has).copied() else { continue };
            let value = entries[first].fields[&field].clone();
            for at in group {
                let entry = &entries[*at];
                match entry.fields.get(&field) {
                    Some(own) if *own != value => findings.push(
                        Finding::error(
                            "shared-field",
                            format!("{} /{field}", entry.key),
                            format!(
                                "All locales of a {} share `{field}`, and it has another value in {}.",
                                entry.key.type_name, entries[first].key
                            ),
                        )
                        .help("give both the same value, or leave it out of one of them"),
                    ),
                    Some(_) => {}
                    None if shared(&entries[*at]).is_some_and(|s| s.contains(&field)) => {
                        entries[*at].fields.insert(field.clone(), value.clone());
                    }
                    None => {}
                }
            }
        }
    }
    match findings.len() {
        0 => Ok(()),
        n => Err(ReleaseError::Invalid {
            message: format!("{n} shared fields differ between locales; nothing of the batch was written"),
            findings,
            help: "correct them and send the batch again".to_owned(),
        }),
    }
}
