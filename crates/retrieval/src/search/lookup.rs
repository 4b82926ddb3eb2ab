//! Looking up terms in all parts of a shelf.
//!
//! A shelf of a million chunks has thousands of parts, and the table of each is in another place of memory. So every step is taken for many
//! parts before the next step needs what it read: memory then answers many reads at a time.

use std::ops::Range;

use super::{Shelf, choice::Choice};
use crate::segment::{Slot, slot_at};

/// Parts whose tables are read before the first of them is needed.
const BLOCK: usize = 128;

/// A term in one part.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub part: usize,
    /// The number of the term among those that were looked up.
    pub of: usize,
    /// Its number in the segment.
    pub term: u16,
    pub postings: Range<u32>,
    name: Range<u32>,
}

/// Finds terms, which come with their hashes, in the parts of which something is looked at. Ordered by part, then by term.
pub(super) fn lookup(shelf: &Shelf, choices: &[Choice], terms: &[(&str, u64)]) -> Vec<Place> {
    let mut out = Vec::new();
    if terms.is_empty() {
        return out;
    }
    let parts: Vec<usize> = (0..shelf.parts.len()).filter(|part| choices[*part].count > 0).collect();
    let mut firsts: Vec<Slot> = Vec::with_capacity(BLOCK * terms.len());
    for parts in parts.chunks(BLOCK) {
        firsts.clear();
        for part in parts {
            let table = &*shelf.tables[*part];
            firsts.extend(terms.iter().map(|(_, hash)| slot_at(table, *hash)));
        }
        let begun = out.len();
        for (part, firsts) in parts.iter().zip(firsts.chunks(terms.len())) {
            let table = &*shelf.tables[*part];
            for (of, ((_, hash), first)) in terms.iter().zip(firsts).enumerate() {
                if let Some(term) = first.candidate(table, *hash) {
                    out.push(Place { part: *part, of, term, postings: 0..0, name: 0..0 });
                }
            }
        }
        for place in &mut out[begun..] {
            (place.name, place.postings) = shelf.parts[place.part].segment.ranges(place.term);
        }
        let mut kept = begun;
        for at in begun..out.len() {
            let (segment, (term, hash)) = (&shelf.parts[out[at].part].segment, terms[out[at].of]);
            if !segment.is_named(out[at].name.clone(), term) {
                // Another term has the same place and the same bits of its hash.
                let Some(found) = segment.find(term, hash) else { continue };
                out[at].term = found;
                out[at].postings = segment.posting_range(found);
            }
            out.swap(kept, at);
            kept += 1;
        }
        out.truncate(kept);
    }
    out
}
