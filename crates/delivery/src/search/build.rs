//! Building the search tree, and bringing it to another snapshot.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Digest, EntryKey, Locale};
use ashlar_store::{Batch, ReadObjects, Tree};

use super::{
    key::RULES,
    known::Known,
    rules::SearchRules,
    runs::{Entry, Run, begins, entries_of, read, run_of},
    writer::{Edit, Writer},
};
use crate::error::DeliveryError;

/// When more than one entry in so many has changed, the whole tree is built: walking back to the begin of each run costs more.
const CHANGED_SHARE: u64 = 8;
/// How many edits are applied at a time.
const EDITS_PER_STEP: usize = 50_000;

fn apply(tree: Tree, mut edits: Vec<Edit>, batch: &mut Batch) -> Result<Tree, DeliveryError> {
    edits.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut tree = tree;
    for step in edits.chunks(EDITS_PER_STEP) {
        tree = tree.apply(step, batch)?;
    }
    Ok(tree)
}

/// Builds the search tree of a whole snapshot. New nodes and segments go to `batch`.
///
/// # Errors
/// When an entry cannot be read.
pub fn build(
    rules: &SearchRules<'_>,
    content: &dyn ReadObjects,
    snapshot: &Tree,
    batch: &mut Batch,
) -> Result<Tree, DeliveryError> {
    let mut writer = Writer::new(rules, content);
    let mut edits = vec![rules_edit(rules, batch)];
    // The runs that are open, by locale.
    let mut open: BTreeMap<Locale, (Run, Vec<Entry>)> = BTreeMap::new();
    for item in snapshot.prefix(b"") {
        let (key, entry) = read(item)?;
        let locale = &entry.0.locale;
        let begins = begins(&key, &entry.1);
        let other = |run: &Run| run.type_name != entry.0.type_name;
        if open.values().next().is_some_and(|(run, _)| other(run)) {
            for (run, entries) in std::mem::take(&mut open).into_values() {
                writer.write(&run, &entries, None, batch, &mut edits)?;
            }
        }
        let start = begins.then(|| entry.0.id.clone());
        let run = Run { type_name: entry.0.type_name.clone(), locale: locale.clone(), start };
        match open.get_mut(locale) {
            Some((_, entries)) if !begins => entries.push(entry),
            _ => {
                if let Some((run, entries)) = open.insert(locale.clone(), (run, vec![entry])) {
                    writer.write(&run, &entries, None, batch, &mut edits)?;
                }
            }
        }
    }
    for (run, entries) in open.into_values() {
        writer.write(&run, &entries, None, batch, &mut edits)?;
    }
    apply(Tree::empty(), edits, batch)
}

fn rules_edit(rules: &SearchRules<'_>, batch: &mut Batch) -> Edit {
    (RULES.to_vec(), Some(batch.put(rules.written().to_vec()).as_bytes().to_vec()))
}

/// Brings the search tree `old` of the snapshot `before` to `after`; the cost is that of the runs with changed entries. `None` when
/// `old` was built with other rules, or so much has changed that building it costs less.
///
/// # Errors
/// When an entry cannot be read.
pub fn update(
    old: &Tree,
    rules: &SearchRules<'_>,
    content: &dyn ReadObjects,
    before: &Tree,
    after: &Tree,
    batch: &mut Batch,
) -> Result<Option<Tree>, DeliveryError> {
    if old.get(RULES)?.as_deref() != Some(rules.digest().as_bytes()) {
        return Ok(None);
    }
    let mut runs: BTreeSet<Run> = BTreeSet::new();
    let mut changed: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (count, change) in (0_u64..).zip(before.diff(after)) {
        if count > 64 && count > after.len() / CHANGED_SHARE {
            return Ok(None);
        }
        let bytes = change?.key;
        let key = EntryKey::from_bytes(&bytes)?;
        runs.insert(run_of(before, &key)?);
        runs.insert(run_of(after, &key)?);
        changed.insert(bytes.to_vec());
    }
    let mut writer = Writer::new(rules, content);
    let mut written = Vec::new();
    let mut gone: BTreeMap<Vec<u8>, bytes::Bytes> = BTreeMap::new();
    for run in &runs {
        let mut segments = Vec::new();
        for index in rules.indexes() {
            for item in old.prefix(&run.key(index).prefix()) {
                let (key, value) = item?;
                segments.push((index.to_owned(), value.clone()));
                gone.insert(key.to_vec(), value);
            }
        }
        let known = Known::of(&segments, &changed, content);
        writer.write(run, &entries_of(after, run)?, known.as_ref(), batch, &mut written)?;
    }
    let mut edits: Vec<Edit> = Vec::new();
    for (key, value) in written {
        let same = gone.remove(&key).is_some_and(|old| value.as_deref() == Some(&*old));
        if !same {
            edits.push((key, value));
        }
    }
    edits.extend(gone.into_keys().map(|key| (key, None)));
    apply(old.clone(), edits, batch).map(Some)
}

/// The search tree of `after`: updated from an earlier one where that is possible, else built.
///
/// # Errors
/// When an entry cannot be read.
pub fn derive(
    earlier: Option<(&Tree, &Tree)>,
    rules: &SearchRules<'_>,
    content: &dyn ReadObjects,
    after: &Tree,
    batch: &mut Batch,
) -> Result<Tree, DeliveryError> {
    if let Some((old, before)) = earlier
        && let Some(updated) = update(old, rules, content, before, after, batch)?
    {
        return Ok(updated);
    }
    build(rules, content, after, batch)
}

/// The digest of the rules that a search tree was built with.
pub(super) fn rules_of(tree: &Tree) -> Result<Option<Digest>, DeliveryError> {
    let value = tree.get(RULES)?;
    Ok(value.and_then(|v| v.first_chunk::<32>().copied()).map(Digest::from_bytes))
}
