//! What all parts of a running server share.

pub mod cache_stats;
pub mod metrics;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use ashlar_delivery::{Caches, Definitions, ReleaseRoots, ReleaseView};
use ashlar_gates::Trials;
use ashlar_isolate::Workers;
use ashlar_model::{ChannelName, Digest, Files, ReleaseId, TenantId};
use ashlar_release::{Access, ChannelState, Engine, KeyRing, KnownKey, ReleaseError, split_key};
use ashlar_store::{Node, Objects, TenantObjects};
use axum::http::HeaderMap;

use tokio_util::sync::CancellationToken;

use crate::{
    access::bearer,
    app::{cache_stats::CacheStats, metrics::Metrics},
    delivery::changes::{Feed, Listeners},
    front::{ApiError, Limits, host_of, normal},
    registry::TokenVersions,
};

/// Drafts, candidates and releases that stay open for previews.
const PREVIEWS_MAX: usize = 8;
/// The most pages that are rendered before they are read.
const PRERENDERED_MAX: usize = 20_000;
/// How long pages are rendered before other work of the tenant has its turn.
const PRERENDER_TURN: Duration = Duration::from_millis(50);
/// How long an answer of the database about a key is believed; a revoked key works no longer than this.
const KEY_TTL: Duration = Duration::from_secs(3);
/// Keys that are remembered.
const KEYS_MAX: usize = 10_000;
/// Keys that no key ring has are asked for in the database, this often per second at most.
const UNKNOWN_KEYS_PER_SECOND: u32 = 100;
/// Bytes of composed and compressed bodies, and of whole answers, that are kept.
const CACHE_BYTES: u64 = 96 << 20;

/// Bytes of tree nodes that stay in memory, unless the environment says otherwise.
const TREE_BYTES_MAX: usize = 2 << 30;
const TREE_BYTES: &str = "ASHLAR_TREE_BYTES_MAX";
/// How often memory of tree nodes is given back at most: nodes that are needed have to be read again.
const RELIEVE_EVERY: Duration = Duration::from_secs(60);

fn tree_bytes_max() -> usize {
    let Ok(text) = std::env::var(TREE_BYTES) else { return TREE_BYTES_MAX };
    text.parse().unwrap_or_else(|_| {
        tracing::warn!("{TREE_BYTES}={text} is not a number of bytes; {TREE_BYTES_MAX} is used");
        TREE_BYTES_MAX
    })
}

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
    /// Channels that have a pointer here, whether or not a release names them.
    pub pointed: ArcSwap<BTreeSet<ChannelName>>,
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
    /// Tells other processes what this one serves; `None` when nothing can be written beside the objects.
    node: Option<Node>,
    /// Where CPU-heavy work is done; tenants take turns.
    pub workers: Workers,
    /// Definitions are read only after they passed a trial.
    trials: Option<Trials>,
    pub caches: Caches,
    pub metrics: Metrics,
    /// Figures of upstream caches.
    pub cache_stats: CacheStats,
    pub tenants: RwLock<HashMap<TenantId, Arc<TenantState>>>,
    pub hosts: ArcSwap<HashMap<String, TenantId>>,
    /// The keys of all rings by their public part.
    rings: ArcSwap<HashMap<String, KnownKey>>,
    rings_change: Mutex<()>,
    keys: Mutex<Keys>,
    /// How often keys were forgotten.
    forgotten: AtomicU64,
    unknown: Limits<()>,
    /// Places for clients that follow changes.
    pub listeners: Arc<Listeners>,
    /// Cancelled when the server is asked to stop: streams end, and nothing new is begun.
    pub stopping: CancellationToken,
    previews: Mutex<Vec<(String, Arc<ReleaseView>)>>,
    /// Bytes of tree nodes that may stay in memory.
    tree_bytes_max: usize,
    /// When memory of tree nodes was last given back.
    relieved: Mutex<Option<Instant>>,
    /// Versions of design tokens.
    pub token_versions: TokenVersions,
}

impl App {
    /// `listeners`: clients that may follow changes, in all and of one key or address.
    pub fn new(
        engine: Option<Engine>,
        objects: Objects,
        workers: Workers,
        trials: Option<Trials>,
        listeners: (usize, usize),
    ) -> Self {
        let node = objects.serve_as_node();
        if let Err(error) = &node {
            tracing::warn!(%error, "promotions on this machine do not wait for this process");
        }
        Self {
            engine,
            objects,
            node: node.ok(),
            workers,
            trials,
            caches: Caches::new(CACHE_BYTES),
            metrics: Metrics::default(),
            cache_stats: CacheStats::default(),
            tenants: RwLock::default(),
            hosts: ArcSwap::default(),
            rings: ArcSwap::default(),
            rings_change: Mutex::default(),
            unknown: Limits::new(UNKNOWN_KEYS_PER_SECOND),
            listeners: Arc::new(Listeners::new(listeners.0, listeners.1)),
            stopping: CancellationToken::new(),
            keys: Mutex::default(),
            forgotten: AtomicU64::new(0),
            previews: Mutex::default(),
            tree_bytes_max: tree_bytes_max(),
            relieved: Mutex::default(),
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
            next.extend(names.iter().map(|n| (normal(n).into_owned(), tenant.clone())));
            next
        });
    }

    /// The tenant that a host name leads to; `main` when it leads to none.
    pub fn tenant_of_host(&self, host: Option<&str>) -> TenantId {
        let hosts = self.hosts.load();
        if hosts.is_empty() {
            return TenantId::main();
        }
        let name = normal(host.unwrap_or_default());
        hosts.get(name.as_ref()).cloned().unwrap_or_else(TenantId::main)
    }

    /// Whether a host name serves a tenant to its keys. A name that leads to a tenant serves that tenant alone; a name
    /// that leads to nobody, such as an address, serves every key.
    pub fn serves(&self, host: Option<&str>, tenant: &TenantId) -> bool {
        let hosts = self.hosts.load();
        if hosts.is_empty() {
            return true;
        }
        hosts.get(normal(host.unwrap_or_default()).as_ref()).is_none_or(|bound| bound == tenant)
    }

    /// What the key of a request to the delivery side gives; `None` without a key.
    ///
    /// # Errors
    /// When the key is no good, or belongs to another tenant than the host name, or cannot be checked.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Option<Arc<Access>>, ApiError> {
        let Some(key) = bearer(headers) else { return Ok(None) };
        let access = self.reading_key(key).await?.ok_or_else(ApiError::bad_key)?;
        match self.serves(host_of(headers), &access.tenant) {
            true => Ok(Some(access)),
            false => Err(ApiError::misdirected()),
        }
    }

    /// What a key gives according to the key rings: no database, no waiting. `None` when no ring has it or it is no good.
    pub fn ring_key(&self, key: &str) -> Option<Arc<Access>> {
        let (id, secret) = split_key(key)?;
        self.rings.load().get(id)?.check(secret, jiff::Timestamp::now())
    }

    /// Takes over the keys of a tenant, unless those that are known are newer.
    pub fn set_ring(&self, tenant: &TenantId, ring: KeyRing) {
        let state = self.tenant_or_new(tenant);
        // One at a time: a ring that is put in place stays until a newer one comes.
        let _one = lock(&self.rings_change);
        let known = state.ring.load();
        if **known == ring || known.sequence > ring.sequence {
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
            // A key that expires meanwhile is no longer good.
            let now = engine.now();
            return Ok(access.clone().filter(|a| a.ends.is_none_or(|ends| ends > now)));
        }
        if self.ring_key(key).is_none() && !self.unknown.take(()) {
            return Err(KeyFailure::TooMany);
        }
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let access = engine.authenticate(key).await?.map(Arc::new);
        let mut keys = lock(&self.keys);
        if self.forgotten.load(Ordering::Acquire) != forgotten {
            // A key was revoked while this one was looked up: what was read may be older than that.
            return Ok(access);
        }
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
        let mut keys = lock(&self.keys);
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        keys.retain(|_, (_, access)| access.as_ref().is_some_and(|a| a.key_id != id));
    }

    /// Whether what a channel serves here is at least as new as this move, and nothing is being put in place. A move that is being
    /// applied is not served yet, although it is on record already.
    pub fn serves_move(&self, tenant: &TenantId, state: &ChannelState) -> bool {
        let Some(known) = self.tenant(tenant) else { return false };
        let Ok(_one) = known.applying.try_lock() else { return false };
        let channels = known.channels.load();
        channels.get(&state.channel).is_some_and(|l| l.state.sequence >= state.sequence)
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
                let definitions = match definitions {
                    Some(known) => known,
                    None => self.definitions(&objects, &roots.definitions)?,
                };
                ReleaseView::open(&objects, &roots, Some(&definitions), &self.caches)
                    .map_err(|e| e.to_string())
            });
        let view = match opened {
            Ok(view) => view,
            Err(error) => {
                self.metrics.view_failed();
                tracing::error!(%tenant, channel = %state.channel, release = %state.release, %error,
                    "a release cannot be opened; what was served before stays");
                lock(&known.broken).insert(state.channel.clone(), state.release);
                self.answer_for(tenant, &state, false);
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
            prerender(&self.workers, tenant.clone(), served_before, public);
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
        self.answer_for(tenant, &state, true);
        true
    }

    /// Tells who moved a channel on this machine what became of it here.
    fn answer_for(&self, tenant: &TenantId, state: &ChannelState, opened: bool) {
        if let Some(node) = &self.node {
            node.serves(tenant, &state.channel, state.sequence, opened);
        }
    }

    /// Reads the definitions of a release, once they have passed a trial, with everything that is made of them.
    ///
    /// # Errors
    /// When they cannot be read; the message says why.
    pub fn definitions(&self, objects: &TenantObjects, root: &Digest) -> Result<Arc<Definitions>, String> {
        let files: Files = ashlar_delivery::read_files(objects, root).map_err(|e| e.public())?;
        if let Some(trials) = &self.trials {
            trials.admit(&files).map_err(|(finding, _)| finding.message)?;
        }
        let definitions = Definitions::parse(*root, &files).map_err(|e| e.public())?;
        definitions.warm();
        Ok(Arc::new(definitions))
    }

    /// Gives back the memory of tree nodes when all together take more than may be: what is served is opened again without
    /// the nodes that were touched, and those that are read come back one by one.
    pub fn relieve(&self) {
        if ashlar_store::tree_bytes() <= self.tree_bytes_max {
            return;
        }
        {
            let mut last = lock(&self.relieved);
            if last.is_some_and(|at| at.elapsed() < RELIEVE_EVERY) {
                return;
            }
            *last = Some(Instant::now());
        }
        let before = ashlar_store::tree_bytes();
        lock(&self.previews).clear();
        let tenants: Vec<_> =
            self.tenants.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for state in tenants {
            let _one = lock(&state.applying);
            let mut next = BTreeMap::clone(&state.channels.load());
            let mut public = state.public.load_full();
            for live in next.values_mut() {
                match live.view.anew() {
                    Ok(view) => {
                        if public.as_ref().is_some_and(|public| Arc::ptr_eq(public, &live.view)) {
                            public = Some(view.clone());
                        }
                        live.view = view;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "what is served could not be opened again; it stays")
                    }
                }
            }
            state.channels.store(Arc::new(next));
            state.public.store(public);
        }
        let after = ashlar_store::tree_bytes();
        tracing::info!(before, after, max = self.tree_bytes_max, "memory of tree nodes is given back");
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
        if previews.len() >= PREVIEWS_MAX {
            previews.remove(0);
        }
        previews.push((name, view));
    }
}

/// Renders the pages that a move can have changed, so that no reader waits for it. Pages that are not rendered in time
/// are rendered when they are read.
fn prerender(workers: &Workers, tenant: TenantId, before: Option<Arc<ReleaseView>>, now: Arc<ReleaseView>) {
    if now.definitions().site().is_none() {
        return;
    }
    let started = Instant::now();
    let (pool, of_work) = (workers.clone(), tenant.clone());
    let begin = move || {
        let touched = match &before {
            Some(before) => now.pages_touched(before),
            None => now.pages().take(PRERENDERED_MAX).collect(),
        };
        let mut pages = touched.unwrap_or_default();
        pages.truncate(PRERENDERED_MAX);
        let left =
            Prerender { tenant: of_work, now, pages: pages.into_iter(), rendered: 0, failed: 0, started };
        left.go_on(&pool);
    };
    if workers.spawn(&tenant, begin).is_err() {
        tracing::warn!(%tenant, "pages are rendered when they are read: too much work is waiting");
    }
}

/// Pages that are still to be rendered.
struct Prerender {
    tenant: TenantId,
    now: Arc<ReleaseView>,
    pages: std::vec::IntoIter<ashlar_delivery::PageAt>,
    rendered: usize,
    failed: usize,
    started: Instant,
}

impl Prerender {
    /// Renders some pages, and lets other work of the tenant come in between.
    fn go_on(mut self, workers: &Workers) {
        let turn = Instant::now();
        for page in self.pages.by_ref() {
            match self.now.page(&page) {
                Ok(_) => self.rendered += 1,
                Err(error) => {
                    self.failed += 1;
                    tracing::error!(tenant = %self.tenant, path = page.path, error, "a page cannot be rendered");
                }
            }
            if turn.elapsed() > PRERENDER_TURN {
                break;
            }
        }
        if self.pages.len() > 0 {
            let (pool, tenant) = (workers.clone(), self.tenant.clone());
            if workers.spawn(&tenant, move || self.go_on(&pool)).is_err() {
                tracing::warn!(%tenant, "pages are rendered when they are read: too much work is waiting");
            }
            return;
        }
        let took_ms = self.started.elapsed().as_secs_f64() * 1e3;
        let (rendered, failed) = (self.rendered, self.failed);
        tracing::info!(tenant = %self.tenant, release = self.now.label(), rendered, failed, took_ms, "pages are ready");
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
