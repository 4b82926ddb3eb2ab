//! What is known of looks at the remote that run now.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Instant,
};

use tokio::sync::watch;

use crate::{
    StoreError,
    packs::index::{FirstWord, Short},
};

pub(super) type Absent = HashMap<Short, Instant, BuildHasherDefault<FirstWord>>;
pub(super) type Outcome = Result<Brought, Arc<StoreError>>;

/// What a look at the remote brought.
#[derive(Clone)]
pub(super) struct Brought {
    pub packs: usize,
    /// A pack could not be fetched.
    pub failed: Option<Arc<StoreError>>,
}

/// One look at the remote, and those who wait for it.
pub(super) struct Round(pub watch::Sender<Option<Outcome>>);

impl Round {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(None)))
    }
}

#[derive(Default)]
pub(super) struct Rounds {
    pub running: Option<Arc<Round>>,
    /// Begins when the running one has ended, which may have listed the remote too early for those who ask now.
    pub next: Option<Arc<Round>>,
}

/// The looks of a tenant at its remote.
#[derive(Default)]
pub(crate) struct Fetching {
    pub(super) rounds: Mutex<Rounds>,
    pub(super) absent: Mutex<Absent>,
    pub(super) waiting: AtomicUsize,
    pub(super) packs: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Up to which round of collections the packs were compared with the remote.
    pub(super) reconciled: Mutex<Option<u64>>,
    pub(crate) collecting: AtomicBool,
}
