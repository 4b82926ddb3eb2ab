//! Building the search tree.
//!
//! Entries of a type and a locale are cut into *runs*, in the order of their ids. An entry begins a run when the hash of its key is low
//! enough for its length, whatever is around it. So the same entries give the same runs, and a changed entry changes one
//! or two of them. A run becomes one segment for each index, or a few when it is long.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use ashlar_model::{Digest, EntryId, EntryKey, EntryRecord, Locale, TypeName};
use ashlar_retrieval::{
    segment::{Passage, SegmentWriter},
    text::Analyzer,
};
use ashlar_store::{Batch, ReadObjects, Tree};

use super::{
    key::{RULES, SegmentKey, SegmentValue},
    rules::{SearchRules, analyzer},
};
use crate::{error::DeliveryError, lookup::fields};

/// What the entries of a run have together, in bytes of their objects, on average.
const RUN_BYTES: u64 = 64 << 10;
/// When more than one entry in so many has changed, the whole tree is built: walking back to the begin of each run costs more.
const CHANGED_SHARE: u64 = 8;
/// How many edits are applied at a time.
const EDITS_PER_STEP: usize = 50_000;

type Edit = (Vec<u8>, Option<Vec<u8>>);

/// What names a run: the entry that begins it, or nothing for the entries before the first of those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    type_name: TypeName,
    locale: Locale,
    start: Option<EntryId>,
}

type Entry = (EntryKey, EntryRecord);

/// Whether an entry begins a run.
fn begins(key: &[u8], record: &EntryRecord) -> bool {
    let hash = blake3::hash(key);
    let low = hash.as_bytes().iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    u128::from(low) * u128::from(RUN_BYTES) < u128::from(record.len.max(1)) << 64
}

fn read(
    item: Result<(bytes::Bytes, bytes::Bytes), ashlar_store::StoreError>,
) -> Result<(bytes::Bytes, Entry), DeliveryError> {
    let (key, record) = item?;
    let entry = (EntryKey::from_bytes(&key)?, EntryRecord::from_bytes(&record)?);
    Ok((key, entry))
}

/// The run that an entry with this key is or would be in.
fn run_of(snapshot: &Tree, entry: &EntryKey) -> Result<Run, DeliveryError> {
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
fn entries_of(snapshot: &Tree, run: &Run) -> Result<Vec<Entry>, DeliveryError> {
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

/// Writes the segments of runs.
struct Writer<'r> {
    rules: &'r SearchRules<'r>,
    content: &'r dyn ReadObjects,
    analyzers: BTreeMap<Locale, Analyzer>,
}

impl<'r> Writer<'r> {
    fn new(rules: &'r SearchRules<'r>, content: &'r dyn ReadObjects) -> Self {
        Self { rules, content, analyzers: BTreeMap::new() }
    }

    /// Adds the segments of a run to `out`, in the order of their keys for one index.
    fn write(
        &mut self,
        run: &Run,
        entries: &[Entry],
        batch: &mut Batch,
        out: &mut Vec<Edit>,
    ) -> Result<(), DeliveryError> {
        let analyzer = self.analyzers.entry(run.locale.clone()).or_insert_with(|| analyzer(&run.locale));
        let mut parts: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        for (entry, record) in entries {
            let Some(index) = self.rules.index(entry, record) else { continue };
            let fields = fields(self.content, &record.digest)?;
            let Some(document) = self.rules.document(entry, record, &fields, analyzer) else { continue };
            let parts = parts.entry(index).or_insert_with(|| Parts::new(analyzer));
            parts.left_out += document.left_out;
            let key = entry.to_bytes();
            for (chunk, text) in &document.chunks {
                parts.push(&Passage {
                    entry: &key,
                    title: &document.title,
                    chunk,
                    text,
                    attributes: &document.attributes,
                });
            }
        }
        for (index, parts) in parts {
            for (part, (bytes, chunks, left_out)) in parts.finish().into_iter().enumerate() {
                let key = SegmentKey {
                    index,
                    locale: run.locale.as_str(),
                    type_name: run.type_name.as_str(),
                    start: run.start.as_ref().map(EntryId::as_str).unwrap_or_default(),
                };
                let value = SegmentValue { digest: batch.put(bytes), chunks, left_out };
                out.push((key.part(part), Some(value.to_bytes())));
            }
        }
        Ok(())
    }
}

/// The segments of a run in one index.
struct Parts<'a> {
    analyzer: &'a Analyzer,
    writer: SegmentWriter<'a>,
    chunks: u32,
    left_out: u64,
    done: Vec<(Vec<u8>, u32, u64)>,
}

impl<'a> Parts<'a> {
    fn new(analyzer: &'a Analyzer) -> Self {
        Self { analyzer, writer: SegmentWriter::new(analyzer), chunks: 0, left_out: 0, done: Vec::new() }
    }

    fn push(&mut self, passage: &Passage<'_>) {
        if !self.writer.push(passage) {
            self.cut();
            // A segment without chunks takes any.
            let _ = self.writer.push(passage);
        }
        self.chunks += 1;
    }

    fn cut(&mut self) {
        let full = std::mem::replace(&mut self.writer, SegmentWriter::new(self.analyzer));
        let chunks = std::mem::take(&mut self.chunks);
        if chunks > 0 {
            self.done.push((full.finish(), chunks, std::mem::take(&mut self.left_out)));
        }
    }

    fn finish(mut self) -> Vec<(Vec<u8>, u32, u64)> {
        self.cut();
        self.done
    }
}

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
                writer.write(&run, &entries, batch, &mut edits)?;
            }
        }
        let start = begins.then(|| entry.0.id.clone());
        let run = Run { type_name: entry.0.type_name.clone(), locale: locale.clone(), start };
        match open.get_mut(locale) {
            Some((_, entries)) if !begins => entries.push(entry),
            _ => {
                if let Some((run, entries)) = open.insert(locale.clone(), (run, vec![entry])) {
                    writer.write(&run, &entries, batch, &mut edits)?;
                }
            }
        }
    }
    for (run, entries) in open.into_values() {
        writer.write(&run, &entries, batch, &mut edits)?;
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
    for (count, change) in (0_u64..).zip(before.diff(after)) {
        if count > 64 && count > after.len() / CHANGED_SHARE {
            return Ok(None);
        }
        let key = EntryKey::from_bytes(&change?.key)?;
        runs.insert(run_of(before, &key)?);
        runs.insert(run_of(after, &key)?);
    }
    let mut writer = Writer::new(rules, content);
    let mut written = Vec::new();
    let mut gone: BTreeMap<Vec<u8>, bytes::Bytes> = BTreeMap::new();
    for run in &runs {
        for index in rules.indexes() {
            let key = SegmentKey {
                index,
                locale: run.locale.as_str(),
                type_name: run.type_name.as_str(),
                start: run.start.as_ref().map(EntryId::as_str).unwrap_or_default(),
            };
            for item in old.prefix(&key.prefix()) {
                let (key, value) = item?;
                gone.insert(key.to_vec(), value);
            }
        }
        writer.write(run, &entries_of(after, run)?, batch, &mut written)?;
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
