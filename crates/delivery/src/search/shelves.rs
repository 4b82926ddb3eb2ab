//! The opened shelves of releases: the segments of one index in one locale, with their vectors.
//!
//! Segments are named by their digest, so releases share them: a shelf of the next release opens only what is new. It is made from
//! the shelf of another release that is open, and the difference of the two.

use std::{
    collections::VecDeque,
    hash::BuildHasher,
    sync::{Arc, Mutex},
};

use ashlar_model::Digest;
use ashlar_store::{TenantObjects, Tree};
use rustc_hash::FxBuildHasher;

use super::{
    key::{SegmentValue, shelf_prefix},
    opened::{Opened, lock},
    shelf::{OpenShelf, Reading, SearchTrees},
};
use crate::error::DeliveryError;

/// Bytes of shelves that stay open, unless one alone has more.
const OPEN_BYTES_MAX: usize = 1 << 30;

/// Larger shelves are opened when somebody searches them.
const WARM_CHUNKS_MAX: u64 = 20_000;
/// Shelves that are opened at a time.
const OPENING: usize = 64;

/// What names a shelf: the trees it is from, its index and its locale.
type Name = (Digest, Option<Digest>, String, String);

#[derive(Default)]
struct Inner {
    /// The one that was used last at the end.
    open: VecDeque<(Name, Arc<OpenShelf>)>,
}

/// Shelves that are open in this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shelves {
    inner: Arc<Mutex<Inner>>,
    opened: Arc<Opened>,
    /// Shelves with the same place here are opened one at a time: all who ask a new release would otherwise open the same one.
    opening: Arc<[Mutex<()>; OPENING]>,
}

impl Default for Shelves {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            opened: Arc::default(),
            opening: Arc::new(std::array::from_fn(|_| Mutex::default())),
        }
    }
}

impl Shelves {
    fn known(&self, name: &Name) -> Option<Arc<OpenShelf>> {
        let mut inner = lock(&self.inner);
        let at = inner.open.iter().position(|(known, _)| known == name)?;
        let found = inner.open.remove(at)?;
        inner.open.push_back(found.clone());
        Some(found.1)
    }

    /// Whether a shelf is open.
    fn is_open(&self, trees: &SearchTrees, (index, locale): (&str, &str)) -> bool {
        let meaning = trees.meaning.as_ref().map(Tree::root);
        let name = (trees.search.root(), meaning, index.to_owned(), locale.to_owned());
        lock(&self.inner).open.iter().any(|(known, _)| *known == name)
    }

    /// The id of the model of a shelf that is open.
    pub(crate) fn model(&self, trees: &SearchTrees, name: (&str, &str)) -> Option<String> {
        let meaning = trees.meaning.as_ref().map(Tree::root);
        let open = self.known(&(trees.search.root(), meaning, name.0.to_owned(), name.1.to_owned()))?;
        open.shelf.basis().map(|basis| basis.model().to_owned()).filter(|model| !model.is_empty())
    }

    /// Opens a shelf before it is searched, if it is small, or was open in the release before. What nobody searches takes no memory.
    pub(crate) fn warm(
        &self,
        objects: &TenantObjects,
        trees: &SearchTrees,
        before: Option<&SearchTrees>,
        name: (&str, &str),
    ) -> Result<(), DeliveryError> {
        if before.is_some_and(|before| self.is_open(before, name)) {
            if let Some(open) = self.open(objects, trees, name)?
                && open.shelf.len() as u64 <= WARM_CHUNKS_MAX
            {
                open.shelf.warm();
            }
            return Ok(());
        }
        let mut chunks = 0_u64;
        for item in trees.search.prefix(&shelf_prefix(name.0, name.1)) {
            chunks += u64::from(SegmentValue::from_bytes(&item?.1)?.chunks);
        }
        if chunks <= WARM_CHUNKS_MAX
            && let Some(open) = self.open(objects, trees, name)?
        {
            open.shelf.warm();
        }
        Ok(())
    }

    /// The shelf of an index in a locale; `None` when nothing is on it. Reads objects and blocks.
    pub(crate) fn open(
        &self,
        objects: &TenantObjects,
        trees: &SearchTrees,
        (index, locale): (&str, &str),
    ) -> Result<Option<Arc<OpenShelf>>, DeliveryError> {
        let meaning = trees.meaning.as_ref().map(Tree::root);
        let name = (trees.search.root(), meaning, index.to_owned(), locale.to_owned());
        if let Some(known) = self.known(&name) {
            return Ok(Some(known));
        }
        let place = FxBuildHasher.hash_one(&name);
        let _one = lock(&self.opening[usize::try_from(place % OPENING as u64).unwrap_or(0)]);
        if let Some(known) = self.known(&name) {
            return Ok(Some(known));
        }
        let Some(opened) = self.make(objects, trees, (index, locale))? else { return Ok(None) };
        let opened = Arc::new(opened);
        let mut inner = lock(&self.inner);
        inner.open.push_back((name, opened.clone()));
        while inner.open.len() > 1
            && inner.open.iter().map(|(_, shelf)| shelf.bytes).sum::<usize>() > OPEN_BYTES_MAX
        {
            inner.open.pop_front();
        }
        Ok(Some(opened))
    }

    fn make(
        &self,
        objects: &TenantObjects,
        trees: &SearchTrees,
        (index, locale): (&str, &str),
    ) -> Result<Option<OpenShelf>, DeliveryError> {
        // Vectors are a help: without them words answer.
        let basis = trees.meaning.as_ref().and_then(|meaning| {
            self.opened
                .basis(objects, meaning, (index, locale))
                .inspect_err(
                    |error| tracing::warn!(%error, index, locale, "the basis of an index cannot be read"),
                )
                .ok()
                .flatten()
        });
        let (basis_name, basis) = basis.unzip();
        let before = {
            let inner = lock(&self.inner);
            let same = |(name, open): &&(Name, Arc<OpenShelf>)| {
                name.2 == index && name.3 == locale && open.tenant == *objects.tenant()
            };
            inner.open.iter().rev().find(same).map(|(_, before)| before.clone())
        };
        let same_basis = |before: &Arc<OpenShelf>| {
            before.basis == basis_name && before.shelf.basis().is_some() == basis_name.is_some()
        };
        let before = before.filter(same_basis);
        let reading = Reading { opened: &self.opened, objects, trees, index, locale, basis, basis_name };
        if let Some(before) = before {
            // What the shelf before is from may be gone.
            let next =
                reading.next(&before).inspect_err(|error| tracing::debug!(%error, "all of a shelf is read"));
            if let Ok(Some(next)) = next {
                return Ok(Some(next));
            }
        }
        reading.all()
    }
}
