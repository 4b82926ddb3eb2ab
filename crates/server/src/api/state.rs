//! What the handlers of the management API share.

use std::sync::Arc;

use ashlar_gateway::{call::Desk, record::Records};
use ashlar_isolate::Workers;
use ashlar_model::ServerConfig;
use axum::{Json, body::Bytes, extract::FromRef};
use serde::Serialize;

use crate::{
    access::{Doors, Keys},
    app::{App, cache_stats::CacheStats, metrics::Metrics, policies::Policies, tenants::Tenants},
    delivery::serving::Serving,
    evals::Suites,
    front::{ApiError, Hosts},
    llm::Llm,
};

/// What the endpoints share. A handler takes the part of it that it needs.
#[derive(Clone)]
pub struct Api {
    pub doors: Arc<Doors>,
    app: App,
    /// Takes calls that tasks make.
    llm: Arc<Llm>,
    /// The most bytes of an uploaded release.
    pub upload_bytes_max: u64,
    /// The description of everything.
    pub document: fn() -> Bytes,
}

impl Api {
    pub fn new(app: &App, config: &ServerConfig, document: fn() -> Bytes) -> Self {
        let callers = (app.keys.clone(), app.hosts.clone());
        let doors = Doors::new(app.engine.clone(), callers, app.metrics.clone(), config);
        let llm = Arc::new(Llm::from_ref(app));
        Self {
            doors: Arc::new(doors),
            app: app.clone(),
            llm,
            upload_bytes_max: config.upload_bytes_max,
            document,
        }
    }
}

macro_rules! parts {
    ($($of:ty),*) => {$(
        impl FromRef<Api> for $of {
            fn from_ref(api: &Api) -> Self {
                FromRef::from_ref(&api.app)
            }
        }
    )*};
}

parts!(
    Workers,
    Arc<Keys>,
    Arc<Hosts>,
    Arc<Tenants>,
    Arc<Serving>,
    Arc<CacheStats>,
    Arc<Policies>,
    Arc<Desk>,
    Arc<Records>,
    Suites,
    Arc<Metrics>
);

impl FromRef<Api> for Arc<Llm> {
    fn from_ref(api: &Api) -> Self {
        api.llm.clone()
    }
}

impl FromRef<Api> for Arc<Doors> {
    fn from_ref(api: &Api) -> Self {
        api.doors.clone()
    }
}

/// The outcome of an endpoint.
pub type Answer<T> = Result<Json<T>, ApiError>;

/// Any value as the answer.
pub fn answer<T: Serialize>(value: T) -> Answer<T> {
    Ok(Json(value))
}
