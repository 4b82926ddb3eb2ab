//! Purging upstream caches: what a move of a channel changed is purged, exactly, at least once.
//!
//! The last purge of a target is recorded in a pointer object of the tenant, with the snapshot of that moment: it is the
//! place of a follower. So nothing is queued: after a crash the differences of all moves since then are purged. The difference
//! to what is served now would not be enough: a cache may contain what a move brought and a later one took back. A body carries the surrogate keys of everything it was composed from, also of
//! what was looked for and was not there, so the keys of changed entries reach every body that could have changed.

mod probe;
mod target;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ashlar_delivery::{Purge, purge_between, purge_dates};
use ashlar_model::{Actor, Digest, TenantId, TraceId};
use ashlar_release::{ChannelState, Ctx, Engine, Failure, Follower, RecordPurge, Target};
use ashlar_store::{Objects, StoreError, TenantObjects};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub use self::target::{PurgeTarget, PurgeTargetError};
use self::{
    probe::Probe,
    target::{PurgeError, Wire, batches, client, send},
};
use crate::app::{
    App,
    cache_stats::{CacheStats, Purged},
    metrics::Metrics,
    tenants::Tenants,
};

/// How long edges are given to serve a release before their upstream caches ask again.
const EDGES: Duration = Duration::from_secs(3);
/// How often moves of other processes are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// How long this node may take to serve a move.
const SERVED_MAX: Duration = Duration::from_secs(5);

/// The last purge of a target: the pointer object `purged/<target>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    sequence: u64,
    snapshot: Digest,
    definitions: Digest,
    /// The root of the dates of its entries.
    #[serde(default)]
    modified: Option<Digest>,
}

/// Keeps upstream caches fresh. A target is a cache for each tenant.
pub struct Purges {
    engine: Engine,
    objects: Objects,
    tenants: Arc<Tenants>,
    metrics: Arc<Metrics>,
    stats: Arc<CacheStats>,
    caches: Vec<PurgeTarget>,
    client: reqwest::Client,
    probe: Probe,
}

/// What is to be purged, and what was purged before.
struct Due {
    now: ChannelState,
    before: Option<Last>,
    pointer: String,
}

impl Purges {
    /// # Errors
    /// When no client can be made.
    pub fn new(app: &App, engine: &Engine, caches: Vec<PurgeTarget>) -> reqwest::Result<Self> {
        let client = client()?;
        Ok(Self {
            engine: engine.clone(),
            objects: app.objects.clone(),
            tenants: app.tenants.clone(),
            metrics: app.metrics.clone(),
            stats: app.cache_stats.clone(),
            caches,
            probe: Probe::new(app, client.clone()),
            client,
        })
    }

    fn cache(&self, of: &Target) -> Option<&PurgeTarget> {
        self.caches.iter().find(|cache| cache.url == of.name)
    }

    /// What a cache has not been purged of yet.
    async fn due(&self, of: &Target) -> Result<Option<Due>, PurgeError> {
        let ctx = Ctx::new(of.tenant.clone(), Actor::local("purge"))?;
        let Some(now) = self.engine.public_state(&ctx).await? else { return Ok(None) };
        let pointer = format!("purged/{}.json", Digest::of(of.name.as_bytes()).short());
        let before: Option<Last> =
            match self.engine.tenant_objects(&of.tenant).get_pointer(&pointer, None).await {
                Ok(read) => read.body().and_then(|b| serde_json::from_slice(b).ok()),
                Err(StoreError::Missing { .. }) => None,
                Err(error) => return Err(error.into()),
            };
        let is_done = before.as_ref().is_some_and(|b| b.sequence >= now.sequence);
        Ok((!is_done).then_some(Due { now, before, pointer }))
    }

    /// Purges what is due, and records it last: a crash before that purges once more.
    async fn purge(&self, of: &Target, cache: &PurgeTarget) -> Result<(), PurgeError> {
        let Some(Due { now, before, pointer }) = self.due(of).await? else { return Ok(()) };
        self.served(&of.tenant, &now).await?;
        let started = Instant::now();
        let purge = self.plan(&of.tenant, before, &now).await?;
        let keys = self.send(cache, &purge, &now).await?;
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        // Before the purge is on record: a cache that answers 200 and forgets nothing was not purged.
        if cache.wire == Wire::Varnish {
            self.probe.look(cache, &of.tenant, &now, &purge, started).await?;
        }
        let everything = matches!(purge, Purge::Everything);
        self.record(of, (&now, &pointer), json!({"keys": keys, "everything": everything, "ms": ms})).await?;
        let since = now.moved_at.parse::<Timestamp>().map_or(ms, |at| {
            // A clock that was set back must not make a purge faster than it was.
            ms.max(Timestamp::now().duration_since(at).as_secs_f64() * 1000.0)
        });
        let purged = Purged { keys, everything, ms: since, release: now.release.to_string() };
        self.stats.purged(&of.tenant, &of.name, purged);
        tracing::info!(tenant = %of.tenant, target = %cache, keys, ms, "a cache is purged");
        Ok(())
    }

    /// What has differed since the last purge: in what is served now, and in everything that was served in between.
    async fn plan(
        &self,
        tenant: &TenantId,
        before: Option<Last>,
        now: &ChannelState,
    ) -> Result<Purge, PurgeError> {
        // The first time nobody knows what the cache contains.
        let Some(before) = before.filter(|b| b.definitions == now.definitions) else {
            return Ok(Purge::Everything);
        };
        let Some(live) = self.tenants.get(tenant).and_then(|t| t.live(&now.channel)) else {
            return Ok(Purge::Everything);
        };
        let mut states = vec![(before.snapshot, before.modified)];
        if now.sequence > before.sequence + 1 {
            let served = self.engine.served_since(tenant, &now.channel, before.sequence).await?;
            let Some(served) = served.filter(|all| all.iter().all(|r| r.definitions == now.definitions))
            else {
                return Ok(Purge::Everything);
            };
            states
                .extend(served.iter().map(|r| (r.snapshot, r.derived.get(ashlar_model::MODIFIED).copied())));
        }
        states.push((now.snapshot, modified(now)));
        let objects = self.engine.tenant_objects(tenant);
        let work = move || {
            states.windows(2).try_fold(Purge::Nothing, |all, two| {
                let [(was, was_at), (is, is_at)] = two else { return Ok(all) };
                let purge = purge_between(&objects, live.view.definitions(), was, is)?;
                purge_dates(&objects, purge, was_at.as_ref(), is_at.as_ref()).map(|purge| all.and(purge))
            })
        };
        let planned: Result<Purge, StoreError> =
            tokio::task::spawn_blocking(work).await.map_err(|e| PurgeError::Cache(e.to_string()))?;
        Ok(planned?)
    }

    /// Says how many keys were purged by name.
    async fn send(
        &self,
        cache: &PurgeTarget,
        purge: &Purge,
        now: &ChannelState,
    ) -> Result<usize, PurgeError> {
        match purge {
            Purge::Nothing => Ok(0),
            Purge::Keys(keys) => {
                for some in batches(keys) {
                    send(&self.client, cache, Some(some), now).await?;
                }
                Ok(keys.len())
            }
            Purge::Everything => send(&self.client, cache, None, now).await.map(|()| 0),
        }
    }

    async fn record(
        &self,
        of: &Target,
        (now, pointer): (&ChannelState, &str),
        mut data: serde_json::Value,
    ) -> Result<(), PurgeError> {
        data["target"] = json!(of.name);
        data["release"] = json!(now.release);
        data["channel"] = json!(now.channel);
        let mut ctx = Ctx::new(of.tenant.clone(), Actor::local("purge"))?;
        if let Some(trace) = now.trace.as_ref().and_then(|t| TraceId::new(t).ok()) {
            ctx.trace = trace;
        }
        self.engine.run(&ctx, RecordPurge { subject: now.release.to_string(), data }).await?;
        let (snapshot, definitions, modified) = (now.snapshot, now.definitions, modified(now));
        let last = Last { sequence: now.sequence, snapshot, definitions, modified };
        let body = serde_json::to_vec(&last).map_err(|e| PurgeError::Cache(e.to_string()))?;
        let objects: TenantObjects = self.engine.tenant_objects(&of.tenant);
        objects.put_pointer(pointer, body.into()).await?;
        Ok(())
    }

    /// Waits until a cache that asks again gets what is new: this node at once, edges after they have looked.
    async fn served(&self, tenant: &TenantId, now: &ChannelState) -> Result<(), PurgeError> {
        let until = Instant::now() + SERVED_MAX;
        let here = || {
            let live = self.tenants.get(tenant).and_then(|t| t.live(&now.channel));
            live.is_some_and(|live| live.state.sequence >= now.sequence)
        };
        while !here() {
            if Instant::now() > until {
                return Err(PurgeError::Cache("the release is not served here yet".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if self.objects.has_remote() {
            tokio::time::sleep(EDGES).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Follower for Purges {
    fn name(&self) -> &'static str {
        "purges"
    }

    fn look_every(&self) -> Duration {
        LOOK
    }

    /// Purging twice does no harm, and a purge is late by no lease of a node that died.
    fn is_leased(&self) -> bool {
        false
    }

    async fn targets(&self) -> Result<Vec<Target>, Failure> {
        let of = |tenant: TenantId| {
            self.caches.iter().map(move |cache| Target { tenant: tenant.clone(), name: cache.url.clone() })
        };
        Ok(self.tenants.names().into_iter().flat_map(of).collect())
    }

    async fn behind(&self, of: &Target) -> Result<Option<Timestamp>, Failure> {
        let due = self.due(of).await?;
        Ok(due.map(|due| due.now.moved_at.parse().unwrap_or_else(|_| self.engine.now())))
    }

    async fn work(&self, of: &Target, _: &CancellationToken) -> Result<(), Failure> {
        let Some(cache) = self.cache(of) else { return Ok(()) };
        let purged = self.purge(of, cache).await;
        if let Err(error) = &purged {
            self.metrics.counted.purge_failures.inc();
            self.stats.failed(&of.tenant, &of.name, &error.public());
        }
        Ok(purged?)
    }
}

fn modified(state: &ChannelState) -> Option<Digest> {
    state.derived.get(ashlar_model::MODIFIED).copied()
}
