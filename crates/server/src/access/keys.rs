//! What a key gives: by the key rings, which every node reads, and by the database when no ring has the key yet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ashlar_model::{Digest, TenantId};
use ashlar_release::{Access, Engine, KeyRing, KnownKey, ReleaseError, split_key};
use axum::http::HeaderMap;

use crate::front::{ApiError, Hosts, Limits, bearer, host_of};

/// How long an answer of the database about a key is believed; a revoked key works no longer than this.
const KEY_TTL: Duration = Duration::from_secs(3);
/// Keys that are remembered.
const KEYS_MAX: usize = 10_000;
/// Keys that no key ring has are asked for in the database, this often per second at most.
const UNKNOWN_KEYS_PER_SECOND: u32 = 100;

/// Why a key could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum KeyFailure {
    /// The database could not be asked.
    #[error(transparent)]
    Engine(#[from] ReleaseError),
    /// Too many unknown keys came in a second.
    #[error("too many requests with unknown keys")]
    TooMany,
}

impl From<KeyFailure> for ApiError {
    fn from(failure: KeyFailure) -> Self {
        match failure {
            KeyFailure::Engine(error) => error.into(),
            KeyFailure::TooMany => Self::new(
                429,
                "too-many-requests",
                failure.to_string(),
                "check the key, and wait a moment before trying again",
            ),
        }
    }
}

/// The key rings of all tenants, and what the database said of other keys a moment ago.
pub struct Keys {
    /// An edge has none.
    engine: Option<Engine>,
    hosts: Arc<Hosts>,
    rings: Mutex<HashMap<TenantId, Arc<KeyRing>>>,
    /// The keys of all rings by their public part.
    known: ArcSwap<HashMap<String, KnownKey>>,
    remembered: Mutex<Remembered>,
    unknown: Limits<()>,
}

#[derive(Default)]
struct Remembered {
    keys: HashMap<Digest, (Instant, Option<Arc<Access>>)>,
    /// How often keys were forgotten.
    forgotten: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keys {
    /// `hosts`: a key is good only at the host names of its tenant.
    pub fn new(engine: Option<Engine>, hosts: Arc<Hosts>) -> Self {
        Self {
            engine,
            hosts,
            rings: Mutex::default(),
            known: ArcSwap::default(),
            remembered: Mutex::default(),
            unknown: Limits::new(UNKNOWN_KEYS_PER_SECOND),
        }
    }

    /// What the key of a request to the delivery side gives; `None` without a key.
    ///
    /// # Errors
    /// When the key is no good, or belongs to another tenant than the host name, or cannot be checked.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Option<Arc<Access>>, ApiError> {
        let Some(key) = bearer(headers) else { return Ok(None) };
        let access = self.reading(key).await?.ok_or_else(ApiError::bad_key)?;
        match self.hosts.serves(host_of(headers), &access.tenant) {
            true => Ok(Some(access)),
            false => Err(ApiError::misdirected()),
        }
    }

    /// What a key gives according to the key rings: no database, no waiting. `None` when no ring has it or it is no good.
    pub fn by_ring(&self, key: &str) -> Option<Arc<Access>> {
        let (id, secret) = split_key(key)?;
        self.known.load().get(id)?.check(secret, jiff::Timestamp::now())
    }

    /// The ring of a tenant, when it was read.
    pub fn ring(&self, tenant: &TenantId) -> Option<Arc<KeyRing>> {
        lock(&self.rings).get(tenant).cloned()
    }

    /// Takes over the keys of a tenant, unless those that are known are newer.
    pub fn set_ring(&self, tenant: &TenantId, ring: KeyRing) {
        let mut rings = lock(&self.rings);
        if rings.get(tenant).is_some_and(|known| **known == ring || known.sequence > ring.sequence) {
            return;
        }
        rings.insert(tenant.clone(), Arc::new(ring));
        let all = rings.iter().flat_map(|(t, ring)| ring.known(t).collect::<Vec<_>>()).collect();
        self.known.store(Arc::new(all));
    }

    /// Checks a key for delivery: in the key rings, and in the database only when no ring has it (it may be new).
    ///
    /// # Errors
    /// When the database cannot be read, or was asked for too many unknown keys.
    pub async fn reading(&self, key: &str) -> Result<Option<Arc<Access>>, KeyFailure> {
        if let Some(access) = self.by_ring(key) {
            return Ok(Some(access));
        }
        let in_ring = split_key(key).is_none_or(|(id, _)| self.known.load().contains_key(id));
        if in_ring || self.engine.is_none() {
            return Ok(None);
        }
        self.check(key).await
    }

    /// Checks a key in the database, or at an edge in the key rings.
    ///
    /// # Errors
    /// When the database cannot be read, or was asked for too many unknown keys.
    pub async fn check(&self, key: &str) -> Result<Option<Arc<Access>>, KeyFailure> {
        let Some(engine) = &self.engine else { return Ok(self.by_ring(key)) };
        let digest = Digest::of(key.as_bytes());
        let forgotten = {
            let remembered = lock(&self.remembered);
            if let Some((at, access)) = remembered.keys.get(&digest)
                && at.elapsed() < KEY_TTL
            {
                // A key that expires meanwhile is no longer good.
                let now = engine.now();
                return Ok(access.clone().filter(|a| a.ends.is_none_or(|ends| ends > now)));
            }
            remembered.forgotten
        };
        if self.by_ring(key).is_none() && !self.unknown.take(()) {
            return Err(KeyFailure::TooMany);
        }
        let access = engine.authenticate(key).await?.map(Arc::new);
        let mut remembered = lock(&self.remembered);
        if remembered.forgotten != forgotten {
            // A key was revoked while this one was looked up: what was read may be older than that.
            return Ok(access);
        }
        if remembered.keys.len() >= KEYS_MAX {
            remembered.keys.retain(|_, (at, _)| at.elapsed() < KEY_TTL);
            if remembered.keys.len() >= KEYS_MAX {
                remembered.keys.clear();
            }
        }
        remembered.keys.insert(digest, (Instant::now(), access.clone()));
        Ok(access)
    }

    /// Forgets what is remembered of a key that was made or revoked here.
    pub fn forget(&self, id: &str) {
        let mut remembered = lock(&self.remembered);
        remembered.forgotten += 1;
        remembered.keys.retain(|_, (_, access)| access.as_ref().is_some_and(|a| a.key_id != id));
    }
}
