//! The log of searches: what was searched for and clicked, on the way to whoever stores it.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, SyncSender, sync_channel},
};

use ashlar_model::TenantId;
use jiff::Timestamp;

/// Searches that wait to be stored. Further ones are dropped and counted.
const WAITING_MAX: usize = 4_096;
/// Bytes of a hash that stand for a caller.
const CALLER_BYTES: usize = 8;
/// For how long a caller has the same hash.
const DAY_SECONDS: i64 = 86_400;

/// A search or a click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The tenant.
    pub tenant: TenantId,
    /// When.
    pub at: Timestamp,
    /// A hash of the caller, which is another one tomorrow and on other nodes. Empty when the caller is unknown.
    pub caller: String,
    /// The query, redacted.
    pub query: String,
    /// The language.
    pub locale: String,
    /// What came of it.
    pub what: Happened,
}

/// What came of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It found so many entries.
    Found(usize),
    /// Somebody followed a hit.
    Clicked {
        /// Type and id of the entry: `guide/tides`.
        entry: String,
        /// The place of the hit, from 1.
        position: u32,
    },
}

/// The way to whoever stores the log. Nothing waits for it.
#[derive(Debug, Default)]
pub(crate) struct SearchLog {
    queue: OnceLock<SyncSender<Logged>>,
    dropped: AtomicU64,
    /// What callers are hashed with, and the day it is for. It is never stored.
    secret: Mutex<Option<(i64, [u8; 32])>>,
}

impl SearchLog {
    /// What is logged from now on; `None` when somebody has it already.
    pub(crate) fn follow(&self) -> Option<Receiver<Logged>> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        self.queue.set(sender).ok().map(|()| receiver)
    }

    /// Whether somebody stores what is logged.
    pub(crate) fn is_followed(&self) -> bool {
        self.queue.get().is_some()
    }

    /// Logs a search or a click, if there is room.
    pub(crate) fn add(&self, logged: Logged) {
        if self.queue.get().is_some_and(|queue| queue.try_send(logged).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What stands for a caller of a tenant today.
    pub(crate) fn hashed(&self, tenant: &TenantId, caller: &str, at: Timestamp) -> String {
        let Some(secret) = self.secret_of(at.as_second().div_euclid(DAY_SECONDS)) else {
            return String::new();
        };
        let mut hasher = blake3::Hasher::new_keyed(&secret);
        hasher.update(tenant.as_str().as_bytes()).update(&[0]).update(caller.as_bytes());
        hex::encode(&hasher.finalize().as_bytes()[..CALLER_BYTES])
    }

    fn secret_of(&self, day: i64) -> Option<[u8; 32]> {
        let mut known = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, secret)) = *known
            && of == day
        {
            return Some(secret);
        }
        let mut secret = [0; 32];
        // Without a secret, a hash would tell who it was.
        getrandom::fill(&mut secret).ok()?;
        *known = Some((day, secret));
        Some(secret)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn nothing_waits_and_callers_are_known_for_a_day() {
        let log = SearchLog::default();
        let tenant = TenantId::new("main").unwrap();
        let at = |day: i64| Timestamp::from_second(day * DAY_SECONDS + 5).unwrap();
        let one = log.hashed(&tenant, "192.0.2.1", at(1));
        assert_eq!(one.len(), CALLER_BYTES * 2);
        assert_eq!(one, log.hashed(&tenant, "192.0.2.1", at(1)));
        assert_ne!(one, log.hashed(&tenant, "192.0.2.2", at(1)));
        assert_ne!(one, log.hashed(&tenant, "192.0.2.1", at(2)));

        let search = Logged {
            tenant,
            at: at(1),
            caller: one,
            query: "tide".to_owned(),
            locale: "en".to_owned(),
            what: Happened::Found(1),
        };
        log.add(search.clone());
        assert_eq!((log.is_followed(), log.dropped()), (false, 0));
        let taken = log.follow().unwrap();
        assert!(log.follow().is_none());
        for _ in 0..WAITING_MAX + 3 {
            log.add(search.clone());
        }
        assert_eq!((taken.try_iter().count(), log.dropped()), (WAITING_MAX, 3));
    }
}
