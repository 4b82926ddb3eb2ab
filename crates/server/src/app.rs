//! What all parts of a running server share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use ashlar_delivery::{Caches, ReleaseRoots, ReleaseView};
use ashlar_model::{ChannelName, Digest, TenantId};
use ashlar_release::{Access, ChannelState, Engine, KeyRing};
use ashlar_store::Objects;

use crate::metrics::Metrics;

/// How long a key that was checked is believed; a revoked key works no longer than this.
const KEY_TTL: Duration = Duration::from_secs(3);
/// Keys that are remembered.
const KEYS_MAX: usize = 10_000;
/// Bytes of composed and compressed bodies that are kept.
const CACHE_BYTES: u64 = 64 << 20;

/// A channel with the release it serves.
#[derive(Clone)]
pub struct Live {
    pub view: Arc<ReleaseView>,
    pub state: ChannelState,
}

/// What is known of one tenant.
#[derive(Default)]
pub struct TenantState {
    /// What its public channel serves.
    pub public: ArcSwapOption<ReleaseView>,
    /// All its channels.
    pub channels: ArcSwap<BTreeMap<ChannelName, Live>>,
    /// Its keys, at an edge.
    pub ring: ArcSwap<KeyRing>,
    /// One change of what is served at a time.
    applying: Mutex<()>,
}

type Keys = HashMap<Digest, (Instant, Option<Arc<Access>>)>;

/// What all parts of a running server share.
pub struct App {
    /// The engine; an edge has none.
    pub engine: Option<Engine>,
    pub objects: Objects,
    pub caches: Caches,
    pub metrics: Metrics,
    pub tenants: RwLock<HashMap<TenantId, Arc<TenantState>>>,
    pub hosts: ArcSwap<HashMap<String, TenantId>>,
    keys: Mutex<Keys>,
    previews: Mutex<Vec<(String, Arc<ReleaseView>)>>,
}

impl App {
    pub fn new(engine: Option<Engine>, objects: Objects) -> Self {
        Self {
            engine,
            objects,
            caches: Caches::new(CACHE_BYTES),
            metrics: Metrics::default(),
            tenants: RwLock::default(),
            hosts: ArcSwap::default(),
            keys: Mutex::default(),
            previews: Mutex::default(),
        }
    }

    /// What is known of a tenant.
    pub fn tenant(&self, tenant: &TenantId) -> Option<Arc<TenantState>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// The same; known from now on.
    pub fn tenant_or_new(&self, tenant: &TenantId) -> Arc<TenantState> {
        if let Some(known) = self.tenant(tenant) {
            return known;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(tenant.clone()).or_default().clone()
    }

    /// The tenant that a host name leads to; `main` when it leads to none.
    pub fn tenant_of_host(&self, host: Option<&str>) -> TenantId {
        let hosts = self.hosts.load();
        if hosts.is_empty() {
            return TenantId::main();
        }
        let name = host.unwrap_or_default();
        let name = name
            .rsplit_once(':')
            .filter(|(_, p)| p.bytes().all(|b| b.is_ascii_digit()))
            .map_or(name, |(n, _)| n);
        hosts.get(&name.to_ascii_lowercase()).cloned().unwrap_or_else(TenantId::main)
    }

    /// What a key gives, when that was found out in the last seconds: `None` when it is not known, `Some(None)` when the
    /// key is no good.
    pub fn known_key(&self, key: &str) -> Option<Option<Arc<Access>>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, access) = keys.get(&Digest::of(key.as_bytes()))?;
        (at.elapsed() < KEY_TTL).then(|| access.clone())
    }

    /// Checks a key, in the database or at an edge in the key rings.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn check_key(&self, key: &str) -> Result<Option<Arc<Access>>, ashlar_release::ReleaseError> {
        if let Some(known) = self.known_key(key) {
            return Ok(known);
        }
        let access = match &self.engine {
            Some(engine) => engine.authenticate(key).await?,
            None => {
                let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
                tenants.iter().find_map(|(t, s)| s.ring.load().check(t, key, jiff::Timestamp::now()))
            }
        };
        let access = access.map(Arc::new);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.retain(|_, (at, _)| at.elapsed() < KEY_TTL);
            if keys.len() >= KEYS_MAX {
                keys.clear();
            }
        }
        keys.insert(Digest::of(key.as_bytes()), (Instant::now(), access.clone()));
        Ok(access)
    }

    /// Opens what a channel serves now and puts it in place, unless something newer is there. What cannot be opened leaves
    /// what is served as it is.
    /// Says whether what is served is now at least this new.
    pub fn apply(&self, tenant: &TenantId, state: ChannelState) -> bool {
        let known = self.tenant_or_new(tenant);
        let _one = known.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.channels.load();
        if before.get(&state.channel).is_some_and(|l| l.state.sequence >= state.sequence) {
            return true;
        }
        let objects = self.objects.tenant(tenant);
        let definitions =
            before.values().map(|l| l.view.definitions()).find(|d| d.digest == state.definitions).cloned();
        let opened = roots(&state.release.to_string(), &state.snapshot, &state.definitions, &state.derived)
            .ok_or_else(|| "the release has no look-up tree".to_owned())
            .and_then(|roots| {
                ReleaseView::open(&objects, &roots, definitions.as_ref(), &self.caches)
                    .map_err(|e| e.to_string())
            });
        let view = match opened {
            Ok(view) => view,
            Err(error) => {
                self.metrics.view_failed();
                tracing::error!(%tenant, channel = %state.channel, release = %state.release, %error,
                    "a release cannot be opened; what was served before stays");
                return false;
            }
        };
        let public = view.definitions().config.channels.public == state.channel;
        known.channels.rcu(|channels| {
            let mut next = BTreeMap::clone(channels);
            if next.get(&state.channel).is_none_or(|l| l.state.sequence < state.sequence) {
                next.insert(state.channel.clone(), Live { view: view.clone(), state: state.clone() });
            }
            next
        });
        if public {
            let live = known.channels.load().get(&state.channel).map(|l| l.view.clone());
            known.public.store(live);
        }
        tracing::info!(%tenant, channel = %state.channel, release = %state.release, "serving");
        true
    }

    /// A release, candidate or draft that was opened for a preview.
    pub fn preview(&self, name: &str) -> Option<Arc<ReleaseView>> {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        let at = previews.iter().position(|(n, _)| n == name)?;
        let found = previews.remove(at);
        previews.push(found.clone());
        Some(found.1)
    }

    /// Keeps one for the next request.
    pub fn keep_preview(&self, name: String, view: Arc<ReleaseView>) {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        previews.retain(|(n, _)| *n != name);
        if previews.len() >= 16 {
            previews.remove(0);
        }
        previews.push((name, view));
    }
}

/// What delivery opens; `None` when nothing was derived.
pub fn roots(
    label: &str,
    snapshot: &Digest,
    definitions: &Digest,
    derived: &BTreeMap<String, Digest>,
) -> Option<ReleaseRoots> {
    Some(ReleaseRoots {
        label: label.to_owned(),
        snapshot: *snapshot,
        definitions: *definitions,
        lookup: *derived.get("lookup")?,
    })
}
