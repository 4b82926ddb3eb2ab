//! Purging upstream caches: what a move of a channel changed is purged, exactly, at least once.
//!
//! A node with a database ([`Purges`]) records what a cache was last purged for in a pointer object of the tenant: it is the
//! place of a follower. So nothing is queued: after a crash the differences of all moves since then are purged. The difference
//! to what is served now would not be enough: a cache may contain what a move brought and a later one took back. An edge
//! ([`EdgePurges`]) purges what it served itself. A body carries the surrogate keys of everything it was composed from, also of
//! what was looked for and was not there, so the keys of changed entries reach every body that could have changed.

mod author;
mod edge;
mod probe;
mod target;
mod trail;

use std::{sync::Arc, time::Duration};

use ashlar_delivery::{Definitions, Purge, purge_between, purge_dates};
use ashlar_model::TenantId;
use ashlar_release::{ChannelState, Target};
use ashlar_store::{StoreError, TenantObjects};

pub use self::{
    author::Purges,
    edge::EdgePurges,
    target::{PurgeTarget, PurgeTargetError},
};
use self::{
    target::{PurgeError, batches, client, send},
    trail::Contents,
};
use crate::app::tenants::Tenants;

/// How often moves of other processes are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// How long a body may take from when it is made until a cache has stored it. A purge before that does not reach it.
const SETTLE: Duration = Duration::from_secs(2);

/// Upstream caches, and what sends requests to them. A target is a cache for each tenant.
struct Fronts {
    caches: Vec<PurgeTarget>,
    client: reqwest::Client,
}

impl Fronts {
    fn new(caches: Vec<PurgeTarget>) -> reqwest::Result<Self> {
        Ok(Self { caches, client: client()? })
    }

    fn cache(&self, of: &Target) -> Option<&PurgeTarget> {
        self.caches.iter().find(|cache| cache.url == of.name)
    }

    fn targets(&self, tenants: &Tenants) -> Vec<Target> {
        let of = |tenant: TenantId| {
            self.caches.iter().map(move |cache| Target { tenant: tenant.clone(), name: cache.url.clone() })
        };
        tenants.names().into_iter().flat_map(of).collect()
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
}

/// What differs between states that were served one after the other. `definitions`: those of the last state, when they are open.
async fn differences(
    objects: TenantObjects,
    definitions: Option<Arc<Definitions>>,
    states: Vec<Contents>,
) -> Result<Purge, PurgeError> {
    let Some(definitions) = definitions else { return Ok(Purge::Everything) };
    if states.iter().any(|state| state.definitions != definitions.digest) {
        return Ok(Purge::Everything);
    }
    let work = move || {
        states.windows(2).try_fold(Purge::Nothing, |all, two| {
            let [was, is] = two else { return Ok(all) };
            let purge = purge_between(&objects, &definitions, &was.snapshot, &is.snapshot)?;
            purge_dates(&objects, purge, was.modified.as_ref(), is.modified.as_ref())
                .map(|purge| all.and(purge))
        })
    };
    let planned: Result<Purge, StoreError> =
        tokio::task::spawn_blocking(work).await.map_err(|e| PurgeError::Cache(e.to_string()))?;
    Ok(planned?)
}
