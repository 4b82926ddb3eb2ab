//! How two releases differ.

use std::collections::BTreeSet;

use ashlar_model::{Digest, EntryChange, EntryChangeKind, EntryKey, EntryRecord, Fields};
use ashlar_store::{TenantObjects, Tree};

use crate::{DefinitionChange, ReleaseError, definitions::files::file_digests, drafts::fields::differing};

/// The most entries a diff lists.
const DIFF_MAX: usize = 10_000;

fn fields_at(objects: &TenantObjects, key: &EntryKey, value: &[u8]) -> Result<(Fields, u32), ReleaseError> {
    let record = EntryRecord::from_bytes(value)?;
    let bytes = objects.get(&record.digest)?;
    let fields = serde_json::from_slice(&bytes)
        .map_err(|e| ReleaseError::Corrupt { what: key.to_string(), why: e.to_string() })?;
    Ok((fields, record.major))
}

pub(crate) fn diff_entries(
    objects: &TenantObjects,
    old: &Digest,
    new: &Digest,
) -> Result<(Vec<EntryChange>, u64), ReleaseError> {
    let (old, new) = (Tree::open(objects, old)?, Tree::open(objects, new)?);
    let (mut changes, mut total) = (Vec::new(), 0);
    for change in old.diff(&new) {
        let change = change?;
        total += 1;
        if changes.len() >= DIFF_MAX {
            continue;
        }
        let key = EntryKey::from_bytes(&change.key)?;
        let read = |v: Option<&[u8]>| v.map(|v| fields_at(objects, &key, v)).transpose();
        let (before, after) = (read(change.old.as_deref())?, read(change.new.as_deref())?);
        let (kind, fields) = match (before, after) {
            (None, Some((fields, _))) => (EntryChangeKind::Added, differing(&Fields::new(), &fields)),
            (Some((fields, _)), None) => (EntryChangeKind::Removed, differing(&Fields::new(), &fields)),
            (Some((old, _)), Some((new, _))) => (EntryChangeKind::Changed, differing(&old, &new)),
            (None, None) => continue,
        };
        changes.push(EntryChange { key, change: kind, fields: fields.into_iter().collect() });
    }
    Ok((changes, total))
}

pub(crate) fn diff_definitions(
    objects: &TenantObjects,
    old: &Digest,
    new: &Digest,
) -> Result<Vec<DefinitionChange>, ReleaseError> {
    if old == new {
        return Ok(Vec::new());
    }
    let (old, new) = (file_digests(objects, old)?, file_digests(objects, new)?);
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    Ok(paths
        .into_iter()
        .filter_map(|path| {
            let change = match (old.get(path), new.get(path)) {
                (None, Some(_)) => EntryChangeKind::Added,
                (Some(_), None) => EntryChangeKind::Removed,
                (old, new) if old != new => EntryChangeKind::Changed,
                _ => return None,
            };
            Some(DefinitionChange { path: path.clone(), change })
        })
        .collect())
}
