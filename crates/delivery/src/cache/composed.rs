use std::sync::atomic::{AtomicU64, Ordering};

use ashlar_model::{Digest, EntryKey, Locale};
use bytes::Bytes;
use jiff::Timestamp;

use super::{keys, sources::Sources};

/// A composed body with what it was composed from.
pub(crate) struct Composed {
    pub(crate) body: Bytes,
    pub(crate) digest: Digest,
    pub(crate) major: u32,
    pub(crate) locale: Locale,
    pub(crate) surrogate: Vec<u8>,
    pub(crate) sources: Sources,
    /// An entry whose last change it names. Content that was reverted is the same with a later date.
    pub(crate) dated: Option<(EntryKey, Option<Timestamp>)>,
    /// The last release this was found to be the answer of.
    valid_for: AtomicU64,
}

impl Composed {
    /// A body that was made from the release with this number.
    pub(crate) fn new(number: u64, body: Vec<u8>, (locale, major): (Locale, u32), sources: Sources) -> Self {
        Self {
            digest: Digest::of(&body),
            body: Bytes::from(body),
            major,
            locale,
            surrogate: keys::of_sources(&sources),
            sources,
            dated: None,
            valid_for: AtomicU64::new(number),
        }
    }

    /// The body names when this entry was last changed.
    pub(crate) fn dated(self, entry: EntryKey, modified: Option<Timestamp>) -> Self {
        Self { dated: Some((entry, modified)), ..self }
    }

    pub(crate) fn weight(&self) -> usize {
        self.body.len()
            + self.surrogate.len()
            + (self.sources.read.len() + self.sources.looked.len()) * 200
            + 200
    }

    /// Whether it was made from the release with this number, or found before to be its answer.
    pub(crate) fn is_of(&self, number: u64) -> bool {
        self.valid_for.load(Ordering::Relaxed) == number
    }

    /// It was found to be the answer of the release with this number too.
    pub(crate) fn found_valid(&self, number: u64) {
        self.valid_for.store(number, Ordering::Relaxed);
    }
}
