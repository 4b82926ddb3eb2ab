//! Starting and stopping a server.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ashlar_gates::Trials;
use ashlar_isolate::Workers;
use ashlar_model::ServerConfig;
use ashlar_release::{Engine, ReleaseError};
use ashlar_store::Objects;
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{Guard, Places, guard},
    api::{self, Api},
    app::App,
    delivery::{
        follow,
        lane::{self, LaneConfig, connections_within},
        source::Releases,
    },
    front::{self, Limits, Proxies, cors},
    jobs::{
        purge::{self, PurgeTarget},
        scrub::Scrub,
        webhooks,
    },
    pages::{self, catalogue, preview},
    registry,
};

/// How often schedules are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Every how many ticks everything is compared and repaired.
const MEND_TICKS: u64 = 30;
/// The share of the time for a stop after which open requests, then work in the background, and then actions and the database
/// are left behind. What remains is for the process to end.
const REQUESTS_END: f64 = 0.7;
const TASKS_END: f64 = 0.8;
const ACTIONS_END: f64 = 0.9;
/// Requests of the management API that are worked on at a time; more of them wait.
const API_REQUESTS_MAX: usize = 256;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// The management API, and delivery for previews.
    Author,
    /// Delivery, from the object store alone.
    Edge,
    /// Schedules and upkeep.
    Worker,
}

/// What a server is started with.
pub struct ServeOptions {
    /// The engine; an edge has none.
    pub engine: Option<Engine>,
    /// The objects.
    pub objects: Objects,
    /// What the node does.
    pub role: Role,
    /// Bounds, from `ashlar.toml`.
    pub config: ServerConfig,
    /// Upstream caches that are purged of what a release changed; needs the engine.
    pub purge: Vec<PurgeTarget>,
    /// Where CPU-heavy work is done; tenants take turns.
    pub workers: Workers,
    /// Definitions are read only after they passed a trial.
    pub trials: Option<Trials>,
    /// How often a remote object store is asked for moves.
    pub remote_interval: Duration,
}

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The listener failed later.
    #[error("the server stopped: {0}")]
    Serve(std::io::Error),
}

/// Serves until `shutdown` is done; then open requests are finished and the database is closed, within
/// `server.shutdown_seconds_max` in all. `ready` is called with the bound address when the first request can be answered.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    options: ServeOptions,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let address = options.config.listen.clone();
    let failed = |source| ServerError::Listen { address: address.clone(), source };
    let listener = TcpListener::bind(&address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let listeners = (options.config.streams_max, options.config.streams_per_client_max);
    let app = Arc::new(App::new(
        options.engine.clone(),
        options.objects,
        options.workers.clone(),
        options.trials,
        listeners,
    ));
    if let Some(engine) = &options.engine {
        engine.work_in(options.workers);
        engine.send_inside(options.config.webhooks_to_private);
    }
    let patience = stop_max(&options.config);
    let versions = follow::start(&app).await;
    let stop = CancellationToken::new();
    let mut tasks =
        vec![tokio::spawn(follow::follow(app.clone(), versions, options.remote_interval, stop.clone()))];
    if matches!(options.role, Role::All | Role::Worker)
        && let Some(engine) = &options.engine
    {
        let scrub_bytes = options.config.scrub_bytes_per_second;
        tasks.push(tokio::spawn(work(app.clone(), engine.clone(), scrub_bytes, app.stopping.clone())));
        let private = options.config.webhooks_to_private;
        let stop = app.stopping.clone();
        tasks.push(tokio::spawn(webhooks::run(app.clone(), engine.clone(), private, stop)));
    }
    if let Some(engine) = &options.engine {
        for target in options.purge {
            tasks.push(tokio::spawn(purge::run(app.clone(), engine.clone(), target, stop.clone())));
        }
    }
    let source = Arc::new(Releases(app.clone()));
    let mut router: Router = pages::router(app.clone())
        .merge(registry::router(app.clone()))
        .merge(preview::router(app.clone()))
        .merge(catalogue::router(app.clone()));
    if matches!(options.role, Role::All | Role::Author) {
        let api = Arc::new(Api {
            app: app.clone(),
            limits: Limits::new(options.config.requests_per_second_max),
            body_bytes_max: options.config.body_bytes_max,
            places: Arc::new(Semaphore::new(API_REQUESTS_MAX)),
            shares: Places::default(),
            upload_bytes_max: options.config.upload_bytes_max,
            request_max: Duration::from_secs(options.config.request_seconds_max.max(1)),
        });
        router = router.merge(api::router(api, options.config.body_bytes_max));
    }
    let router =
        router.method_not_allowed_fallback(api::wrong_method).fallback_service(lane::router(source.clone()));
    let origins: cors::Origins = options.config.cors_origins.iter().cloned().collect();
    let config = LaneConfig { figures: app.metrics.lane.clone(), ..lane_config(&options.config) };
    let guarding = Arc::new(Guard {
        app: app.clone(),
        keyless: Limits::new(options.config.requests_per_second_max),
        failed: Limits::new(options.config.failed_keys_per_second_max),
        reads: config.reads.clone(),
    });
    let router = router
        .layer(axum::middleware::from_fn_with_state(guarding, guard))
        .layer(axum::middleware::from_fn_with_state(origins, cors::cors))
        .layer(axum::middleware::from_fn_with_state(config.proxies.clone(), front::admit));
    ready(bound);
    let asked = Arc::new(OnceLock::new());
    let shutdown = {
        let (asked, stopping) = (asked.clone(), app.stopping.clone());
        async move {
            shutdown.await;
            asked.get_or_init(Instant::now);
            stopping.cancel();
        }
    };
    let served = lane::serve(listener, source, router, config, shutdown).await.map_err(ServerError::Serve);
    app.stopping.cancel();
    stop.cancel();
    let asked = *asked.get_or_init(Instant::now);
    // A task that does not end in time is left behind; nothing it does is acknowledged to anybody.
    let _ = timeout_at(asked + patience.mul_f64(TASKS_END), futures::future::join_all(tasks)).await;
    if let Some(engine) = &options.engine {
        let until = asked + patience.mul_f64(ACTIONS_END);
        engine.close_within(until.saturating_duration_since(Instant::now())).await;
    }
    served
}

/// How long a stop may take, from the signal to the end of the process.
pub fn stop_max(config: &ServerConfig) -> Duration {
    // A day is as good as for ever, and can be added to any time.
    Duration::from_secs(config.shutdown_seconds_max.clamp(1, 86_400))
}

/// The bounds of connections, from `ashlar.toml` and from how many files may be open.
fn lane_config(config: &ServerConfig) -> LaneConfig {
    let seconds = |seconds: u64| Duration::from_secs(seconds.max(1));
    let (connections_max, open_files) = connections_within(config.connections_max);
    if connections_max < config.connections_max {
        let wanted = config.connections_max;
        tracing::warn!(
            connections_max,
            wanted,
            open_files,
            "fewer connections than server.connections_max: the limit of open files is low"
        );
    } else {
        tracing::info!(connections_max, open_files, "connections are limited");
    }
    LaneConfig {
        connections_max,
        connections_per_address_max: config.connections_per_address_max,
        head: seconds(config.head_seconds_max),
        idle: seconds(config.idle_seconds_max),
        body: seconds(config.body_stall_seconds_max),
        write: seconds(config.write_stall_seconds_max),
        shutdown: stop_max(config).mul_f64(REQUESTS_END),
        answer_bytes: config.answer_bytes_max,
        answer_bytes_per_connection: config.answer_bytes_per_connection_max,
        proxies: Proxies::new(&config.trusted_proxies),
        reads: (config.reads_per_second_max > 0).then(|| Arc::new(Limits::new(config.reads_per_second_max))),
        ..LaneConfig::default()
    }
}

/// Runs schedules, keeps packs few and looks for damage.
async fn work(app: Arc<App>, engine: Engine, scrub_bytes: u64, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut number, mut late) = (0_u64, (0, 0));
    let mut scrub = Scrub::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let torn = engine.take_torn();
        let done = match torn || number.is_multiple_of(MEND_TICKS) {
            true => engine.tick().await,
            false => engine.run_schedules().await,
        };
        number += 1;
        let failed = match done {
            Ok(tick) => {
                for (changeset, why) in &tick.failed {
                    tracing::error!(changeset, why, "a schedule could not be kept");
                }
                for (tenant, why) in &tick.unread {
                    tracing::error!(%tenant, why, "schedules of a tenant cannot be run");
                }
                for changeset in &tick.at_risk {
                    tracing::warn!(changeset, "gates would refuse a schedule whose time is near");
                }
                for (tenant, why) in &tick.unrepaired {
                    tracing::error!(%tenant, why, "pointers or drafts of a tenant cannot be repaired");
                }
                app.metrics.quarantined(tick.quarantined as u64);
                !tick.unread.is_empty() || !tick.unrepaired.is_empty()
            }
            Err(error) => {
                tracing::error!(%error, "schedules cannot be looked at");
                number = 0;
                true
            }
        };
        match engine.schedule_counts().await {
            Ok(found) => {
                let oldest = found.oldest.and_then(|at| at.parse::<jiff::Timestamp>().ok());
                let seconds = oldest.map_or(0, |at| engine.now().as_second() - at.as_second());
                late = (found.overdue, u64::try_from(seconds).unwrap_or(0));
                app.metrics.schedules_at_risk(found.at_risk);
            }
            Err(error) => tracing::warn!(%error, "overdue schedules cannot be counted; the last count stays"),
        }
        app.metrics.ticked(failed, late.0, late.1);
        scrub.step(&app, scrub_bytes).await;
        let tenants: Vec<_> =
            app.tenants.read().unwrap_or_else(std::sync::PoisonError::into_inner).keys().cloned().collect();
        let reap = number.is_multiple_of(reap_ticks(&app));
        for tenant in tenants {
            if let Err(error) = app.objects.tenant(&tenant).repack().await {
                tracing::warn!(%tenant, %error, "packs cannot be merged");
            }
            if reap && let Err(error) = reap_packs(&app, &engine, &tenant).await {
                tracing::warn!(%tenant, %error, "packs that are not needed cannot be deleted yet");
            }
        }
    }
}

/// How often packs are looked at that are going away: four times in their grace period, and at most every second.
fn reap_ticks(app: &App) -> u64 {
    (app.objects.grace().as_secs() / 4).clamp(1, 600)
}

/// Deletes packs from the object store that were merged, and finishes a collection whose grace period is over.
async fn reap_packs(app: &App, engine: &Engine, tenant: &ashlar_model::TenantId) -> Result<(), ReleaseError> {
    if app.objects.tenant(tenant).reap().await? {
        let ctx = ashlar_release::Ctx::new(tenant.clone(), ashlar_model::Actor::local("upkeep"))?;
        engine.run(&ctx, ashlar_release::CollectGarbage).await?;
    }
    Ok(())
}
