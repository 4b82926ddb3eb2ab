//! What a store may use.

use std::time::Duration;

/// So many packs may be open at least, however few descriptors the process may have.
const OPEN_MIN: usize = 8;
/// More than this gains nothing: there are a few dozen packs for each tenant.
const OPEN_MAX: usize = 1024;

/// How many packs are open when nothing else is set: a quarter of the descriptors that the process may have. The rest is for
/// connections, the database and files that are written.
fn open_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    (limit / 4).clamp(OPEN_MIN, OPEN_MAX)
}

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
        Self { packs_open_max: open_max(), cache_bytes_max: 16 << 30, grace: Duration::from_secs(3600) }
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
