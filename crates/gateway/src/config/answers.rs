//! What becomes of answers: which are given again.

use std::time::Duration;

use super::{raw::RawCache, read::Reading};

/// For how long an answer is given again at most, in seconds.
pub const CACHE_SECONDS_MAX: u64 = 7 * 86_400;

/// Which answers of a feature are given again. The default is none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CacheRules {
    /// For how long an answer is given to calls that are equal.
    pub exact: Option<Duration>,
}

impl Reading<'_> {
    pub(super) fn cache(&mut self, raw: &RawCache) -> CacheRules {
        let exact = raw
            .exact_seconds
            .as_ref()
            .map(|seconds| Duration::from_secs(self.whole("exact_seconds", seconds, 1, CACHE_SECONDS_MAX)));
        CacheRules { exact }
    }
}
