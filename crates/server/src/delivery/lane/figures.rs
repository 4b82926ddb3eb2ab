use std::sync::atomic::{AtomicU64, Ordering};

/// Connections, counted.
#[derive(Debug, Default)]
pub struct Figures {
    /// Open now.
    pub open: AtomicU64,
    /// Refused, because their address had too many.
    pub refused: AtomicU64,
    /// Closed, because a deadline had passed.
    pub late: AtomicU64,
    /// Closed while idle, to make room for new ones.
    pub displaced: AtomicU64,
    /// Answers refused, because too many wait to be read.
    pub answers_refused: AtomicU64,
    /// Requests refused, because their address had asked too often.
    pub limited: AtomicU64,
}

/// Counts some.
pub(crate) fn count(figure: &AtomicU64, by: usize) {
    figure.fetch_add(by as u64, Ordering::Relaxed);
}
