//! What operators and their programs ask: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use ashlar_gateway::{call::Desk, record::Records};
use ashlar_model::{Right, TenantId};
use ashlar_release::Engine;
use ashlar_store::Objects;
use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    access::Keys,
    app::{
        App,
        cache_stats::CacheStats,
        metrics::{Gathered, Metrics},
        takes,
        tenants::Tenants,
    },
    delivery::serving::Serving,
    endpoints::{rows, table::Table},
    front::bearer,
    models::Standings,
};

takes! {
    /// What figures and readiness are gathered from.
    Operators {
        engine: Option<Engine>,
        objects: Objects,
        keys: Arc<Keys>,
        tenants: Arc<Tenants>,
        serving: Arc<Serving>,
        metrics: Arc<Metrics>,
        cache_stats: Arc<CacheStats>,
        desk: Arc<Desk>,
        records: Arc<Records>,
    }
}

/// The operations.
pub fn table() -> Table<Operators> {
    Table::new()
        .on(&rows::GET_HEALTH, health)
        .on_and(&rows::GET_READINESS, ready, |about, schemas| {
            about.json::<Readiness>(200, "The node is ready.", schemas);
            about.json::<Readiness>(503, "The node is not ready; `why` says what is wrong.", schemas);
        })
        .on_and(&rows::GET_METRICS, metrics, |about, _| {
            about.text("The figures.", "text/plain");
        })
}

/// Their routes.
pub fn router(app: &App) -> Router {
    table().router.with_state(Operators::from_ref(app))
}

/// That the process runs.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// `ok`
    status: String,
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Whether a node can do its work.
#[derive(Serialize, JsonSchema)]
struct Readiness {
    /// `ready` or `not ready`.
    status: String,
    /// How many channels it serves.
    channels: usize,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Tenants of which nothing can be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenants_unavailable: Option<usize>,
    /// Releases that cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    releases_unreadable: Option<usize>,
    /// Which ones, for a key with the scope `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<Vec<String>>,
}

impl Operators {
    /// Tenant, channel, release number and sequence of everything that is served.
    fn channels(&self) -> Vec<(String, String, u64, u64)> {
        let mut all = Vec::new();
        for (tenant, state) in self.tenants.all() {
            for (channel, live) in state.channels.load().iter() {
                let release = u64::from(live.state.release.0);
                all.push((tenant.to_string(), channel.to_string(), release, live.state.sequence));
            }
        }
        all.sort();
        all
    }

    fn gathered(&self, channels: Vec<(String, String, u64, u64)>) -> Gathered {
        let mut gathered = Gathered {
            packs_open: self.objects.packs_open() as u64,
            composed: self.serving.cache_counts(),
            searches: self.serving.search_counts(),
            models: self.serving.model_counts(),
            upstream: self.cache_stats.totals(),
            llm: (self.desk.cache.bytes() as u64, self.records.dropped()),
            channels,
            ..Gathered::default()
        };
        for (tenant, state) in self.tenants.all() {
            let objects = self.objects.tenant(&tenant);
            gathered.damaged += objects.damaged().len() as u64;
            gathered.packs_damaged += objects.damaged_packs().len() as u64;
            gathered.healed += objects.healed();
            gathered.unavailable += u64::from(state.unavailable());
            let standings = Standings::of(&self.desk, &tenant).items;
            gathered.providers.extend(standings.into_iter().map(|of| (tenant.to_string(), of)));
            if let Some(public) = state.public.load_full() {
                let lags = self.serving.freshness().of(&tenant, &public, jiff::Timestamp::now());
                gathered.indexes.extend(lags.into_iter().map(|lag| (tenant.to_string(), lag)));
            }
        }
        if let Some(engine) = &self.engine {
            gathered.stranded = engine.stranded().len() as u64;
            gathered.fences = engine.fences();
        }
        gathered
    }
}

/// Whether this node can do its work: it writes (unless it is an edge), and what is released can be opened. Everybody may
/// ask, so tenants are counted; names are for a key of that tenant, or of `main`, with the scope `admin`.
async fn ready(State(of): State<Operators>, headers: HeaderMap) -> Response {
    let writes = match &of.engine {
        Some(engine) => engine.check_writes().await,
        None => Ok(()),
    };
    let serving = of.channels().len();
    let each = of.tenants.all().into_iter().map(|(tenant, state)| {
        let channels = state.broken().into_iter().map(|(channel, release)| format!("{channel}: {release}"));
        (tenant, state.unavailable(), channels.collect())
    });
    let broken: Vec<(TenantId, bool, Vec<String>)> =
        each.filter(|(_, _, channels): &(_, _, Vec<_>)| !channels.is_empty()).collect();
    let unavailable = broken.iter().filter(|(_, unavailable, _)| *unavailable).count();
    let stranded = of.engine.as_ref().map(|e| e.stranded()).unwrap_or_default();
    let why = match writes {
        Err(why) => Some(why),
        Ok(()) if serving == 0 && unavailable > 0 => Some("no release can be opened".to_owned()),
        Ok(()) => None,
    };
    let status = if why.is_none() { "ready" } else { "not ready" };
    let mut body = Readiness {
        status: status.to_owned(),
        channels: serving,
        why: why.clone(),
        tenants_unavailable: None,
        releases_unreadable: None,
        unreadable: None,
    };
    if !broken.is_empty() || !stranded.is_empty() {
        body.tenants_unavailable = Some(unavailable);
        body.releases_unreadable =
            Some(broken.iter().map(|(_, _, c)| c.len()).sum::<usize>() + stranded.len());
        let access = match bearer(&headers) {
            Some(key) => of.keys.reading(key).await.ok().flatten(),
            None => None,
        };
        if let Some(access) = access.filter(|a| a.actor.may(&Right::Admin)) {
            let seen = |tenant: &TenantId| access.tenant == TenantId::main() || access.tenant == *tenant;
            let opened = broken.iter().filter(|(t, ..)| seen(t));
            let opened =
                opened.flat_map(|(t, _, c)| c.iter().map(move |c| format!("{t}: {c} cannot be opened")));
            let missing = stranded.iter().filter(|(t, ..)| seen(t));
            let missing = missing.map(|(t, c, r)| format!("{t}: {c}: the objects of {r} are missing"));
            body.unreadable = Some(opened.chain(missing).collect());
        }
    }
    match why {
        None => Json(body).into_response(),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response(),
    }
}

/// Figures of the process for everybody; what a channel serves only with a key of its tenant that has the scope `admin`
/// (one of `main` sees all).
async fn metrics(State(of): State<Operators>, headers: HeaderMap) -> Response {
    let access = of.keys.caller(&headers).await.ok().flatten();
    let mut channels = of.channels();
    let shown = |tenant: &str| {
        access.as_ref().is_some_and(|a| {
            a.actor.may(&Right::Admin) && (a.tenant == TenantId::main() || a.tenant.as_str() == tenant)
        })
    };
    channels.retain(|(tenant, ..)| shown(tenant));
    let mut gathered = of.gathered(channels);
    gathered.indexes.retain(|(tenant, _)| shown(tenant));
    gathered.providers.retain(|(tenant, _)| shown(tenant));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], of.metrics.render(&gathered, &shown))
        .into_response()
}
