//! Building what a release lacks of what is derived from it: kinds that were not quick enough for the candidate, kinds that are new,
//! and kinds whose format is new. What channels serve says what is to be done, so nothing is queued, and a crash repeats the work.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use ashlar_model::{Actor, ReleaseId, TenantId};
use ashlar_release::{Ctx, Engine, Failure, Follower, ReleaseError, Target};
use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

/// Releases of a tenant that are remembered as complete: more than a project has channels.
const READY_MAX: usize = 64;

/// Builds what the releases that channels serve lack.
pub struct Search {
    engine: Engine,
    /// Releases that have everything.
    ready: Mutex<HashMap<TenantId, HashSet<ReleaseId>>>,
}

/// A release that lacks something, and since when it is served.
struct Due {
    release: ReleaseId,
    since: Timestamp,
}

impl Search {
    pub fn new(engine: Engine) -> Self {
        Self { engine, ready: Mutex::default() }
    }

    fn is_ready(&self, tenant: &TenantId, release: ReleaseId) -> bool {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.get(tenant).is_some_and(|ready| ready.contains(&release))
    }

    fn remember(&self, tenant: &TenantId, release: ReleaseId) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = ready.entry(tenant.clone()).or_default();
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(release);
    }

    /// The releases that channels serve and that lack something, the one that is served longest first.
    async fn due(&self, tenant: &TenantId) -> Result<Vec<Due>, ReleaseError> {
        let ctx = Ctx::new(tenant.clone(), Actor::local("search"))?;
        let mut due: Vec<Due> = Vec::new();
        for channel in self.engine.channels(&ctx).await? {
            let release = channel.release;
            if self.is_ready(tenant, release) || due.iter().any(|d| d.release == release) {
                continue;
            }
            if self.engine.derived_ready(&ctx, release).await?.values().all(|ready| *ready) {
                self.remember(tenant, release);
                continue;
            }
            let since = channel.moved_at.parse().unwrap_or_else(|_| self.engine.now());
            due.push(Due { release, since });
        }
        due.sort_by_key(|d| d.since);
        Ok(due)
    }
}

#[async_trait]
impl Follower for Search {
    fn name(&self) -> &'static str {
        "search"
    }

    async fn targets(&self) -> Result<Vec<Target>, Failure> {
        let rows = self.engine.db().tenants().await.map_err(ReleaseError::from)?;
        Ok(rows.into_iter().map(|row| Target { tenant: row.tenant, name: String::new() }).collect())
    }

    async fn behind(&self, of: &Target) -> Result<Option<Timestamp>, Failure> {
        Ok(self.due(&of.tenant).await?.first().map(|due| due.since))
    }

    async fn work(&self, of: &Target, stop: &CancellationToken) -> Result<(), Failure> {
        let ctx = Ctx::new(of.tenant.clone(), Actor::local("search"))?;
        // A release that fails must not keep the others waiting.
        let mut failed = None;
        for Due { release, .. } in self.due(&of.tenant).await? {
            if stop.is_cancelled() {
                break;
            }
            match self.engine.derive(&ctx, release).await {
                Ok(built) => tracing::info!(tenant = %of.tenant, %release, ?built, "derived trees are built"),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
