//! What is known of a run before it is written: the chunks of entries that have not changed are copied, and their texts are not read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use ashlar_retrieval::segment::Segment;
use ashlar_store::ReadObjects;
use bytes::Bytes;

use super::key::SegmentValue;

/// A segment by its number, and some of its chunks.
pub(super) type Chunks = (usize, Range<usize>);

/// The segments of a run as it was, and what has changed since.
pub(super) struct Known<'a> {
    pub(super) segments: Vec<Segment>,
    /// The chunks of each entry, by index and by the key of the entry.
    entries: BTreeMap<(String, Vec<u8>), Vec<Chunks>>,
    changed: &'a BTreeSet<Vec<u8>>,
}

impl<'a> Known<'a> {
    /// Reads the segments of a run, in order, each with its index. `None` when one of them cannot be read, or when an entry was too
    /// long: how much was left out is not known of each.
    pub(super) fn of(
        old: &[(String, Bytes)],
        changed: &'a BTreeSet<Vec<u8>>,
        content: &dyn ReadObjects,
    ) -> Option<Self> {
        let (mut segments, mut entries) = (Vec::with_capacity(old.len()), BTreeMap::new());
        for (index, value) in old {
            let value = SegmentValue::from_bytes(value).ok().filter(|value| value.left_out == 0)?;
            let segment = Segment::open(&content.get(&value.digest).ok()?).ok()?;
            for (number, chunk) in segment.chunks().enumerate() {
                let key = (index.clone(), chunk.entry.to_vec());
                let chunks: &mut Vec<Chunks> = entries.entry(key).or_default();
                match chunks.last_mut() {
                    Some((place, range)) if *place == segments.len() && range.end == number => {
                        range.end = number + 1;
                    }
                    _ => chunks.push((segments.len(), number..number + 1)),
                }
            }
            segments.push(segment);
        }
        Some(Self { segments, entries, changed })
    }

    /// The chunks of an entry that has not changed and had some.
    pub(super) fn chunks(&self, index: &str, key: &[u8]) -> Option<&[Chunks]> {
        let found = self.entries.get(&(index.to_owned(), key.to_vec()))?;
        (!self.changed.contains(key)).then_some(found)
    }
}
