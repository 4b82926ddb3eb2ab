//! Answers that are given again to equal calls.
//!
//! They are kept in the memory of a node, each under a digest of everything that it may depend on. Among that are the tenant and what the
//! caller may see, so an answer never reaches another tenant or audience.

mod key;
mod slot;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ashlar_model::TenantId;
use bytes::Bytes;

pub(crate) use self::{
    key::{Partition, exact},
    slot::{Gathering, Slot},
};
use crate::wire::{Surface, Whole};

/// The most bytes of all answers.
pub const CACHE_BYTES_MAX: usize = 64 << 20;
/// The most bytes of the answers of a tenant.
pub const TENANT_BYTES_MAX: usize = 16 << 20;
/// The largest answer that is kept, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// What an answer costs beside its text, in bytes.
const OVERHEAD_BYTES: usize = 512;

/// A digest of everything that an answer may depend on.
pub type CacheKey = [u8; 32];

/// An answer as the provider gave it: with placeholders in the place of values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The answer.
    pub whole: Whole,
    /// Its bytes in the format that the call had, when they can be passed on as they are.
    pub raw: Option<(Surface, Bytes)>,
    /// The provider that gave it.
    pub provider: String,
    /// The model that gave it, in the provider's words.
    pub model: String,
}

impl Stored {
    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let picked = self.whole.picked.iter().map(|picked| {
            let sources = picked.sources.iter();
            let sources: usize = sources.map(|s| s.title.len() + s.url.len() + s.words.len() + 64).sum();
            picked.text.len() + sources + 128
        });
        let raw = self.raw.as_ref().map_or(0, |(_, raw)| raw.len());
        picked.sum::<usize>() + raw + OVERHEAD_BYTES
    }
}

struct Kept {
    stored: Arc<Stored>,
    bytes: usize,
    until: Instant,
    used: u64,
}

/// The answers of one tenant.
#[derive(Default)]
struct Shelf {
    kept: HashMap<CacheKey, Kept>,
    /// Keys by when they were used last.
    order: BTreeMap<u64, CacheKey>,
    bytes: usize,
}

impl Shelf {
    fn remove(&mut self, key: &CacheKey) -> usize {
        let Some(kept) = self.kept.remove(key) else { return 0 };
        self.order.remove(&kept.used);
        self.bytes -= kept.bytes;
        kept.bytes
    }

    /// Removes the answer that was not used for longest: its bytes.
    fn evict(&mut self) -> usize {
        let Some((_, key)) = self.order.first_key_value() else { return 0 };
        let key = *key;
        self.remove(&key)
    }
}

#[derive(Default)]
struct Shelves {
    tenants: HashMap<TenantId, Shelf>,
    bytes: usize,
    /// Counts uses.
    tick: u64,
}

/// The answers that a node keeps.
#[derive(Default)]
pub struct Cache(Mutex<Shelves>);

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.lock().bytes).finish_non_exhaustive()
    }
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer that is kept under a key.
    #[must_use]
    pub fn get(&self, tenant: &TenantId, key: &CacheKey, now: Instant) -> Option<Arc<Stored>> {
        let mut shelves = self.lock();
        shelves.tick += 1;
        let tick = shelves.tick;
        let shelf = shelves.tenants.get_mut(tenant)?;
        let kept = shelf.kept.get_mut(key)?;
        if now >= kept.until {
            let freed = shelf.remove(key);
            shelves.bytes -= freed;
            return None;
        }
        let before = std::mem::replace(&mut kept.used, tick);
        let stored = kept.stored.clone();
        shelf.order.remove(&before);
        shelf.order.insert(tick, *key);
        Some(stored)
    }

    /// Keeps an answer for a time. The answers that were not used for longest make room; one that is too large is not kept.
    pub fn put(
        &self,
        tenant: &TenantId,
        key: CacheKey,
        stored: Arc<Stored>,
        time: Duration,
        now: Instant,
    ) -> bool {
        let bytes = stored.bytes();
        let Some(until) = now.checked_add(time).filter(|_| bytes <= ANSWER_BYTES_MAX) else { return false };
        let mut shelves = self.lock();
        shelves.tick += 1;
        let used = shelves.tick;
        let shelf = shelves.tenants.entry(tenant.clone()).or_default();
        let mut freed = shelf.remove(&key);
        while shelf.bytes + bytes > TENANT_BYTES_MAX {
            freed += shelf.evict();
        }
        shelf.kept.insert(key, Kept { stored, bytes, until, used });
        shelf.order.insert(used, key);
        shelf.bytes += bytes;
        shelves.bytes = shelves.bytes + bytes - freed;
        // The tenant with the most makes room, so that one tenant cannot evict what others have.
        while shelves.bytes > CACHE_BYTES_MAX {
            let Some(most) = shelves.tenants.values_mut().max_by_key(|shelf| shelf.bytes) else { break };
            let freed = most.evict();
            shelves.bytes -= freed;
        }
        shelves.tenants.retain(|_, shelf| !shelf.kept.is_empty());
        true
    }

    /// Forgets the answers of a tenant.
    pub fn clear(&self, tenant: &TenantId) {
        let mut shelves = self.lock();
        if let Some(shelf) = shelves.tenants.remove(tenant) {
            shelves.bytes -= shelf.bytes;
        }
    }

    /// Bytes of all answers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use crate::wire::Picked;

    fn answer(text: &str) -> Arc<Stored> {
        let picked = vec![Picked { text: text.to_owned(), ..Picked::default() }];
        Arc::new(Stored { whole: Whole { picked, ..Whole::default() }, ..Stored::default() })
    }

    #[test]
    fn answers_expire_and_those_of_others_are_not_found() {
        let (cache, now) = (Cache::default(), Instant::now());
        let (main, other) = (TenantId::main(), TenantId::new("other").unwrap());
        let second = Duration::from_secs(1);
        assert!(cache.put(&main, [1; 32], answer("x"), second, now));
        assert!(cache.get(&main, &[1; 32], now).is_some());
        assert!(cache.get(&other, &[1; 32], now).is_none() && cache.get(&main, &[2; 32], now).is_none());
        assert!(cache.get(&main, &[1; 32], now + second).is_none());
        assert_eq!(cache.bytes(), 0);
        cache.put(&main, [1; 32], answer("x"), second, now);
        cache.clear(&main);
        assert_eq!(cache.bytes(), 0);
        assert!(!cache.put(&main, [1; 32], answer(&"x".repeat(ANSWER_BYTES_MAX)), second, now));
    }

    #[test]
    fn bytes_are_bounded_and_one_tenant_does_not_evict_others() {
        let (cache, now, long) = (Cache::default(), Instant::now(), Duration::from_secs(60));
        let large = answer(&"x".repeat(200 << 10));
        let small = TenantId::new("small").unwrap();
        cache.put(&small, [9; 32], answer("mine"), long, now);
        for tenant in 0..8 {
            let tenant = TenantId::new(&format!("t{tenant}")).unwrap();
            for n in 0..120_u8 {
                cache.put(&tenant, [n; 32], large.clone(), long, now);
                assert!(cache.get(&tenant, &[n; 32], now).is_some());
            }
            assert!(cache.lock().tenants[&tenant].bytes <= TENANT_BYTES_MAX);
            assert!(cache.get(&tenant, &[0; 32], now).is_none(), "the oldest made room");
        }
        let shelves = cache.lock();
        assert!(shelves.bytes <= CACHE_BYTES_MAX && shelves.bytes > CACHE_BYTES_MAX / 2);
        assert_eq!(shelves.bytes, shelves.tenants.values().map(|shelf| shelf.bytes).sum::<usize>());
        drop(shelves);
        assert!(cache.get(&small, &[9; 32], now).is_some());
    }
}
