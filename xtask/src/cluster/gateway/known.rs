//! What clients did, and what went wrong meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Instant,
};

/// The maximum of output tokens of a call.
pub const TOKENS_MAX: u64 = 100;

/// A call as its client knows it.
#[derive(Debug, Clone)]
pub struct Called {
    /// What the model knows it by.
    pub name: String,
    /// Its trace.
    pub trace: String,
    /// The node that was asked.
    pub node: usize,
    /// The end user.
    pub user: String,
}

/// What happened.
#[derive(Default)]
pub struct Known {
    /// Calls by the name that the model knows them by.
    pub calls: Mutex<BTreeMap<String, Called>>,
    /// When nodes were killed.
    pub kills: Mutex<Vec<(usize, Instant)>>,
    /// From when to when nodes could not reach the database.
    pub severed: Mutex<Vec<(usize, Instant, Instant)>>,
    /// Calls that were answered, refused, and without an answer.
    pub counts: [AtomicU64; 3],
}

/// The content of a lock.
pub fn get<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
