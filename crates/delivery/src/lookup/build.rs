use ashlar_model::{Digest, EntryKey, EntryRecord, Fields};
use ashlar_store::{Batch, ReadObjects, Tree};

use super::{
    facts::{Keys, LookupRules},
    tree::{Lookup, RULES},
};
use crate::error::DeliveryError;

/// How many edits are applied at a time when a tree is built. They come in key order, so that only the right edge
/// of the tree is written more than once.
const EDITS_PER_STEP: usize = 50_000;

type Edit = (Vec<u8>, Option<Vec<u8>>);

/// The fields of an entry.
pub(crate) fn fields(content: &dyn ReadObjects, digest: &Digest) -> Result<Fields, DeliveryError> {
    serde_json::from_slice(&content.get(digest)?).map_err(|_| DeliveryError::Object(*digest))
}

/// Keys with their values in one buffer, so that millions of them stay small.
#[derive(Default)]
struct Arena {
    bytes: Vec<u8>,
    /// Offset, length of the key, length of the value.
    items: Vec<(usize, u32, u32)>,
}

impl Arena {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.items.push((self.bytes.len(), key.len() as u32, value.len() as u32));
        self.bytes.extend(key);
        self.bytes.extend(value);
    }

    fn key(&self, item: &(usize, u32, u32)) -> &[u8] {
        &self.bytes[item.0..item.0 + item.1 as usize]
    }

    fn value(&self, item: &(usize, u32, u32)) -> &[u8] {
        let start = item.0 + item.1 as usize;
        &self.bytes[start..start + item.2 as usize]
    }

    fn into_tree(mut self, batch: &mut Batch) -> Result<Tree, DeliveryError> {
        let mut items = std::mem::take(&mut self.items);
        items.sort_unstable_by(|a, b| self.key(a).cmp(self.key(b)));
        let mut tree = Tree::empty();
        for step in items.chunks(EDITS_PER_STEP) {
            let edits: Vec<Edit> =
                step.iter().map(|i| (self.key(i).to_vec(), Some(self.value(i).to_vec()))).collect();
            tree = tree.apply(&edits, batch)?;
        }
        Ok(tree)
    }
}

/// Builds the look-up tree of a whole snapshot; new nodes go to `batch`.
///
/// # Errors
/// When an entry cannot be read.
pub fn build(
    rules: &LookupRules<'_>,
    content: &dyn ReadObjects,
    snapshot: &Tree,
    batch: &mut Batch,
) -> Result<Lookup, DeliveryError> {
    let mut arena = Arena::default();
    let mut keys = Keys::new();
    for item in snapshot.prefix(b"") {
        let (key, record) = item?;
        let (key, record) = (EntryKey::from_bytes(&key)?, EntryRecord::from_bytes(&record)?);
        rules.keys(&key, &record, &fields(content, &record.digest)?, &mut keys);
        for (k, v) in &keys {
            arena.push(k, v);
        }
        keys.clear();
    }
    arena.push(RULES, rules.digest().as_bytes());
    Ok(Lookup::new(arena.into_tree(batch)?))
}

/// Brings the look-up tree `old` of the snapshot `before` to `after`; the cost is that of the changed entries. `None`
/// when `old` was built with other rules: then it has to be rebuilt.
///
/// # Errors
/// When an entry cannot be read.
pub fn update(
    old: &Lookup,
    rules: &LookupRules<'_>,
    content: &dyn ReadObjects,
    before: &Tree,
    after: &Tree,
    batch: &mut Batch,
) -> Result<Option<Lookup>, DeliveryError> {
    if old.tree().get(RULES)?.as_deref() != Some(rules.digest().as_bytes()) {
        return Ok(None);
    }
    let (mut gone, mut here) = (Keys::new(), Keys::new());
    for change in before.diff(after) {
        let change = change?;
        let key = EntryKey::from_bytes(&change.key)?;
        for (record, keys) in [(change.old, &mut gone), (change.new, &mut here)] {
            if let Some(record) = record {
                let record = EntryRecord::from_bytes(&record)?;
                rules.keys(&key, &record, &fields(content, &record.digest)?, keys);
            }
        }
    }
    let mut edits: std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>> =
        gone.iter().filter(|(k, _)| !here.contains_key(*k)).map(|(k, _)| (k.clone(), None)).collect();
    edits.extend(here.into_iter().filter(|(k, v)| gone.get(k) != Some(v)).map(|(k, v)| (k, Some(v))));
    let edits: Vec<Edit> = edits.into_iter().collect();
    Ok(Some(Lookup::new(old.tree().apply(&edits, batch)?)))
}

/// The look-up tree of `after`: updated from an earlier one where the rules allow it, else built.
///
/// # Errors
/// When an entry cannot be read.
pub fn derive(
    earlier: Option<(&Lookup, &Tree)>,
    rules: &LookupRules<'_>,
    content: &dyn ReadObjects,
    after: &Tree,
    batch: &mut Batch,
) -> Result<Lookup, DeliveryError> {
    if let Some((old, before)) = earlier
        && let Some(updated) = update(old, rules, content, before, after, batch)?
    {
        return Ok(updated);
    }
    build(rules, content, after, batch)
}
