//! What is kept in memory, and the surrogate keys by which upstream caches know what they keep.

mod caches;
pub(crate) mod composed;
pub(crate) mod keys;
pub(crate) mod ready;

pub use caches::{CacheCounts, Caches};
