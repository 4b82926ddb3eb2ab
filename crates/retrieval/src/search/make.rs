//! Making shelves: from parts, or from the shelf before and what is another.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::{Part, Shelf};
use crate::{access::Attributes, basis::Basis, text::Analyzer};

/// So many attributes that no part has any more may stay in the list, besides as many as there were.
const ATTRIBUTES_KEPT: usize = 256;

/// Where a part of a shelf comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The part with this number of the shelf before.
    Same(usize),
    /// Another part.
    New(Part),
}

impl Shelf {
    /// A shelf of parts, in the order in which equal hits are listed.
    #[must_use]
    pub fn new(parts: Vec<Part>, basis: Option<Arc<Basis>>, analyzer: Arc<Analyzer>) -> Self {
        let parts = parts.into_iter().map(Source::New).collect();
        Self::of(None, parts, basis, analyzer)
    }

    /// The shelf that follows this one, with the same basis: the cost is that of the new parts, and little for each other. `None`
    /// when all of it must be made again.
    #[must_use]
    pub fn next(&self, parts: Vec<Source>) -> Option<Self> {
        // Attributes that no part has any more stay in the list.
        let crowded = self.attributes.len() > self.attributes_anew * 2 + ATTRIBUTES_KEPT;
        let known = |source: &Source| match source {
            Source::Same(number) => *number < self.parts.len(),
            Source::New(_) => true,
        };
        let fits = !crowded && parts.iter().all(known);
        fits.then(|| Self::of(Some(self), parts, self.basis.clone(), self.analyzer.clone()))
    }

    fn of(
        before: Option<&Self>,
        sources: Vec<Source>,
        basis: Option<Arc<Basis>>,
        analyzer: Arc<Analyzer>,
    ) -> Self {
        let mut shelf = Self {
            parts: Vec::with_capacity(sources.len()),
            basis: None,
            analyzer,
            starts: Vec::with_capacity(sources.len() + 1),
            attributes: before.map(|before| before.attributes.clone()).unwrap_or_default(),
            attributes_anew: 0,
            tables: Vec::with_capacity(sources.len()),
            part_attributes: Vec::with_capacity(sources.len()),
            part_attributes_ends: Vec::with_capacity(sources.len()),
            vocabulary: OnceLock::new(),
        };
        shelf.starts.push(0);
        let numbered = (0_u32..).zip(&shelf.attributes).map(|(number, own)| (own.clone(), number));
        let mut numbers: FxHashMap<Attributes, u32> = numbered.collect();
        // Vectors of another basis mean something else, and without those of all parts the legs cannot be compared.
        let fits = |part: &Part, basis: &Basis| {
            part.vectors.as_ref().is_some_and(|vectors| {
                vectors.len() == part.segment.len() && vectors.dimensions() == basis.dimensions()
            })
        };
        let (mut basis, mut new) = (basis, Vec::new());
        for source in sources {
            let (part, count, table) = match (source, before) {
                (Source::Same(at), Some(before)) => {
                    shelf.part_attributes.extend_from_slice(before.attributes_of(at));
                    let count = before.starts[at + 1] - before.starts[at];
                    (before.parts[at].clone(), count, before.tables[at].clone())
                }
                (Source::Same(_), None) => continue,
                (Source::New(part), _) => {
                    let attributes = &mut shelf.attributes;
                    let own = part.segment.attributes().iter().map(|own| {
                        *numbers.entry(own.clone()).or_insert_with(|| {
                            attributes.push(own.clone());
                            u32::try_from(attributes.len() - 1).unwrap_or(u32::MAX)
                        })
                    });
                    shelf.part_attributes.extend(own);
                    basis = basis.filter(|basis| fits(&part, basis));
                    if before.is_some() {
                        new.push(part.segment.clone());
                    }
                    let count = u32::try_from(part.segment.len()).unwrap_or(u32::MAX);
                    let table = part.segment.table();
                    (part, count, table)
                }
            };
            let last = shelf.starts.last().copied().unwrap_or(0);
            shelf.starts.push(last.saturating_add(count));
            let end = u32::try_from(shelf.part_attributes.len()).unwrap_or(u32::MAX);
            shelf.part_attributes_ends.push(end);
            shelf.tables.push(table);
            shelf.parts.push(part);
        }
        let words = before.and_then(|before| before.vocabulary.get());
        if let Some(next) = words.and_then(|words| words.next(new.iter().map(|segment| &**segment))) {
            shelf.vocabulary = OnceLock::from(next);
        }
        shelf.basis = basis;
        shelf.attributes_anew = before.map_or(shelf.attributes.len(), |before| before.attributes_anew);
        shelf
    }

    /// The numbers of the attributes of a part.
    pub(super) fn attributes_of(&self, part: usize) -> &[u32] {
        let end = |part: usize| self.part_attributes_ends.get(part).map_or(0, |end| *end as usize);
        let from = part.checked_sub(1).map_or(0, end);
        self.part_attributes.get(from..end(part)).unwrap_or_default()
    }
}
