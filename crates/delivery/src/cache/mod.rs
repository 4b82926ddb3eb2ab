//! What is kept in memory, and the surrogate keys by which upstream caches know what they keep.

mod caches;
mod composed;
pub(crate) mod keys;
mod ready;
mod sources;

pub use caches::{CacheCounts, Caches};
pub(crate) use composed::Composed;
pub(crate) use keys::of_sources;
pub(crate) use ready::Look;
pub(crate) use sources::{Key, Looked, Sources};
