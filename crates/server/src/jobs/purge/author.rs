//! Purges by a node with a database: every move since the last purge, whichever node made it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ashlar_delivery::Purge;
use ashlar_model::{Actor, Digest, TenantId, TraceId};
use ashlar_release::{ChannelState, Ctx, Engine, Failure, Follower, RecordPurge, Target};
use ashlar_store::{Objects, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Fronts, LOOK, PurgeTarget, SETTLE, differences,
    probe::Probe,
    target::{PurgeError, Wire},
    trail::{Contents, Seen, Trail},
};
use crate::app::{
    App,
    cache_stats::{CacheStats, Purged},
    metrics::Metrics,
    tenants::Tenants,
};

/// How long edges are given to serve a release before their upstream caches ask again.
const EDGES: Duration = Duration::from_secs(3);
/// How long this node may take to serve a move.
const SERVED_MAX: Duration = Duration::from_secs(5);

/// Keeps upstream caches fresh.
pub struct Purges {
    engine: Engine,
    objects: Objects,
    tenants: Arc<Tenants>,
    metrics: Arc<Metrics>,
    stats: Arc<CacheStats>,
    fronts: Fronts,
    probe: Probe,
}

/// What is to be purged.
struct Due {
    now: ChannelState,
    trail: Trail,
    /// Whether it was purged already, but too early for bodies that were on their way.
    again: bool,
    /// Where the trail is kept.
    pointer: String,
}

impl Purges {
    /// # Errors
    /// When no client can be made.
    pub fn new(app: &App, engine: &Engine, caches: Vec<PurgeTarget>) -> reqwest::Result<Self> {
        let fronts = Fronts::new(caches)?;
        Ok(Self {
            engine: engine.clone(),
            objects: app.objects.clone(),
            tenants: app.tenants.clone(),
            metrics: app.metrics.clone(),
            stats: app.cache_stats.clone(),
            probe: Probe::new(app, fronts.client.clone()),
            fronts,
        })
    }

    /// How long after a move a purge reaches all older bodies. With edges, purges wait for longer than that.
    fn settle(&self) -> Duration {
        if self.objects.has_remote() { Duration::ZERO } else { SETTLE }
    }

    /// What a cache has not been purged of yet.
    async fn due(&self, of: &Target) -> Result<Option<Due>, PurgeError> {
        let ctx = Ctx::new(of.tenant.clone(), Actor::local("purge"))?;
        let Some(now) = self.engine.public_state(&ctx).await? else { return Ok(None) };
        let pointer = format!("purged/{}.json", Digest::of(of.name.as_bytes()).short());
        let known: Option<Trail> =
            match self.engine.tenant_objects(&of.tenant).get_pointer(&pointer, None).await {
                Ok(read) => read.body().and_then(|b| serde_json::from_slice(b).ok()),
                Err(StoreError::Missing { .. }) => None,
                Err(error) => return Err(error.into()),
            };
        // The first time nobody knows what the cache contains.
        let trail = known.unwrap_or_else(Trail::unknown);
        let again = trail.newest().is_some_and(|newest| newest.sequence >= now.sequence);
        let is_due = !again || trail.is_ripe(Timestamp::now(), self.settle());
        Ok(is_due.then_some(Due { now, trail, again, pointer }))
    }

    /// Purges what is due, and records it last: a crash before that purges once more.
    async fn purge(&self, of: &Target, cache: &PurgeTarget) -> Result<(), PurgeError> {
        let Some(Due { now, mut trail, again, pointer }) = self.due(of).await? else { return Ok(()) };
        self.served(&of.tenant, &now).await?;
        let (started, at) = (Instant::now(), Timestamp::now());
        let purge = self.plan(&of.tenant, &trail, &now).await?;
        if !again {
            trail.push(Seen::now(&now));
        }
        let keys = self.fronts.send(cache, &purge, &now).await?;
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        // Before the purge is on record: a cache that answers 200 and forgets nothing was not purged.
        if cache.wire == Wire::Varnish {
            self.probe.look(cache, &of.tenant, &now, &purge, started).await?;
        }
        let everything = matches!(purge, Purge::Everything);
        if !again {
            self.record(of, &now, json!({"keys": keys, "everything": everything, "ms": ms})).await?;
        }
        match purge {
            // Nothing that is on its way is old.
            Purge::Nothing => trail.purged(at, Duration::ZERO),
            _ => trail.purged(at, self.settle()),
        }
        let body = serde_json::to_vec(&trail).map_err(|e| PurgeError::Cache(e.to_string()))?;
        self.engine.tenant_objects(&of.tenant).put_pointer(&pointer, body.into()).await?;
        if again {
            return Ok(());
        }
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
    async fn plan(&self, tenant: &TenantId, trail: &Trail, now: &ChannelState) -> Result<Purge, PurgeError> {
        let (Some(mut states), Some(oldest)) = (trail.contents(), trail.oldest()) else {
            return Ok(Purge::Everything);
        };
        if now.sequence > oldest.sequence + 1 {
            let served = self.engine.served_since(tenant, &now.channel, oldest.sequence).await?;
            let Some(served) = served else { return Ok(Purge::Everything) };
            states.truncate(1);
            states.extend(served.iter().map(Contents::from));
        }
        states.push(now.into());
        let live = self.tenants.get(tenant).and_then(|t| t.live(&now.channel));
        let definitions = live.map(|live| live.view.definitions().clone());
        differences(self.engine.tenant_objects(tenant), definitions, states).await
    }

    async fn record(
        &self,
        of: &Target,
        now: &ChannelState,
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
        Ok(self.fronts.targets(&self.tenants))
    }

    async fn behind(&self, of: &Target) -> Result<Option<Timestamp>, Failure> {
        let due = self.due(of).await?;
        Ok(due.map(|due| due.now.moved_at.parse().unwrap_or_else(|_| self.engine.now())))
    }

    async fn work(&self, of: &Target, _: &CancellationToken) -> Result<(), Failure> {
        let Some(cache) = self.fronts.cache(of) else { return Ok(()) };
        let purged = self.purge(of, cache).await;
        if let Err(error) = &purged {
            self.metrics.counted.purge_failures.inc();
            self.stats.failed(&of.tenant, &of.name, &error.public());
        }
        Ok(purged?)
    }
}
