//! The packs of a remote that are kept here: so many bytes at most, and those that were used last.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    TenantObjects,
    objects::tenant::Inner,
    packs::handles,
    packs::pack::{BY_CACHE, Pack},
};

/// How often uses are noted and sizes are added up.
const SHRINK_EVERY: Duration = Duration::from_secs(10);

/// What a store may use, and how long it keeps unreferenced objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLimits {
    /// The most pack files that are open at a time. `ASHLAR_PACKS_OPEN_MAX`; a quarter of the descriptors otherwise.
    pub packs_open_max: usize,
    /// The most bytes of packs that are kept of a remote, for all tenants. `ASHLAR_CACHE_BYTES_MAX`; 16 GiB otherwise.
    pub cache_bytes_max: u64,
    /// How long a remote keeps an unreferenced pack. `ASHLAR_GC_GRACE_SECONDS`; an hour otherwise.
    pub grace: Duration,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            packs_open_max: handles::open_max(),
            cache_bytes_max: 16 << 30,
            grace: Duration::from_secs(3600),
        }
    }
}

impl StoreLimits {
    /// The limits that the environment sets, and defaults for the others.
    pub fn from_environment() -> Self {
        let asked = |variable: &str, least: u64| {
            let text = std::env::var(variable).ok()?;
            match text.parse::<u64>() {
                Ok(number) if number >= least => Some(number),
                _ => {
                    tracing::warn!(
                        "{variable}={text} is not a whole number of at least {least}; the default is used"
                    );
                    None
                }
            }
        };
        let mut limits = Self::default();
        if let Some(count) = asked("ASHLAR_PACKS_OPEN_MAX", 1) {
            limits.packs_open_max = usize::try_from(count).unwrap_or(usize::MAX);
        }
        if let Some(bytes) = asked("ASHLAR_CACHE_BYTES_MAX", 1) {
            limits.cache_bytes_max = bytes;
        }
        if let Some(seconds) = asked("ASHLAR_GC_GRACE_SECONDS", 0) {
            limits.grace = Duration::from_secs(seconds);
        }
        limits
    }
}

/// The packs of all tenants that share a directory.
pub(crate) struct Cache {
    bytes_max: u64,
    pub grace: Duration,
    tenants: Mutex<Vec<Weak<Inner>>>,
    swept: Mutex<Option<Instant>>,
}

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
    pub(crate) fn new(limits: &StoreLimits) -> Self {
        Self {
            bytes_max: limits.cache_bytes_max,
            grace: limits.grace,
            tenants: Mutex::default(),
            swept: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, tenant: &TenantObjects) {
        if tenant.inner.remote.is_some() {
            lock(&self.tenants).push(Arc::downgrade(&tenant.inner));
        }
    }

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
