//! Starting and stopping a server.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ashlar_gates::Trials;
use ashlar_gateway::{call::Desk, upstream::Providers};
use ashlar_isolate::Workers;
use ashlar_model::ServerConfig;
use ashlar_release::{Engine, follow};
use ashlar_retrieval::models::Models;
use ashlar_store::Objects;
use axum::extract::FromRef;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    delivery::{
        follow::Follow,
        lane::{self, LaneConfig, connections_within},
        source::Releases,
    },
    front::{Limits, Proxies},
    jobs::{
        self,
        calls::Calls,
        evals::Evals,
        purge::PurgeTarget,
        searches::Searches,
        spans::{Collector, Spans},
        upkeep::Upkeep,
    },
    surface,
    tools::{Errands, ToolServers},
};

/// The share of the time for a stop after which open requests, then work in the background, and then actions and the database
/// are left behind. What remains is for the process to end.
const REQUESTS_END: f64 = 0.7;
const TASKS_END: f64 = 0.8;
const ACTIONS_END: f64 = 0.9;

/// The most cases of suites that a node asks at a time, whatever its settings say.
const EVAL_CASES_MAX: usize = 256;

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
    /// Upstream caches that are purged of what a release changed.
    pub purge: Vec<PurgeTarget>,
    /// Where CPU-heavy work is done; tenants take turns.
    pub workers: Workers,
    /// Definitions are read only after they passed a trial.
    pub trials: Option<Trials>,
    /// The models that releases may use.
    pub models: Arc<dyn Models>,
    /// Providers of models that calls may go to.
    pub providers: Providers,
    /// Tool servers that the gateway may ask.
    pub tool_servers: ToolServers,
    /// Receives spans of model calls.
    pub collector: Option<Collector>,
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
    let made = App::new(
        options.engine.clone(),
        options.objects.clone(),
        options.workers.clone(),
        options.trials.clone(),
        options.models.clone(),
    );
    let errands = Errands::new(options.tool_servers.clone(), options.engine.clone(), made.policies.clone());
    let mut desk = Desk::new(options.providers.clone());
    desk.servers = Some(Arc::new(errands));
    let app = App { desk: Arc::new(desk), ..made };
    if let Some(engine) = &options.engine {
        engine.work_in(options.workers.clone());
        engine.send_inside(options.config.webhooks_to_private);
    }
    let patience = stop_max(&options.config);
    let stop = CancellationToken::new();
    let tasks = begin(&app, &options, &stop).await;
    let source = Arc::new(Releases::from_ref(&app));
    let config = LaneConfig { figures: app.metrics.lane.clone(), ..lane_config(&options.config) };
    let manages = matches!(options.role, Role::All | Role::Author);
    let router = surface::router(&app, &options.config, &config, source.clone(), manages);
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

/// Begins what works behind the requests of a node.
async fn begin(app: &App, options: &ServeOptions, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let following = Follow::start(app).await;
    let mut tasks = vec![tokio::spawn(following.run(options.remote_interval, stop.clone()))];
    tasks.push(tokio::spawn(jobs::credentials::run(
        (options.providers.clone(), options.tool_servers.clone()),
        stop.clone(),
    )));
    tasks.push(tokio::spawn(jobs::probes::run(app.desk.clone(), app.stopping.clone())));
    let Some(engine) = &options.engine else {
        if let Some(purges) = jobs::edge_purges(app, options.purge.clone()) {
            let figures = app.metrics.follower(purges.name());
            tasks.push(tokio::spawn(follow(None, purges, figures, stop.clone())));
        }
        return tasks;
    };
    let works = matches!(options.role, Role::All | Role::Worker);
    if works {
        let upkeep = Upkeep::new(app, engine, options.config.scrub_bytes_per_second);
        tasks.push(tokio::spawn(upkeep.run(app.stopping.clone())));
        let places = options.config.eval_cases_max.min(EVAL_CASES_MAX);
        if places > 0 {
            tasks.push(tokio::spawn(Evals::new(app, engine, places).run(app.stopping.clone())));
        }
    }
    if let Some(searches) = Searches::new(app, engine) {
        // Requests that are still open are logged as well.
        tasks.push(tokio::spawn(searches.run(stop.clone())));
    }
    let spans = options.collector.clone().map(|collector| {
        let (spans, sending) = Spans::to(collector, app.metrics.clone());
        tasks.push(tokio::spawn(sending.run(stop.clone())));
        spans
    });
    // Calls that are still open are recorded as well.
    tasks.push(tokio::spawn(Calls::new(app, engine, spans).run(stop.clone())));
    let private = options.config.webhooks_to_private;
    let followers = jobs::followers(app, engine, works.then_some(private), options.purge.clone());
    for follower in followers {
        let figures = app.metrics.follower(follower.name());
        // Another node takes over what is leased. The rest goes on while open requests may still move channels.
        let stop = if follower.is_leased() { app.stopping.clone() } else { stop.clone() };
        tasks.push(tokio::spawn(follow(Some(engine.clone()), follower, figures, stop)));
    }
    tasks
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
