//! The opened shelves of releases: the segments of one index in one locale, with their vectors.
//!
//! Segments are named by their digest, so releases share them: a shelf of the next release opens only what is new.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use ashlar_model::{Digest, TypeName};
use ashlar_retrieval::{
    basis::{Basis, SegmentVectors},
    search::{Part, Shelf},
    segment::Segment,
    text::Analyzer,
};
use ashlar_store::{StoreError, TenantObjects, Tree};
use rustc_hash::FxBuildHasher;

use super::{
    key::{SegmentValue, basis_prefix, shelf_prefix, vector_key},
    meaning::basis_of,
};
use crate::error::DeliveryError;

/// Bytes of shelves that stay open, unless one alone has more.
const OPEN_BYTES_MAX: usize = 1 << 30;
/// What is known of objects that nothing uses is forgotten when there are this many more.
const FORGET_AT: usize = 4_096;

/// Larger shelves are opened when somebody searches them.
const WARM_CHUNKS_MAX: u64 = 20_000;
/// Shelves that are opened at a time.
const OPENING: usize = 64;

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
    /// The type of the entries of each part.
    pub(crate) types: Vec<TypeName>,
    /// Whether something on it may be seen at some times only.
    pub(crate) timed: bool,
    bytes: usize,
}

/// What names a shelf: the trees it is from, its index and its locale.
type Name = (Digest, Option<Digest>, String, String);

/// Objects that something uses, by digest.
struct Used<T> {
    known: HashMap<Digest, Weak<T>>,
    /// How many were live when the others were last forgotten.
    live: usize,
}

impl<T> Default for Used<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), live: 0 }
    }
}

impl<T> Used<T> {
    fn get(&self, digest: &Digest) -> Option<Arc<T>> {
        self.known.get(digest)?.upgrade()
    }

    fn keep(&mut self, digest: Digest, value: &Arc<T>) {
        if self.known.len() > self.live * 2 + FORGET_AT {
            self.known.retain(|_, known| known.strong_count() > 0);
            self.live = self.known.len();
        }
        self.known.insert(digest, Arc::downgrade(value));
    }
}

#[derive(Default)]
struct Inner {
    /// The one that was used last at the end.
    open: VecDeque<(Name, Arc<OpenShelf>)>,
    segments: Used<Segment>,
    /// Vectors, by the digest of their object.
    vectors: Used<SegmentVectors>,
    /// Bases, by the digest of the digests of their pieces.
    bases: Used<Basis>,
}

/// Shelves that are open in this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shelves {
    inner: Arc<Mutex<Inner>>,
    /// Shelves with the same place here are opened one at a time: all who ask a new release would otherwise open the same one.
    opening: Arc<[Mutex<()>; OPENING]>,
}

impl Default for Shelves {
    fn default() -> Self {
        Self { inner: Arc::default(), opening: Arc::new(std::array::from_fn(|_| Mutex::default())) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut chunks = 0_u64;
        for item in trees.search.prefix(&shelf_prefix(name.0, name.1)) {
            chunks += u64::from(SegmentValue::from_bytes(&item?.1)?.chunks);
        }
        let small = chunks <= WARM_CHUNKS_MAX;
        if small || before.is_some_and(|before| self.is_open(before, name)) {
            let open = self.open(objects, trees, name)?;
            if let Some(open) = open.filter(|_| small) {
                open.shelf.warm();
            }
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
        let Some(opened) = self.read(objects, trees, (index, locale))? else { return Ok(None) };
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

    fn read(
        &self,
        objects: &TenantObjects,
        trees: &SearchTrees,
        (index, locale): (&str, &str),
    ) -> Result<Option<OpenShelf>, DeliveryError> {
        let prefix = shelf_prefix(index, locale);
        // Vectors are a help: without them words answer.
        let basis = trees.meaning.as_ref().and_then(|meaning| {
            self.basis(objects, meaning, (index, locale))
                .inspect_err(
                    |error| tracing::warn!(%error, index, locale, "the basis of an index cannot be read"),
                )
                .ok()
                .flatten()
        });
        let (mut parts, mut types, mut bytes) = (Vec::new(), Vec::new(), 0);
        for item in trees.search.prefix(&prefix) {
            let (key, value) = item?;
            let value = SegmentValue::from_bytes(&value)?;
            let type_name = key[prefix.len()..].split(|b| *b == 0).next().unwrap_or_default();
            let type_name = std::str::from_utf8(type_name).ok().and_then(|name| TypeName::new(name).ok());
            types.push(type_name.ok_or(DeliveryError::SearchTree("a key"))?);
            let segment = self.segment(objects, &value.digest)?;
            let vectors = basis.as_ref().and(trees.meaning.as_ref()).and_then(|meaning| {
                self.vectors(objects, meaning, &vector_key(index, locale, &value.digest))
                    .inspect_err(|error| tracing::warn!(%error, index, locale, "vectors cannot be read"))
                    .ok()
                    .flatten()
            });
            bytes += segment.memory() + vectors.as_ref().map_or(0, |v| v.memory());
            parts.push(Part { segment, vectors });
        }
        if parts.is_empty() {
            return Ok(None);
        }
        bytes += basis.as_ref().map_or(0, |basis| basis.memory());
        let timed =
            parts.iter().flat_map(|part| part.segment.attributes()).any(|a| a.times() != (None, None));
        let shelf = Shelf::new(parts, basis, Arc::new(Analyzer::for_locale(locale)));
        Ok(Some(OpenShelf { shelf, types, timed, bytes }))
    }

    fn segment(&self, objects: &TenantObjects, digest: &Digest) -> Result<Arc<Segment>, DeliveryError> {
        if let Some(known) = lock(&self.inner).segments.get(digest) {
            return Ok(known);
        }
        let opened = Arc::new(Segment::open(&objects.get(digest)?)?);
        lock(&self.inner).segments.keep(*digest, &opened);
        Ok(opened)
    }

    fn vectors(
        &self,
        objects: &TenantObjects,
        meaning: &Tree,
        key: &[u8],
    ) -> Result<Option<Arc<SegmentVectors>>, DeliveryError> {
        let Some(value) = meaning.get(key)? else { return Ok(None) };
        let digest = value.first_chunk::<32>().ok_or(DeliveryError::SearchTree("a value"))?;
        let digest = Digest::from_bytes(*digest);
        if let Some(known) = lock(&self.inner).vectors.get(&digest) {
            return Ok(Some(known));
        }
        let opened = SegmentVectors::open(&objects.get(&digest)?)?;
        let opened = Arc::new(opened);
        lock(&self.inner).vectors.keep(digest, &opened);
        Ok(Some(opened))
    }

    fn basis(
        &self,
        objects: &TenantObjects,
        meaning: &Tree,
        shelf: (&str, &str),
    ) -> Result<Option<Arc<Basis>>, DeliveryError> {
        let prefix = basis_prefix(shelf.0, shelf.1);
        let mut digests = Vec::new();
        for item in meaning.prefix(&prefix) {
            digests.extend_from_slice(item?.1.get(..32).unwrap_or_default());
        }
        let name = Digest::of(&digests);
        if let Some(known) = lock(&self.inner).bases.get(&name) {
            return Ok(Some(known));
        }
        let Some(basis) = basis_of(meaning, shelf, objects)?.map(Arc::new) else { return Ok(None) };
        lock(&self.inner).bases.keep(name, &basis);
        Ok(Some(basis))
    }
}
