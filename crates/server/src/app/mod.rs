//! What a node is made of. Each part of the server takes from it what it needs, where its router or job is made.

pub mod cache_stats;
mod declared;
mod eval_figures;
pub mod feed;
pub mod freshness;
mod llm_figures;
pub mod metrics;
pub mod policies;
pub mod tenants;

use std::sync::Arc;

use ashlar_gates::Trials;
use ashlar_gateway::{call::Desk, record::Records};
use ashlar_isolate::Workers;
use ashlar_release::Engine;
use ashlar_retrieval::models::Models;
use ashlar_store::Objects;
use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use self::{cache_stats::CacheStats, metrics::Metrics, policies::Policies, tenants::Tenants};
use crate::{access::Keys, delivery::serving::Serving, front::Hosts};

/// The parts of a node.
#[derive(Clone)]
pub struct App {
    /// The engine; an edge has none.
    pub engine: Option<Engine>,
    pub objects: Objects,
    /// Where CPU-heavy work is done; tenants take turns.
    pub workers: Workers,
    pub hosts: Arc<Hosts>,
    pub keys: Arc<Keys>,
    pub tenants: Arc<Tenants>,
    pub serving: Arc<Serving>,
    pub metrics: Arc<Metrics>,
    /// Figures of upstream caches.
    pub cache_stats: Arc<CacheStats>,
    /// Takes calls of models.
    pub desk: Arc<Desk>,
    /// What calls of models may use.
    pub policies: Arc<Policies>,
    /// What became of calls of models, on the way to the database.
    pub records: Arc<Records>,
    /// Cancelled when the server is asked to stop: streams end, and nothing new is begun.
    pub stopping: CancellationToken,
}

impl App {
    /// `trials`: definitions are read only after they passed one.
    pub fn new(
        engine: Option<Engine>,
        objects: Objects,
        workers: Workers,
        trials: Option<Trials>,
        models: Arc<dyn Models>,
    ) -> Self {
        let (hosts, tenants, metrics) =
            (Arc::<Hosts>::default(), Arc::<Tenants>::default(), Arc::<Metrics>::default());
        let serving =
            Serving::new(tenants.clone(), objects.clone(), workers.clone(), trials, metrics.clone(), models);
        Self {
            keys: Arc::new(Keys::new(engine.clone(), hosts.clone())),
            policies: Arc::new(Policies::new(engine.clone())),
            records: Arc::default(),
            engine,
            objects,
            workers,
            hosts,
            tenants,
            serving: Arc::new(serving),
            metrics,
            cache_stats: Arc::default(),
            desk: Arc::default(),
            stopping: CancellationToken::new(),
        }
    }
}

macro_rules! parts {
    ($($of:ty: $part:ident;)*) => {$(
        impl FromRef<App> for $of {
            fn from_ref(app: &App) -> Self {
                app.$part.clone()
            }
        }
    )*};
}

parts! {
    Option<Engine>: engine;
    Objects: objects;
    Workers: workers;
    Arc<Hosts>: hosts;
    Arc<Keys>: keys;
    Arc<Tenants>: tenants;
    Arc<Serving>: serving;
    Arc<Metrics>: metrics;
    Arc<CacheStats>: cache_stats;
    Arc<Desk>: desk;
    Arc<Policies>: policies;
    Arc<Records>: records;
    CancellationToken: stopping;
}

/// Declares what a part of the server takes from a node.
macro_rules! takes {
    ($(#[$about:meta])* $name:ident { $($field:ident: $of:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone)]
        pub struct $name {
            $($field: $of,)*
        }

        impl axum::extract::FromRef<$crate::app::App> for $name {
            fn from_ref(app: &$crate::app::App) -> Self {
                Self { $($field: axum::extract::FromRef::from_ref(app),)* }
            }
        }
    };
}

pub(crate) use takes;
