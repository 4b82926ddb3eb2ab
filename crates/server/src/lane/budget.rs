//! How many bytes of answers may wait for their clients. A body that many answers share is counted once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Bytes;

use super::progress::Progress;

/// What an answer costs beside its body, roughly.
const ANSWER_BYTES: usize = 4 << 10;
/// Smaller bodies are counted each by itself, which needs no lock.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// The bytes of a process.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    held: AtomicUsize,
    /// Where a shared body lies → how many answers hold it.
    shared: Mutex<HashMap<usize, usize>>,
}

/// Bytes that are counted until this is dropped.
pub(super) struct Charge {
    budget: Arc<Budget>,
    own: usize,
    /// Where a shared body lies, and its length.
    shared: Option<(usize, usize)>,
    connection: Option<(Arc<Progress>, usize)>,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicUsize::new(0), shared: Mutex::default() })
    }

    fn add(&self, bytes: usize) -> bool {
        let fits = |held: usize| {
            // One answer alone is always possible, however small the budget is.
            let sum = held.saturating_add(bytes);
            (held == 0 || sum <= self.max).then_some(sum)
        };
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Counts bytes of a buffer; `None` when they are too many.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        self.add(bytes).then(|| Charge { budget: self.clone(), own: bytes, shared: None, connection: None })
    }

    /// Counts an answer with this body, for the process and for its connection; `None` when it is too much for one of
    /// them.
    pub(super) fn hold(
        self: &Arc<Self>,
        body: &Bytes,
        connection: &Arc<Progress>,
        of_connection: usize,
    ) -> Option<Charge> {
        let is_shared = body.len() >= SHARED_BYTES_MIN;
        let mut known = is_shared.then(|| self.shared.lock().unwrap_or_else(PoisonError::into_inner));
        let at = body.as_ptr() as usize;
        let first = known.as_ref().is_none_or(|known| !known.contains_key(&at));
        let new = if first { body.len() } else { 0 };
        if !self.add(ANSWER_BYTES + new) {
            return None;
        }
        if let Some(known) = &mut known {
            *known.entry(at).or_insert(0) += 1;
        }
        drop(known);
        let mut charge = Charge {
            budget: self.clone(),
            own: ANSWER_BYTES + if is_shared { 0 } else { body.len() },
            shared: is_shared.then_some((at, body.len())),
            connection: None,
        };
        let here = ANSWER_BYTES + new;
        let held = connection.held.fetch_add(here, Ordering::Relaxed);
        charge.connection = Some((connection.clone(), here));
        (held == 0 || held.saturating_add(here) <= of_connection).then_some(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((at, len)) = self.shared {
            let mut known = self.budget.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = known.get_mut(&at) {
                *count -= 1;
                if *count == 0 {
                    known.remove(&at);
                    self.budget.held.fetch_sub(len, Ordering::Relaxed);
                }
            }
        }
        self.budget.held.fetch_sub(self.own, Ordering::Relaxed);
        if let Some((connection, bytes)) = &self.connection {
            connection.held.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_bodies_count_once_and_everything_is_given_back() {
        let budget = Budget::new(1 << 20);
        let (one, other) = (Arc::new(Progress::new(1)), Arc::new(Progress::new(1)));
        let body = Bytes::from(vec![0; 600 << 10]);
        let held: Vec<_> = (0..50).map(|_| budget.hold(&body, &one, 900 << 10).unwrap()).collect();
        let next = Bytes::from(vec![0; 600 << 10]);
        assert!(budget.hold(&next, &other, usize::MAX).is_none(), "the process has no room for a second one");
        assert!(budget.take(10).is_some());
        drop(held);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
        let first = budget.hold(&next, &one, 700 << 10).unwrap();
        let small = Bytes::from(vec![0; 120 << 10]);
        assert!(budget.hold(&small, &one, 700 << 10).is_none(), "the connection has no room");
        assert!(budget.hold(&small, &other, 700 << 10).is_some());
        drop(first);
        assert!(one.held.load(Ordering::Relaxed) == 0 && budget.held.load(Ordering::Relaxed) == 0);
        assert!(budget.shared.lock().unwrap().is_empty());
        let huge = Bytes::from(vec![0; 2 << 20]);
        assert!(budget.hold(&huge, &one, 1).is_some(), "one answer alone is always possible");
    }
}
