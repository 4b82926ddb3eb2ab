//! How often this process searched, and with what outcome.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    searches: AtomicU64,
    empty: AtomicU64,
    hits: AtomicU64,
    stale: AtomicU64,
    not_embedded: AtomicU64,
    questions: AtomicU64,
    refused: AtomicU64,
    clicks: AtomicU64,
}

/// Figures of searches and questions since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchCounts {
    /// Searches.
    pub searches: u64,
    /// Of these, searches that found nothing.
    pub empty: u64,
    /// Hits that were shown.
    pub hits: u64,
    /// Chunks that were found and left out, because the release does not have their text.
    pub stale: u64,
    /// Times that an index was searched by words alone, because a model did not say what the query means.
    pub not_embedded: u64,
    /// Questions.
    pub questions: u64,
    /// Of these, questions without an answer.
    pub refused: u64,
    /// Clicks that were reported.
    pub clicks: u64,
    /// Searches and clicks that are missing in the log, because too many waited to be stored.
    pub unlogged: u64,
}

impl Counters {
    /// A search that found so many entries and shows so many of them.
    pub(crate) fn searched(&self, total: usize, shown: usize) {
        self.searches.fetch_add(1, Ordering::Relaxed);
        self.empty.fetch_add(u64::from(total == 0), Ordering::Relaxed);
        self.hits.fetch_add(shown as u64, Ordering::Relaxed);
    }

    /// A chunk that the release does not have.
    pub(crate) fn found_stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    /// A query without the vector that its index needs.
    pub(crate) fn not_embedded(&self) {
        self.not_embedded.fetch_add(1, Ordering::Relaxed);
    }

    /// A question that was answered or refused.
    pub(crate) fn asked(&self, answered: bool) {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.refused.fetch_add(u64::from(!answered), Ordering::Relaxed);
    }

    /// A click that was reported.
    pub(crate) fn clicked(&self) {
        self.clicks.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures so far.
    pub(crate) fn read(&self) -> SearchCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SearchCounts {
            searches: read(&self.searches),
            empty: read(&self.empty),
            hits: read(&self.hits),
            stale: read(&self.stale),
            not_embedded: read(&self.not_embedded),
            questions: read(&self.questions),
            refused: read(&self.refused),
            clicks: read(&self.clicks),
            unlogged: 0,
        }
    }
}
