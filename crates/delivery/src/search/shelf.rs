//! One opened shelf: read from its trees, or made from the shelf before and what differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{Digest, TenantId, TypeName};
use ashlar_retrieval::{
    basis::Basis,
    search::{Part, Shelf, Source},
    text::Analyzer,
};
use ashlar_store::{StoreError, TenantObjects, Tree};

use super::{
    key::{SegmentValue, shelf_prefix, vector_key, vector_prefix},
    opened::Opened,
};
use crate::error::DeliveryError;

/// With more that is another, all of a shelf is read.
const CHANGES_MAX: usize = 1_024;

/// What of a release is searched.
#[derive(Clone)]
pub(crate) struct SearchTrees {
    pub(crate) search: Tree,
    pub(crate) meaning: Option<Tree>,
}

impl SearchTrees {
    /// The same trees without the nodes that were touched.
    pub(crate) fn anew(&self) -> Result<Self, StoreError> {
        let meaning = self.meaning.as_ref().map(Tree::anew).transpose()?;
        Ok(Self { search: self.search.anew()?, meaning })
    }
}

/// An opened shelf.
pub(crate) struct OpenShelf {
    pub(crate) shelf: Shelf,
    places: Vec<Arc<Place>>,
    /// Whether something on it may be seen at some times only.
    pub(crate) timed: bool,
    pub(super) bytes: usize,
    /// Whose it is.
    pub(super) tenant: TenantId,
    /// Where it is from.
    trees: SearchTrees,
    /// What names its basis.
    pub(super) basis: Option<Digest>,
}

/// What is known of a part besides what is in it.
struct Place {
    /// The key of its segment in the search tree.
    key: Box<[u8]>,
    type_name: TypeName,
    timed: bool,
    bytes: usize,
}

impl OpenShelf {
    /// The type of the entries of a part.
    pub(crate) fn type_of(&self, part: usize) -> Option<&TypeName> {
        self.places.get(part).map(|place| &place.type_name)
    }
}

/// Makes a shelf.
pub(super) struct Reading<'a> {
    pub(super) opened: &'a Opened,
    pub(super) objects: &'a TenantObjects,
    pub(super) trees: &'a SearchTrees,
    pub(super) index: &'a str,
    pub(super) locale: &'a str,
    pub(super) basis: Option<Arc<Basis>>,
    pub(super) basis_name: Option<Digest>,
}

impl Reading<'_> {
    /// A part, by what the search tree says of it.
    fn part(&self, key: &[u8], value: &[u8]) -> Result<(Place, Part), DeliveryError> {
        let value = SegmentValue::from_bytes(value)?;
        let (index, locale) = (self.index, self.locale);
        let rest = key.get(shelf_prefix(index, locale).len()..).unwrap_or_default();
        let type_name = rest.split(|b| *b == 0).next().unwrap_or_default();
        let type_name = std::str::from_utf8(type_name).ok().and_then(|name| TypeName::new(name).ok());
        let type_name = type_name.ok_or(DeliveryError::SearchTree("a key"))?;
        let segment = self.opened.segment(self.objects, &value.digest)?;
        let vectors = self.basis.as_ref().and(self.trees.meaning.as_ref()).and_then(|meaning| {
            self.opened
                .vectors(self.objects, meaning, &vector_key(index, locale, &value.digest))
                .inspect_err(|error| tracing::warn!(%error, index, locale, "vectors cannot be read"))
                .ok()
                .flatten()
        });
        let place = Place {
            key: key.into(),
            type_name,
            timed: segment.attributes().iter().any(|a| a.times() != (None, None)),
            bytes: segment.memory() + vectors.as_ref().map_or(0, |v| v.memory()),
        };
        Ok((place, Part { segment, vectors }))
    }

    fn opened(&self, shelf: Shelf, places: Vec<Arc<Place>>) -> Result<Option<OpenShelf>, DeliveryError> {
        if places.is_empty() {
            return Ok(None);
        }
        let bytes = places.iter().map(|place| place.bytes).sum::<usize>();
        Ok(Some(OpenShelf {
            timed: places.iter().any(|place| place.timed),
            bytes: bytes + self.basis.as_ref().map_or(0, |basis| basis.memory()),
            tenant: self.objects.tenant().clone(),
            trees: self.trees.anew()?,
            basis: self.basis_name,
            shelf,
            places,
        }))
    }

    /// The shelf, from nothing that is open.
    pub(super) fn all(&self) -> Result<Option<OpenShelf>, DeliveryError> {
        let (mut parts, mut places) = (Vec::new(), Vec::new());
        for item in self.trees.search.prefix(&shelf_prefix(self.index, self.locale)) {
            let (key, value) = item?;
            let (place, part) = self.part(&key, &value)?;
            places.push(Arc::new(place));
            parts.push(part);
        }
        let shelf = Shelf::new(parts, self.basis.clone(), Arc::new(Analyzer::for_locale(self.locale)));
        self.opened(shelf, places)
    }

    /// The segments that have other vectors than in the shelf before.
    fn other_vectors(&self, before: &SearchTrees) -> Result<Option<BTreeSet<Digest>>, DeliveryError> {
        let mut out = BTreeSet::new();
        let (old, new) = match (&before.meaning, &self.trees.meaning) {
            (Some(old), Some(new)) => (old, new),
            (None, None) => return Ok(Some(out)),
            _ => return Ok(None),
        };
        let prefix = vector_prefix(self.index, self.locale);
        for (number, change) in old.diff(new).enumerate() {
            let change = change?;
            if number >= CHANGES_MAX {
                return Ok(None);
            }
            if let Some(segment) = change.key.strip_prefix(&*prefix) {
                let segment = segment.first_chunk::<32>().ok_or(DeliveryError::SearchTree("a key"))?;
                out.insert(Digest::from_bytes(*segment));
            }
        }
        Ok(Some(out))
    }

    /// The shelf, from one with the same basis: the cost is that of what differs. `None` when too much does.
    pub(super) fn next(&self, before: &OpenShelf) -> Result<Option<OpenShelf>, DeliveryError> {
        let prefix = shelf_prefix(self.index, self.locale);
        let mut changed = BTreeMap::new();
        let mut segments = BTreeSet::new();
        for (number, change) in before.trees.search.diff(&self.trees.search).enumerate() {
            let change = change?;
            if number >= CHANGES_MAX {
                return Ok(None);
            }
            if change.key.starts_with(&prefix) {
                for value in change.old.iter().chain(&change.new) {
                    segments.insert(SegmentValue::from_bytes(value)?.digest);
                }
                changed.insert(change.key, change.new);
            }
        }
        match self.other_vectors(&before.trees)? {
            Some(others) if others.is_subset(&segments) => {}
            _ => return Ok(None),
        }
        let mut sources = Vec::with_capacity(before.places.len() + changed.len());
        let mut places = Vec::with_capacity(sources.capacity());
        let mut changed = changed.into_iter().peekable();
        let mut olds = before.places.iter().enumerate().peekable();
        loop {
            let until = changed.peek().map(|(key, _)| &**key);
            while let Some((number, place)) = olds.next_if(|(_, old)| until.is_none_or(|key| *old.key < *key))
            {
                sources.push(Source::Same(number));
                places.push(place.clone());
            }
            let Some((key, value)) = changed.next() else { break };
            olds.next_if(|(_, old)| *old.key == *key);
            if let Some(value) = value {
                let (place, part) = self.part(&key, &value)?;
                places.push(Arc::new(place));
                sources.push(Source::New(part));
            }
        }
        let Some(shelf) = before.shelf.next(sources) else { return Ok(None) };
        self.opened(shelf, places)
    }
}
