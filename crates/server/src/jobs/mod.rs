//! What works behind the requests: upkeep, and the followers of the event log.

pub mod calls;
pub mod credentials;
pub mod evals;
pub mod probes;
pub mod purge;
mod scrub;
mod search;
pub mod searches;
pub mod spans;
pub mod upkeep;
mod webhooks;

use std::sync::Arc;

use ashlar_release::{Engine, Follower};

use self::{
    purge::{EdgePurges, PurgeTarget, Purges},
    search::Search,
    webhooks::Webhooks,
};
use crate::app::App;

/// The followers of a node. `webhooks`: it sends them, with whether receivers may be inside the server's own networks.
pub fn followers(
    app: &App,
    engine: &Engine,
    webhooks: Option<bool>,
    caches: Vec<PurgeTarget>,
) -> Vec<Arc<dyn Follower>> {
    let webhooks = webhooks.map(|private| Webhooks::new(engine.clone(), app.metrics.clone(), private));
    let purges = (!caches.is_empty()).then(|| Purges::new(app, engine, caches));
    let made = [
        webhooks.map(|made| made.map(|f| Arc::new(f) as Arc<dyn Follower>)),
        purges.map(|made| made.map(|f| Arc::new(f) as Arc<dyn Follower>)),
    ];
    let mut all: Vec<Arc<dyn Follower>> = made.into_iter().flatten().filter_map(begun).collect();
    all.push(Arc::new(Search::new(engine.clone())));
    all
}

/// What purges the caches of a node without an engine; `None` when it has none.
pub fn edge_purges(app: &App, caches: Vec<PurgeTarget>) -> Option<Arc<dyn Follower>> {
    let purges = (!caches.is_empty()).then(|| EdgePurges::new(app, caches))?;
    begun(purges.map(|f| Arc::new(f) as Arc<dyn Follower>))
}

fn begun(made: reqwest::Result<Arc<dyn Follower>>) -> Option<Arc<dyn Follower>> {
    made.inspect_err(|error| tracing::error!(%error, "a follower cannot begin")).ok()
}
