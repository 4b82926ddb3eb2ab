use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::Receiver,
};

use ashlar_model::Digest;
use ashlar_retrieval::models::{ModelCounts, Models, NoModels};
use ashlar_store::TenantObjects;
use bytes::Bytes;
use moka::sync::Cache;

use super::{
    composed::Composed,
    ready::{Look, Ready},
};
use crate::{
    error::DeliveryError,
    http::{COMPRESS_BYTES_MAX, Encoding, Out, RequestParts, Written},
    search::{Counters, Logged, SearchCounts, SearchLog, Shelves},
};

/// Bounded caches of bodies, shared by all releases of a process. Cheap to clone.
#[derive(Clone)]
pub struct Caches {
    compressed: Cache<(Digest, Encoding), Option<Bytes>>,
    composed: Cache<Vec<u8>, Arc<Composed>>,
    /// Entries that bodies are composed from, as they are stored. Many bodies include the same ones.
    entries: Cache<Digest, Bytes>,
    ready: Arc<Ready>,
    /// What is open for searches; it has a bound of its own.
    pub(crate) shelves: Shelves,
    /// The models of this node.
    pub(crate) models: Arc<dyn Models>,
    /// How often was searched.
    pub(crate) searched: Arc<Counters>,
    /// What was searched for.
    pub(crate) log: Arc<SearchLog>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    kept: AtomicU64,
    stale: AtomicU64,
    same: AtomicU64,
    misses: AtomicU64,
}

/// How often composed bodies were answered from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Answered from the cache.
    pub hits: u64,
    /// Of these, made under an earlier release and found to hold still.
    pub kept: u64,
    /// Found, and rebuilt because something they were made from had changed.
    pub stale: u64,
    /// Of these, how many came out unchanged: an upstream cache purged them for nothing.
    pub same: u64,
    /// Not found.
    pub misses: u64,
    /// Composed bodies that are kept.
    pub entries: u64,
    /// Their bytes, with what is kept beside them.
    pub bytes: u64,
}

impl Caches {
    /// Caches that together hold about `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        let compressed = Cache::builder()
            .max_capacity(bytes_max / 6)
            .weigher(|_, body: &Option<Bytes>| weight(body.as_ref().map_or(0, Bytes::len) + 100))
            .build();
        let composed = Cache::builder()
            .max_capacity(bytes_max / 3)
            .weigher(|key: &Vec<u8>, c: &Arc<Composed>| weight(key.len() + c.weight()))
            .build();
        let entries = Cache::builder()
            .max_capacity(bytes_max / 6)
            .weigher(|_, bytes: &Bytes| weight(bytes.len() + 100))
            .build();
        let ready = Arc::new(Ready::new(bytes_max / 3));
        Self {
            compressed,
            composed,
            entries,
            ready,
            shelves: Shelves::default(),
            models: Arc::new(NoModels),
            searched: Arc::default(),
            log: Arc::default(),
            counts: Arc::default(),
        }
    }

    /// The same with the models of a node.
    #[must_use]
    pub fn with_models(self, models: Arc<dyn Models>) -> Self {
        Self { models, ..self }
    }

    /// How often the models were asked.
    pub fn model_counts(&self) -> ModelCounts {
        self.models.counts()
    }

    /// Answers a request with what is kept of an earlier answer.
    pub(crate) fn look(&self, number: u64, parts: &RequestParts<'_>, out: &mut Out<'_>) -> Look {
        let look = self.ready.look(number, parts, out);
        if matches!(look, Look::Written(_, true)) {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
        }
        look
    }

    /// A body was composed that is not kept by itself.
    pub(crate) fn count_miss(&self) {
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps an answer that [`Caches::look`] wanted. `composed`: its body was composed.
    pub(crate) fn keep_ready(
        &self,
        hash: u64,
        number: u64,
        parts: &RequestParts<'_>,
        answer: (&Out<'_>, &Written, bool),
    ) {
        self.ready.keep(hash, number, parts, answer);
    }

    /// The bytes of an entry that is composed into something.
    pub(crate) fn entry(&self, objects: &TenantObjects, digest: &Digest) -> Result<Bytes, DeliveryError> {
        if let Some(known) = self.entries.get(digest) {
            return Ok(known);
        }
        let bytes = objects.get(digest)?;
        self.entries.insert(*digest, bytes.clone());
        Ok(bytes)
    }

    /// How often was searched and asked, since the process started.
    pub fn searches(&self) -> SearchCounts {
        SearchCounts { unlogged: self.log.dropped(), ..self.searched.read() }
    }

    /// What is searched for from now on, where projects ask for a log; `None` when somebody takes it already.
    pub fn follow_searches(&self) -> Option<Receiver<Logged>> {
        self.log.follow()
    }

    /// How often composed bodies were answered from the cache, since the process started.
    pub fn counts(&self) -> CacheCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheCounts {
            hits: read(&self.counts.hits),
            kept: read(&self.counts.kept),
            stale: read(&self.counts.stale),
            same: read(&self.counts.same),
            misses: read(&self.counts.misses),
            entries: self.composed.entry_count(),
            bytes: self.composed.weighted_size(),
        }
    }

    /// Keeps a body under a key.
    pub(crate) fn keep(&self, key: Vec<u8>, composed: Arc<Composed>) {
        if let Some(before) = self.composed.get(&key)
            && before.digest == composed.digest
        {
            self.counts.same.fetch_add(1, Ordering::Relaxed);
        }
        self.composed.insert(key, composed);
    }

    /// The body that is kept under a key, when it is what the release with this number answers: it was made from it, or
    /// `is_valid` finds that nothing it was made from differs.
    pub(crate) fn known<E>(
        &self,
        key: &[u8],
        number: u64,
        is_valid: impl FnOnce(&Composed) -> Result<bool, E>,
    ) -> Result<Option<Arc<Composed>>, E> {
        let count = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let Some(known) = self.composed.get(key) else {
            count(&self.counts.misses);
            return Ok(None);
        };
        let same = known.is_of(number);
        if !same {
            if !is_valid(&known)? {
                count(&self.counts.stale);
                return Ok(None);
            }
            known.found_valid(number);
            count(&self.counts.kept);
        }
        count(&self.counts.hits);
        Ok(Some(known))
    }

    /// Whether the compressed form of a body is known.
    pub(crate) fn has_compressed(&self, digest: Digest, encoding: Encoding) -> bool {
        self.compressed.contains_key(&(digest, encoding))
    }

    /// The compressed form of a body; `None` when it would not be smaller.
    pub(crate) fn compressed(
        &self,
        digest: Digest,
        encoding: Encoding,
        body: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        if let Some(known) = self.compressed.get(&(digest, encoding)) {
            return known;
        }
        let body = body()?;
        let small = (body.len() <= COMPRESS_BYTES_MAX)
            .then(|| encoding.compress(&body))
            .flatten()
            .filter(|c| c.len() < body.len())
            .map(Bytes::from);
        self.compressed.insert((digest, encoding), small.clone());
        small
    }
}

impl Default for Caches {
    /// 96 MiB.
    fn default() -> Self {
        Self::new(96 << 20)
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
