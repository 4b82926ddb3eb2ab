//! What all parts of a running server share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use ashlar_delivery::{Caches, ReleaseRoots, ReleaseView};
use ashlar_model::{ChannelName, Digest, ReleaseId, TenantId};
use ashlar_release::{Access, ChannelState, Engine, KeyRing, KnownKey, ReleaseError, split_key};
use ashlar_store::Objects;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{auth::Limits, cache_stats::CacheStats, changes::Feed, metrics::Metrics, tokens::TokenVersions};

/// The most pages that are rendered before they are read.
const PRERENDERED_MAX: usize = 20_000;
/// How long an answer of the database about a key is believed; a revoked key works no longer than this.
const KEY_TTL: Duration = Duration::from_secs(3);
/// Keys that are remembered.
const KEYS_MAX: usize = 10_000;
/// Keys that no key ring has are asked for in the database, this often per second at most.
const UNKNOWN_KEYS_PER_SECOND: u32 = 100;
/// Clients that follow changes at a time.
const LISTENERS_MAX: usize = 2_000;
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
    /// Its keys, as their pointer object has them.
    pub ring: ArcSwap<KeyRing>,
    /// What was released on each channel since this node follows it.
    feeds: Mutex<BTreeMap<ChannelName, Arc<Feed>>>,
    /// Channels whose release cannot be opened, with that release.
    broken: Mutex<BTreeMap<ChannelName, ReleaseId>>,
    /// One change of what is served at a time.
    applying: Mutex<()>,
}

impl TenantState {
    /// What was released on a channel.
    pub fn feed(&self, channel: &ChannelName) -> Option<Arc<Feed>> {
        lock(&self.feeds).get(channel).cloned()
    }

    /// Channels whose release cannot be opened; what they served before stays.
    pub fn broken(&self) -> BTreeMap<ChannelName, ReleaseId> {
        lock(&self.broken).clone()
    }

    /// Whether nothing is served because what should be cannot be opened.
    pub fn unavailable(&self) -> bool {
        self.public.load().is_none() && !lock(&self.broken).is_empty()
    }
}

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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Keys = HashMap<Digest, (Instant, Option<Arc<Access>>)>;

/// What all parts of a running server share.
pub struct App {
    /// The engine; an edge has none.
    pub engine: Option<Engine>,
    pub objects: Objects,
    pub caches: Caches,
    pub metrics: Metrics,
    /// Figures of caches in front.
    pub cache_stats: CacheStats,
    pub tenants: RwLock<HashMap<TenantId, Arc<TenantState>>>,
    pub hosts: ArcSwap<HashMap<String, TenantId>>,
    /// The keys of all rings by their public part.
    rings: ArcSwap<HashMap<String, KnownKey>>,
    keys: Mutex<Keys>,
    unknown: Limits,
    /// Places for clients that follow changes.
    pub listeners: Arc<Semaphore>,
    /// Ends streams when the server stops.
    pub streams: CancellationToken,
    previews: Mutex<Vec<(String, Arc<ReleaseView>)>>,
    /// Versions of design tokens.
    pub token_versions: TokenVersions,
}

impl App {
    pub fn new(engine: Option<Engine>, objects: Objects) -> Self {
        Self {
            engine,
            objects,
            caches: Caches::new(CACHE_BYTES),
            metrics: Metrics::default(),
            cache_stats: CacheStats::default(),
            tenants: RwLock::default(),
            hosts: ArcSwap::default(),
            rings: ArcSwap::default(),
            unknown: Limits::new(UNKNOWN_KEYS_PER_SECOND),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            streams: CancellationToken::new(),
            keys: Mutex::default(),
            previews: Mutex::default(),
            token_versions: TokenVersions::default(),
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

    /// Takes over the host names of a tenant.
    pub fn set_hosts(&self, tenant: &TenantId, names: &[String]) {
        self.hosts.rcu(|hosts| {
            let mut next = HashMap::clone(hosts);
            next.retain(|_, t| t != tenant);
            next.extend(names.iter().map(|n| (n.clone(), tenant.clone())));
            next
        });
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

    /// What a key gives according to the key rings: no database, no waiting. `None` when no ring has it or it is no good.
    pub fn ring_key(&self, key: &str) -> Option<Arc<Access>> {
        let (id, secret) = split_key(key)?;
        self.rings.load().get(id)?.check(secret, jiff::Timestamp::now())
    }

    /// Takes over the keys of a tenant.
    pub fn set_ring(&self, tenant: &TenantId, ring: KeyRing) {
        let state = self.tenant_or_new(tenant);
        if **state.ring.load() == ring {
            return;
        }
        state.ring.store(Arc::new(ring));
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let all = tenants.iter().flat_map(|(t, s)| s.ring.load().known(t).collect::<Vec<_>>()).collect();
        self.rings.store(Arc::new(all));
    }

    /// Checks a key for delivery: in the key rings, and in the database only when no ring has it (it may be new).
    ///
    /// # Errors
    /// When the database cannot be read, or was asked for too many unknown keys.
    pub async fn reading_key(&self, key: &str) -> Result<Option<Arc<Access>>, KeyFailure> {
        if let Some(access) = self.ring_key(key) {
            return Ok(Some(access));
        }
        let in_ring = split_key(key).is_none_or(|(id, _)| self.rings.load().contains_key(id));
        if in_ring || self.engine.is_none() {
            return Ok(None);
        }
        self.check_key(key).await
    }

    /// Checks a key in the database, or at an edge in the key rings.
    ///
    /// # Errors
    /// When the database cannot be read, or was asked for too many unknown keys.
    pub async fn check_key(&self, key: &str) -> Result<Option<Arc<Access>>, KeyFailure> {
        let Some(engine) = &self.engine else { return Ok(self.ring_key(key)) };
        let digest = Digest::of(key.as_bytes());
        if let Some((at, access)) = lock(&self.keys).get(&digest)
            && at.elapsed() < KEY_TTL
        {
            return Ok(access.clone());
        }
        if self.ring_key(key).is_none() && !self.unknown.take("") {
            return Err(KeyFailure::TooMany);
        }
        let access = engine.authenticate(key).await?.map(Arc::new);
        let mut keys = lock(&self.keys);
        if keys.len() >= KEYS_MAX {
            keys.retain(|_, (at, _)| at.elapsed() < KEY_TTL);
            if keys.len() >= KEYS_MAX {
                keys.clear();
            }
        }
        keys.insert(digest, (Instant::now(), access.clone()));
        Ok(access)
    }

    /// Forgets what is remembered of a key that was made or revoked here.
    pub fn forget_key(&self, id: &str) {
        lock(&self.keys).retain(|_, (_, access)| access.as_ref().is_some_and(|a| a.key_id != id));
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
                lock(&known.broken).insert(state.channel.clone(), state.release);
                return false;
            }
        };
        lock(&known.broken).remove(&state.channel);
        known.channels.rcu(|channels| {
            let mut next = BTreeMap::clone(channels);
            if next.get(&state.channel).is_none_or(|l| l.state.sequence < state.sequence) {
                next.insert(state.channel.clone(), Live { view: view.clone(), state: state.clone() });
            }
            next
        });
        // Releases may disagree about which channel is public; the one that moved last decides.
        let channels = known.channels.load();
        let served_before = known.public.load_full();
        let named =
            channels.values().filter(|l| l.view.definitions().config.channels.public == l.state.channel);
        let public = named.max_by(|a, b| a.state.moved_at.cmp(&b.state.moved_at));
        known.public.store(public.map(|l| l.view.clone()));
        if let Some(public) = known.public.load_full()
            && served_before.as_ref().is_none_or(|b| !Arc::ptr_eq(b, &public))
        {
            prerender(tenant.clone(), served_before, public);
        }
        match before.get(&state.channel) {
            Some(earlier) => {
                if let Some(feed) = known.feed(&state.channel) {
                    feed.moved((&earlier.state, &earlier.view), (&state, &view));
                }
            }
            None => drop(lock(&known.feeds).insert(state.channel.clone(), Arc::new(Feed::new(&state)))),
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

/// Renders the pages that a move can have changed, so that no reader waits for it. Pages that are not rendered in time
/// are rendered when they are read.
fn prerender(tenant: TenantId, before: Option<Arc<ReleaseView>>, now: Arc<ReleaseView>) {
    if now.definitions().site().is_none() {
        return;
    }
    let work = move || {
        let started = std::time::Instant::now();
        let touched = match &before {
            Some(before) => now.pages_touched(before),
            None => now.pages().take(PRERENDERED_MAX).collect(),
        };
        let (mut rendered, mut failed) = (0_usize, 0_usize);
        for page in touched.unwrap_or_default().iter().take(PRERENDERED_MAX) {
            match now.page(page) {
                Ok(_) => rendered += 1,
                Err(error) => {
                    failed += 1;
                    tracing::error!(%tenant, path = page.path, %error, "a page cannot be rendered");
                }
            }
        }
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        tracing::info!(%tenant, release = now.label(), rendered, failed, took_ms, "pages are ready");
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
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
        modified: derived.get(ashlar_model::MODIFIED).copied(),
    })
}
