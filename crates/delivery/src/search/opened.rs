//! What is open of releases: segments, vectors and bases, each once for as long as something uses it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use ashlar_model::Digest;
use ashlar_retrieval::{
    basis::{Basis, SegmentVectors},
    segment::Segment,
};
use ashlar_store::{TenantObjects, Tree};

use super::{key::basis_prefix, meaning::basis_of};
use crate::error::DeliveryError;

/// What is known of objects that nothing uses is forgotten when there are this many more.
const FORGET_AT: usize = 4_096;

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

/// What is open, by digest.
#[derive(Default)]
pub(super) struct Opened {
    segments: Mutex<Used<Segment>>,
    /// Vectors, by the digest of their object.
    vectors: Mutex<Used<SegmentVectors>>,
    /// Bases, by the digest of the digests of their pieces.
    bases: Mutex<Used<Basis>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Opened {
    pub(super) fn segment(
        &self,
        objects: &TenantObjects,
        digest: &Digest,
    ) -> Result<Arc<Segment>, DeliveryError> {
        if let Some(known) = lock(&self.segments).get(digest) {
            return Ok(known);
        }
        let opened = Arc::new(Segment::open(&objects.get(digest)?)?);
        lock(&self.segments).keep(*digest, &opened);
        Ok(opened)
    }

    pub(super) fn vectors(
        &self,
        objects: &TenantObjects,
        meaning: &Tree,
        key: &[u8],
    ) -> Result<Option<Arc<SegmentVectors>>, DeliveryError> {
        let Some(value) = meaning.get(key)? else { return Ok(None) };
        let digest = value.first_chunk::<32>().ok_or(DeliveryError::SearchTree("a value"))?;
        let digest = Digest::from_bytes(*digest);
        if let Some(known) = lock(&self.vectors).get(&digest) {
            return Ok(Some(known));
        }
        let opened = SegmentVectors::open(&objects.get(&digest)?)?;
        let opened = Arc::new(opened);
        lock(&self.vectors).keep(digest, &opened);
        Ok(Some(opened))
    }

    pub(super) fn basis(
        &self,
        objects: &TenantObjects,
        meaning: &Tree,
        shelf: (&str, &str),
    ) -> Result<Option<(Digest, Arc<Basis>)>, DeliveryError> {
        let prefix = basis_prefix(shelf.0, shelf.1);
        let mut digests = Vec::new();
        for item in meaning.prefix(&prefix) {
            digests.extend_from_slice(item?.1.get(..32).unwrap_or_default());
        }
        let name = Digest::of(&digests);
        if let Some(known) = lock(&self.bases).get(&name) {
            return Ok(Some((name, known)));
        }
        let Some(basis) = basis_of(meaning, shelf, objects)?.map(Arc::new) else { return Ok(None) };
        lock(&self.bases).keep(name, &basis);
        Ok(Some((name, basis)))
    }
}
