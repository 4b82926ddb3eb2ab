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
pub(super) struct Budget {
    max: usize,
    held: AtomicUsize,
    /// Where a shared body lies and its length → how many answers hold it.
    shared: Mutex<HashMap<(usize, usize), usize>>,
}

/// Bytes that are counted until this is dropped.
pub(super) struct Charge {
    budget: Arc<Budget>,
    own: usize,
    /// A body that is counted once. As long as it is held, nothing else lies at its place.
    shared: Option<Bytes>,
    address: (Arc<AtomicUsize>, usize),
    connection: Option<(Arc<Progress>, usize)>,
}

/// Counts bytes if they are not too many. One answer alone is always possible, however small the budget is.
fn add(held: &AtomicUsize, bytes: usize, max: usize) -> bool {
    let fits = |held: usize| {
        let sum = held.saturating_add(bytes);
        (held == 0 || sum <= max).then_some(sum)
    };
    held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
}

fn place(body: &Bytes) -> (usize, usize) {
    (body.as_ptr() as usize, body.len())
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicUsize::new(0), shared: Mutex::default() })
    }

    /// Counts bytes for the process and for an address, which may have half of them.
    fn add(&self, bytes: usize, address: &AtomicUsize) -> bool {
        if !add(address, bytes, self.max / 2) {
            return false;
        }
        let fits = add(&self.held, bytes, self.max);
        if !fits {
            address.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Counts bytes of a buffer; `None` when they are too many.
    pub(super) fn take(self: &Arc<Self>, bytes: usize, address: &Arc<AtomicUsize>) -> Option<Charge> {
        self.add(bytes, address).then(|| Charge {
            budget: self.clone(),
            own: bytes,
            shared: None,
            address: (address.clone(), bytes),
            connection: None,
        })
    }

    /// Counts an answer with this body for the process, its address and its connection; `None` when it is too much for
    /// one of them.
    pub(super) fn hold(
        self: &Arc<Self>,
        body: &Bytes,
        connection: &Arc<Progress>,
        of_connection: usize,
    ) -> Option<Charge> {
        let is_shared = body.len() >= SHARED_BYTES_MIN;
        let mut known = is_shared.then(|| self.shared.lock().unwrap_or_else(PoisonError::into_inner));
        let first = known.as_ref().is_none_or(|known| !known.contains_key(&place(body)));
        let new = ANSWER_BYTES + if first { body.len() } else { 0 };
        if !self.add(new, &connection.of_address) {
            return None;
        }
        if let Some(known) = &mut known {
            *known.entry(place(body)).or_insert(0) += 1;
        }
        drop(known);
        let held = connection.held.fetch_add(new, Ordering::Relaxed);
        let charge = Charge {
            budget: self.clone(),
            own: ANSWER_BYTES + if is_shared { 0 } else { body.len() },
            shared: is_shared.then(|| body.clone()),
            address: (connection.of_address.clone(), new),
            connection: Some((connection.clone(), new)),
        };
        (held == 0 || held.saturating_add(new) <= of_connection).then_some(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut bytes = self.own;
        if let Some(body) = &self.shared {
            let mut known = self.budget.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = known.get_mut(&place(body)) {
                *count -= 1;
                if *count == 0 {
                    known.remove(&place(body));
                    bytes += body.len();
                }
            }
        }
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
        let (address, bytes) = &self.address;
        address.fetch_sub(*bytes, Ordering::Relaxed);
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
        let connection = || Arc::new(Progress::new(1, Arc::default()));
        let (one, other) = (connection(), connection());
        let body = |kib: usize| Bytes::from(vec![0; kib << 10]);
        let shared = body(400);
        let held: Vec<_> = (0..20).map(|_| budget.hold(&shared, &one, 900 << 10).unwrap()).collect();
        assert!(budget.hold(&body(100), &one, usize::MAX).is_none(), "the address has half of the process");
        assert!(budget.hold(&body(450), &other, usize::MAX).is_some());
        assert!(budget.hold(&body(600), &other, usize::MAX).is_none(), "the process has no room");
        drop(held);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
        let first = budget.hold(&shared, &one, 450 << 10).unwrap();
        assert!(budget.hold(&body(60), &one, 450 << 10).is_none(), "the connection has no room");
        assert!(budget.hold(&body(60), &other, 450 << 10).is_some());
        let buffer = budget.take(100 << 10, &other.of_address).unwrap();
        assert!(budget.hold(&body(450), &other, usize::MAX).is_none(), "buffers count as well");
        drop((first, buffer));
        let left =
            [&one, &other].map(|c| (c.held.load(Ordering::Relaxed), c.of_address.load(Ordering::Relaxed)));
        assert!(left == [(0, 0); 2] && budget.held.load(Ordering::Relaxed) == 0);
        assert!(budget.shared.lock().unwrap().is_empty());
        assert!(budget.hold(&body(2048), &one, 1).is_some(), "one answer alone is always possible");
    }
}
