//! Which surrogate keys a cache has to forget when one release takes the place of another.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Digest, EntryKey, EntryRecord, Fields};
use ashlar_store::{StoreError, TenantObjects, Tree};
use serde_json::Value;

use super::definitions::Definitions;
use crate::cache::keys;

/// More keys than this empty the whole cache.
const KEYS_MAX: usize = 20_000;

/// What a cache has to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// Nothing differs.
    Nothing,
    /// Everything that carries one of these surrogate keys.
    Keys(Vec<String>),
    /// Everything.
    Everything,
}

impl Purge {
    /// What either of two makes a cache forget.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::Keys(one), Self::Keys(two)) => {
                let keys: BTreeSet<String> = one.into_iter().chain(two).collect();
                if keys.len() > KEYS_MAX { Self::Everything } else { named(keys) }
            }
        }
    }
}

/// What differs between two snapshots under the same definitions: changed entries, lists of their types, and what is found
/// by a value that an entry has gained or lost. A body that differs carries one of these keys.
///
/// # Errors
/// When the newer snapshot cannot be read. An older one that no longer exists makes everything forgotten.
pub fn purge_between(
    objects: &TenantObjects,
    definitions: &Definitions,
    before: &Digest,
    now: &Digest,
) -> Result<Purge, StoreError> {
    let Ok(before) = Tree::open(objects, before) else { return Ok(Purge::Everything) };
    let now = Tree::open(objects, now)?;
    let mut fields: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for view in definitions.views.iter() {
        if let Some(field) = view.lookup.field() {
            fields.entry(view.source.as_str()).or_default().insert(field);
        }
    }
    let values =
        |record: &Option<bytes::Bytes>, names: &BTreeSet<&str>| -> Option<BTreeMap<String, String>> {
            let Some(record) = record else { return Some(BTreeMap::new()) };
            let record = EntryRecord::from_bytes(record).ok()?;
            let all: Fields = serde_json::from_slice(&objects.get(&record.digest).ok()?).ok()?;
            let text =
                |name: &&str| Some(((*name).to_owned(), all.get(*name).and_then(Value::as_str)?.to_owned()));
            Some(names.iter().filter_map(text).collect())
        };
    let mut keys = BTreeSet::new();
    for change in before.diff(&now) {
        let change = match change {
            Ok(change) => change,
            Err(StoreError::Missing { .. }) => return Ok(Purge::Everything),
            Err(error) => return Err(error),
        };
        let Ok(key) = EntryKey::from_bytes(&change.key) else { return Ok(Purge::Everything) };
        let type_name = key.type_name.as_str();
        if let Some(names) = fields.get(type_name) {
            let (Some(old), Some(new)) = (values(&change.old, names), values(&change.new, names)) else {
                return Ok(Purge::Everything);
            };
            for name in names {
                let (was, is) = (old.get(*name), new.get(*name));
                if was != is {
                    keys.extend([was, is].into_iter().flatten().map(|v| keys::of_value(type_name, name, v)));
                }
            }
        }
        keys.insert(format!("{type_name}:{}:{}", key.id, key.locale));
        keys.insert(type_name.to_owned());
        if keys.len() > KEYS_MAX {
            return Ok(Purge::Everything);
        }
    }
    Ok(named(keys))
}

fn named(keys: BTreeSet<String>) -> Purge {
    if keys.is_empty() { Purge::Nothing } else { Purge::Keys(keys.into_iter().collect()) }
}

/// `purge`, and what names the last change of an entry (pages, sitemaps, feeds) where that alone differs: content that was
/// reverted is the same with a later date.
///
/// # Errors
/// When the newer dates cannot be read. Older ones that no longer exist make everything forgotten.
pub fn purge_dates(
    objects: &TenantObjects,
    purge: Purge,
    before: Option<&Digest>,
    now: Option<&Digest>,
) -> Result<Purge, StoreError> {
    let mut keys: BTreeSet<String> = match purge {
        Purge::Everything => return Ok(Purge::Everything),
        Purge::Nothing => BTreeSet::new(),
        Purge::Keys(keys) => keys.into_iter().collect(),
    };
    let (Some(before), Some(now)) = (before, now) else {
        return Ok(if before == now { named(keys) } else { Purge::Everything });
    };
    let Ok(before) = Tree::open(objects, before) else { return Ok(Purge::Everything) };
    for change in before.diff(&Tree::open(objects, now)?) {
        let change = match change {
            Ok(change) => change,
            Err(StoreError::Missing { .. }) => return Ok(Purge::Everything),
            Err(error) => return Err(error),
        };
        // The date of all entries without one of their own is no entry.
        let Ok(key) = EntryKey::from_bytes(&change.key) else { return Ok(Purge::Everything) };
        keys.insert(format!("{}:{}:{}", key.type_name, key.id, key.locale));
        keys.insert(key.type_name.to_string());
        if keys.len() > KEYS_MAX {
            return Ok(Purge::Everything);
        }
    }
    Ok(named(keys))
}
