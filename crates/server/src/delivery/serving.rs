//! Opening releases and putting them in place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc::Receiver},
    time::{Duration, Instant},
};

use ashlar_delivery::{
    CacheCounts, Caches, Definitions, ReleaseRoots, ReleaseView,
    search::{Logged, SearchCounts},
};
use ashlar_gates::Trials;
use ashlar_isolate::Workers;
use ashlar_model::{Digest, Files, TenantId};
use ashlar_release::ChannelState;
use ashlar_retrieval::models::{ModelCounts, Models};
use ashlar_store::{Node, Objects, TenantObjects};
use tokio::sync::broadcast;

use super::prerender::prerender;
use crate::app::{
    feed::Feed,
    freshness::Freshness,
    metrics::Metrics,
    tenants::{Live, Tenants, lock},
};

/// Moves of public channels that a listener may be behind.
const MOVES_MAX: usize = 256;
/// Drafts, candidates and releases that stay open for previews.
const PREVIEWS_MAX: usize = 8;
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

/// What is open here: what channels serve, and what was opened for previews.
pub struct Serving {
    tenants: Arc<Tenants>,
    objects: Objects,
    /// Tells other processes what this one serves; `None` when nothing can be written beside the objects.
    node: Option<Node>,
    workers: Workers,
    /// Definitions are read only after they passed a trial.
    trials: Option<Trials>,
    caches: Caches,
    metrics: Arc<Metrics>,
    previews: Mutex<Vec<(String, Arc<ReleaseView>)>>,
    /// Tells what public channels serve from now on.
    moves: broadcast::Sender<(TenantId, ChannelState)>,
    freshness: Freshness,
    /// Bytes of tree nodes that may stay in memory.
    tree_bytes_max: usize,
    /// When memory of tree nodes was last given back.
    relieved: Mutex<Option<Instant>>,
}

impl Serving {
    pub fn new(
        tenants: Arc<Tenants>,
        objects: Objects,
        workers: Workers,
        trials: Option<Trials>,
        metrics: Arc<Metrics>,
        models: Arc<dyn Models>,
    ) -> Self {
        let node = objects.serve_as_node();
        if let Err(error) = &node {
            tracing::warn!(%error, "promotions on this machine do not wait for this process");
        }
        Self {
            tenants,
            objects,
            node: node.ok(),
            workers,
            trials,
            caches: Caches::new(CACHE_BYTES).with_models(models),
            metrics,
            previews: Mutex::default(),
            moves: broadcast::channel(MOVES_MAX).0,
            freshness: Freshness::default(),
            tree_bytes_max: tree_bytes_max(),
            relieved: Mutex::default(),
        }
    }

    /// Figures of composed bodies.
    pub fn cache_counts(&self) -> CacheCounts {
        self.caches.counts()
    }

    /// How soon releases became searchable here.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// What is searched for from now on; `None` when somebody takes it already.
    pub fn follow_searches(&self) -> Option<Receiver<Logged>> {
        self.caches.follow_searches()
    }

    /// What public channels serve from now on, each state once.
    pub fn public_moves(&self) -> broadcast::Receiver<(TenantId, ChannelState)> {
        self.moves.subscribe()
    }

    /// Figures of searches and questions.
    pub fn search_counts(&self) -> SearchCounts {
        self.caches.searches()
    }

    /// How often models were asked.
    pub fn model_counts(&self) -> ModelCounts {
        self.caches.model_counts()
    }

    /// Opens what is neither live nor, by its name, open for a preview already. Definitions that are live are shared.
    ///
    /// # Errors
    /// When it cannot be read; the message says why.
    pub fn open(
        &self,
        tenant: &TenantId,
        name: String,
        roots: &ReleaseRoots,
    ) -> Result<Arc<ReleaseView>, String> {
        let objects = self.objects.tenant(tenant);
        let known = self.tenants.get(tenant).and_then(|state| {
            let channels = state.channels.load();
            channels.values().map(|l| l.view.definitions()).find(|d| d.digest == roots.definitions).cloned()
        });
        let view = self.open_with(&objects, roots, known)?;
        let mut previews = lock(&self.previews);
        previews.retain(|(n, _)| *n != name);
        if previews.len() >= PREVIEWS_MAX {
            previews.remove(0);
        }
        previews.push((name, view.clone()));
        Ok(view)
    }

    /// A release, candidate or draft that was opened for a preview.
    pub fn preview(&self, name: &str) -> Option<Arc<ReleaseView>> {
        let mut previews = lock(&self.previews);
        let at = previews.iter().position(|(n, _)| n == name)?;
        let found = previews.remove(at);
        previews.push(found.clone());
        Some(found.1)
    }

    /// `known`: the definitions, when they are open already.
    fn open_with(
        &self,
        objects: &TenantObjects,
        roots: &ReleaseRoots,
        known: Option<Arc<Definitions>>,
    ) -> Result<Arc<ReleaseView>, String> {
        let definitions = match known {
            Some(known) => known,
            None => self.definitions(objects, &roots.definitions)?,
        };
        ReleaseView::open(objects, roots, Some(&definitions), &self.caches).map_err(|e| e.public())
    }

    /// Whether what a channel serves here is at least as new as this move, and nothing is being put in place. A move that is being
    /// applied is not served yet, although it is on record already.
    pub fn serves_move(&self, tenant: &TenantId, state: &ChannelState) -> bool {
        let Some(known) = self.tenants.get(tenant) else { return false };
        let Ok(_one) = known.applying.try_lock() else { return false };
        let channels = known.channels.load();
        channels.get(&state.channel).is_some_and(|l| l.state.sequence >= state.sequence)
    }

    /// Opens what a channel serves now and puts it in place, unless something newer is there. What cannot be opened leaves
    /// what is served as it is. Says whether what is served is now at least this new.
    pub fn apply(&self, tenant: &TenantId, state: ChannelState) -> bool {
        let known = self.tenants.get_or_new(tenant);
        let _one = lock(&known.applying);
        let before = known.channels.load();
        if before.get(&state.channel).is_some_and(|l| l.state.sequence >= state.sequence) {
            return true;
        }
        let objects = self.objects.tenant(tenant);
        let definitions =
            before.values().map(|l| l.view.definitions()).find(|d| d.digest == state.definitions).cloned();
        let opened = roots(&state.release.to_string(), &state.snapshot, &state.definitions, &state.derived)
            .ok_or_else(|| "the release has no look-up tree".to_owned())
            .and_then(|roots| self.open_with(&objects, &roots, definitions));
        let view = match opened {
            Ok(view) => view,
            Err(error) => {
                self.metrics.counted.view_failures.inc();
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
            if let Some(live) = channels.values().find(|l| Arc::ptr_eq(&l.view, &public)) {
                // Nobody listening is fine.
                let _ = self.moves.send((tenant.clone(), live.state.clone()));
            }
            if Arc::ptr_eq(&public, &view) {
                self.freshness.served(tenant, &state, &view);
            }
            warm(&self.workers, tenant, served_before.clone(), &public);
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
    fn definitions(&self, objects: &TenantObjects, root: &Digest) -> Result<Arc<Definitions>, String> {
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
        for (_, state) in self.tenants.all() {
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
}

/// Opens what is searched before somebody searches.
fn warm(workers: &Workers, tenant: &TenantId, before: Option<Arc<ReleaseView>>, view: &Arc<ReleaseView>) {
    let view = view.clone();
    let work = move || {
        if let Err(error) = view.warm_search(before.as_deref()) {
            tracing::error!(release = view.label(), %error, "an index cannot be opened");
        }
    };
    if workers.spawn(tenant, work).is_err() {
        tracing::warn!(%tenant, "indexes are opened when they are searched: too much work is waiting");
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
        search: derived.get("search").copied(),
        meaning: derived.get("meaning").copied(),
    })
}
