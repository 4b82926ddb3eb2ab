//! Bringing the tree of meaning to the next release: the cost is that of the segments that differ, not of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::Digest;
use ashlar_retrieval::{basis::SegmentVectors, segment::Segment};
use ashlar_store::{Batch, ReadObjects, Tree};

use super::{
    key::{SegmentValue, ShelfName, shelf_of, vector_key},
    meaning::{CHUNKS_MIN, Count, Counts, Maker, QUICK_EMBEDDED_MAX, Segments, Taught, open_once},
};
use crate::error::DeliveryError;

/// With more changed segments, everything is looked at.
const CHANGES_MAX: usize = 1_024;

impl Taught {
    /// The count of a shelf after some of its segments changed; `None` when it is not known what the old ones added.
    fn next(
        &self,
        mut count: Count,
        (gone, new): (&[SegmentValue], &[SegmentValue]),
        open: &mut dyn FnMut(&Digest) -> Result<Arc<Segment>, DeliveryError>,
    ) -> Result<Option<Count>, DeliveryError> {
        for value in new {
            count.all += u64::from(value.chunks);
            count.fresh += self.fresh_in(&value.digest, open)?;
        }
        for value in gone {
            let Some(fresh) = self.known_fresh_in(&value.digest) else { return Ok(None) };
            let less = (count.all.checked_sub(value.chunks.into()), count.fresh.checked_sub(fresh));
            let (Some(all), Some(fresh)) = less else { return Ok(None) };
            count = Count { all, fresh };
        }
        Ok(Some(count))
    }
}

impl Maker<'_> {
    /// Adds the edits for what differs from the search tree that `earlier` was built from. `false` when everything has to be looked at;
    /// then nothing was added.
    pub(super) fn advance(&mut self, earlier: &Tree, batch: &Batch) -> Result<bool, DeliveryError> {
        let (input, content): (_, &dyn ReadObjects) = (self.input, batch);
        let Some(before) = input.earlier_search else { return Ok(false) };
        let Some(counts) = input.learned.counts(before, earlier) else { return Ok(false) };
        let mut counts = Counts::clone(&counts);
        let mut changed: BTreeMap<ShelfName, (Segments, Segments)> = BTreeMap::new();
        for (number, change) in before.diff(input.search).enumerate() {
            let change = change?;
            if number >= CHANGES_MAX || !change.key.starts_with(b"s\0") {
                return Ok(false);
            }
            let (index, locale) = shelf_of(&change.key)?;
            let (gone, new) = changed.entry((index.to_owned(), locale.to_owned())).or_default();
            gone.extend(change.old.map(|old| SegmentValue::from_bytes(&old)).transpose()?);
            new.extend(change.new.map(|new| SegmentValue::from_bytes(&new)).transpose()?);
        }
        let mut opened = BTreeMap::new();
        let mut open = |digest: &Digest| open_once(&mut opened, content, digest);
        let (mut edits, mut embedded) = (Vec::new(), 0_u64);
        for (name, (gone, new)) in &changed {
            let (index, locale) = (name.0.as_str(), name.1.as_str());
            let Some(count) = counts.get_mut(name) else { return Ok(false) };
            let Some((basis, taught)) = input.learned.at(earlier, (index, locale), content)? else {
                return Ok(false);
            };
            let Some(next) = taught.next(*count, (gone, new), &mut open)? else { return Ok(false) };
            if taught.is_outgrown(next) || next.all < CHUNKS_MIN {
                return Ok(false);
            }
            *count = next;
            let digests = |values: &Segments| values.iter().map(|v| v.digest).collect::<BTreeSet<_>>();
            let (gone, new) = (digests(gone), digests(new));
            for digest in new.difference(&gone) {
                let segment = open(digest)?;
                embedded += segment.len() as u64;
                if input.quick && embedded > QUICK_EMBEDDED_MAX {
                    return Ok(false);
                }
                let vectors = SegmentVectors::of(&segment, &basis).encode();
                edits.push((vector_key(index, locale, digest), Some(vectors)));
            }
            edits.extend(gone.difference(&new).map(|digest| (vector_key(index, locale, digest), None)));
        }
        for (key, vectors) in edits {
            let value = vectors.map(|vectors| self.put(vectors));
            self.edits.insert(key, value);
        }
        self.counts = counts;
        Ok(true)
    }
}
