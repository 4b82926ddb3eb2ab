//! The packs of a remote that are kept here: so many bytes at most, and those that were used last.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    TenantObjects,
    objects::tenant::{Cache, Inner},
    packs::pack::{BY_CACHE, Pack},
};

/// How often uses are noted and sizes are added up.
const SHRINK_EVERY: Duration = Duration::from_secs(10);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since the process first asked, from 1.
fn clock() -> u32 {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed().as_secs();
    u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1)
}

impl Cache {
    /// Evicts packs until few enough bytes are here. The order: never used since the start, by the time of their files;
    /// then least recently used.
    fn shrink(&self) {
        *lock(&self.swept) = Some(Instant::now());
        let tenants: Vec<Arc<Inner>> = lock(&self.tenants).iter().filter_map(Weak::upgrade).collect();
        let mut here: Vec<(u32, SystemTime, u64, Arc<Pack>)> = Vec::new();
        let mut bytes = 0_u64;
        for inner in tenants {
            for pack in (TenantObjects { inner }).packs() {
                if pack.used.fetch_and(!BY_CACHE, Ordering::Relaxed) & BY_CACHE != 0 {
                    pack.used_at.store(clock(), Ordering::Relaxed);
                }
                let Ok(file) = std::fs::metadata(&pack.path) else { continue };
                bytes = bytes.saturating_add(file.len());
                let written = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                here.push((pack.used_at.load(Ordering::Relaxed), written, file.len(), pack));
            }
        }
        if bytes <= self.bytes_max {
            return;
        }
        here.sort_by_key(|(used_at, written, ..)| (*used_at, *written));
        // The last one is what somebody reads now.
        here.pop();
        for (_, _, len, pack) in here {
            if bytes <= self.bytes_max {
                return;
            }
            match pack.evict() {
                Ok(()) => bytes = bytes.saturating_sub(len),
                Err(error) => tracing::warn!(%error, pack = pack.name, "a pack cannot be evicted"),
            }
        }
    }
}

impl TenantObjects {
    /// Notes that somebody waits to read a pack.
    pub(crate) fn note_use(&self, pack: &Pack) {
        pack.used_at.store(clock(), Ordering::Relaxed);
    }

    /// Keeps the packs of a remote that are here within their limit.
    pub(crate) fn shrink(&self) {
        self.inner.cache.shrink();
    }

    /// Notes which packs are used, and evicts the least recently used of a remote when there are too many bytes of them.
    /// Cheap to call often.
    pub fn keep_small(&self) {
        let due = lock(&self.inner.cache.swept).is_none_or(|at| at.elapsed() >= SHRINK_EVERY);
        if self.inner.remote.is_some() && due {
            self.shrink();
        }
    }
}
