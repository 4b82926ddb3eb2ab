//! Purges by an edge: what it served itself. Its caches may have stored an old body after the nodes with the database have
//! purged them, when the edge followed late.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use ashlar_model::{Digest, TenantId};
use ashlar_release::{ChannelState, Failure, Follower, Target};
use ashlar_store::Objects;
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};
use tokio_util::sync::CancellationToken;

use super::{
    Fronts, LOOK, PurgeTarget, SETTLE, differences,
    target::PurgeError,
    trail::{Seen, Trail},
};
use crate::app::{
    App,
    metrics::Metrics,
    tenants::{Live, Tenants, lock},
};

/// Keeps the upstream caches of an edge fresh.
pub struct EdgePurges {
    objects: Objects,
    tenants: Arc<Tenants>,
    metrics: Arc<Metrics>,
    fronts: Fronts,
    /// What public channels serve from now on.
    moves: Mutex<Receiver<(TenantId, ChannelState)>>,
    open: Mutex<HashMap<Target, Open>>,
}

/// What is known of a cache.
#[derive(Clone)]
struct Open {
    trail: Trail,
    /// Whether it was purged since the newest state is served.
    purged: bool,
}

impl Open {
    fn push(&mut self, state: &ChannelState) {
        self.trail.push(Seen::now(state));
        self.purged = false;
    }
}

impl EdgePurges {
    /// # Errors
    /// When no client can be made.
    pub fn new(app: &App, caches: Vec<PurgeTarget>) -> reqwest::Result<Self> {
        Ok(Self {
            objects: app.objects.clone(),
            tenants: app.tenants.clone(),
            metrics: app.metrics.clone(),
            fronts: Fronts::new(caches)?,
            moves: Mutex::new(app.serving.public_moves()),
            open: Mutex::default(),
        })
    }

    /// Takes over what was served since the last call.
    fn listen(&self) {
        let mut moves = lock(&self.moves);
        let mut open = lock(&self.open);
        loop {
            match moves.try_recv() {
                Ok((tenant, state)) => {
                    open.iter_mut().filter(|(of, _)| of.tenant == tenant).for_each(|(_, o)| o.push(&state));
                }
                // More moves than are kept: what they brought is not known any more.
                Err(TryRecvError::Lagged(_)) => open.values_mut().for_each(|o| o.trail.forget()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// What the public channel of a tenant serves.
    fn live(&self, tenant: &TenantId) -> Option<Live> {
        let state = self.tenants.get(tenant)?;
        let public = state.public.load_full()?;
        let channels = state.channels.load();
        channels.values().find(|live| Arc::ptr_eq(&live.view, &public)).cloned()
    }

    /// What is known of a cache: for the first time what this edge has noted before its start, and what it serves.
    fn open(&self, of: &Target) -> Option<Open> {
        if let Some(open) = lock(&self.open).get(of) {
            return Some(open.clone());
        }
        let live = self.live(&of.tenant)?;
        let noted = self.objects.tenant(&of.tenant).last_pointer(&pointer(of));
        let noted = noted.and_then(|body| serde_json::from_slice::<Trail>(&body).ok());
        let mut made = Open { trail: noted.unwrap_or_else(Trail::unknown), purged: true };
        let known = made.trail.newest().map(|seen| (seen.sequence, &seen.contents));
        if known != Some((live.state.sequence, &(&live.state).into())) {
            made.push(&live.state);
        }
        lock(&self.open).insert(of.clone(), made.clone());
        Some(made)
    }

    /// Purges, and notes it last: an edge that dies before that purges once more after its start.
    async fn purge(&self, of: &Target) -> Result<(), PurgeError> {
        let Some(cache) = self.fronts.cache(of) else { return Ok(()) };
        let (Some(Open { trail, .. }), Some(live)) = (self.open(of), self.live(&of.tenant)) else {
            return Ok(());
        };
        let at = Timestamp::now();
        let objects = self.objects.tenant(&of.tenant);
        self.note(of, &trail).await?;
        let newest = trail.newest().cloned();
        let purge = match trail.contents() {
            None => ashlar_delivery::Purge::Everything,
            Some(states) => {
                let is_newest =
                    states.last().is_some_and(|s| s.definitions == live.view.definitions().digest);
                let definitions = is_newest.then(|| live.view.definitions().clone());
                differences(objects, definitions, states).await?
            }
        };
        let keys = self.fronts.send(cache, &purge, &live.state).await?;
        tracing::info!(tenant = %of.tenant, target = %cache, keys, "a cache is purged");
        let noted = lock(&self.open).get_mut(of).map(|open| {
            open.purged = open.trail.newest() == newest.as_ref();
            open.trail.purged(at, SETTLE);
            open.trail.clone()
        });
        match noted {
            Some(trail) => self.note(of, &trail).await,
            None => Ok(()),
        }
    }

    async fn note(&self, of: &Target, trail: &Trail) -> Result<(), PurgeError> {
        let body = serde_json::to_vec(trail).map_err(|e| PurgeError::Cache(e.to_string()))?;
        Ok(self.objects.tenant(&of.tenant).keep_last_pointer(&pointer(of), body.into()).await?)
    }
}

fn pointer(of: &Target) -> String {
    format!("purged/{}.json", Digest::of(of.name.as_bytes()).short())
}

#[async_trait]
impl Follower for EdgePurges {
    fn name(&self) -> &'static str {
        "purges"
    }

    fn look_every(&self) -> Duration {
        LOOK
    }

    /// Each edge purges what it served.
    fn is_leased(&self) -> bool {
        false
    }

    async fn targets(&self) -> Result<Vec<Target>, Failure> {
        self.listen();
        Ok(self.fronts.targets(&self.tenants))
    }

    async fn behind(&self, of: &Target) -> Result<Option<Timestamp>, Failure> {
        let Some(open) = self.open(of) else { return Ok(None) };
        let is_due = !open.purged || open.trail.is_ripe(Timestamp::now(), SETTLE);
        Ok(open.trail.newest().filter(|_| is_due).map(|seen| seen.at))
    }

    async fn work(&self, of: &Target, _: &CancellationToken) -> Result<(), Failure> {
        let purged = self.purge(of).await;
        if purged.is_err() {
            self.metrics.counted.purge_failures.inc();
        }
        Ok(purged?)
    }
}
