//! Entries of a type and a locale are cut into *runs*, in the order of their ids. An entry begins a run when the hash of its key is low
//! enough for its length, whatever is around it. So the same entries give the same runs, and a changed entry changes one
//! or two of them. A run becomes one segment for each index, or a few when it is long.

use std::ops::Bound;

use ashlar_model::{EntryId, EntryKey, EntryRecord, Locale, TypeName};
use ashlar_store::Tree;

use super::key::SegmentKey;
use crate::error::DeliveryError;

/// What the entries of a run have together, in bytes of their objects, on average.
const RUN_BYTES: u64 = 64 << 10;

/// What names a run: the entry that begins it, or nothing for the entries before the first of those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) type_name: TypeName,
    pub(super) locale: Locale,
    pub(super) start: Option<EntryId>,
}

impl Run {
    /// The key of its segments in an index.
    pub(super) fn key<'a>(&'a self, index: &'a str) -> SegmentKey<'a> {
        SegmentKey {
            index,
            locale: self.locale.as_str(),
            type_name: self.type_name.as_str(),
            start: self.start.as_ref().map(EntryId::as_str).unwrap_or_default(),
        }
    }
}

pub(super) type Entry = (EntryKey, EntryRecord);

/// Whether an entry begins a run.
pub(super) fn begins(key: &[u8], record: &EntryRecord) -> bool {
    let hash = blake3::hash(key);
    let low = hash.as_bytes().iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    u128::from(low) * u128::from(RUN_BYTES) < u128::from(record.len.max(1)) << 64
}

pub(super) fn read(
    item: Result<(bytes::Bytes, bytes::Bytes), ashlar_store::StoreError>,
) -> Result<(bytes::Bytes, Entry), DeliveryError> {
    let (key, record) = item?;
    let entry = (EntryKey::from_bytes(&key)?, EntryRecord::from_bytes(&record)?);
    Ok((key, entry))
}

/// The run that an entry with this key is or would be in.
pub(super) fn run_of(snapshot: &Tree, entry: &EntryKey) -> Result<Run, DeliveryError> {
    let (from, to) = (EntryKey::type_prefix(&entry.type_name), entry.to_bytes());
    let before = snapshot.range(Bound::Included(&from), Bound::Included(&to));
    let mut start = None;
    for item in before.rev() {
        let (key, (found, record)) = read(item)?;
        if found.locale == entry.locale && begins(&key, &record) {
            start = Some(found.id);
            break;
        }
    }
    Ok(Run { type_name: entry.type_name.clone(), locale: entry.locale.clone(), start })
}

/// The entries of a run; none when it no longer exists.
pub(super) fn entries_of(snapshot: &Tree, run: &Run) -> Result<Vec<Entry>, DeliveryError> {
    let prefix = EntryKey::type_prefix(&run.type_name);
    let from = match &run.start {
        None => prefix.clone(),
        Some(id) => {
            let key =
                EntryKey { type_name: run.type_name.clone(), id: id.clone(), locale: run.locale.clone() };
            let key = key.to_bytes();
            match snapshot.get(&key)? {
                Some(record) if begins(&key, &EntryRecord::from_bytes(&record)?) => key,
                _ => return Ok(Vec::new()),
            }
        }
    };
    let mut out = Vec::new();
    for item in snapshot.range(Bound::Included(&from), Bound::Unbounded) {
        let (key, entry) = read(item)?;
        if !key.starts_with(&prefix) {
            break;
        }
        if entry.0.locale != run.locale {
            continue;
        }
        if begins(&key, &entry.1) && run.start.as_ref() != Some(&entry.0.id) {
            break;
        }
        out.push(entry);
    }
    Ok(out)
}
