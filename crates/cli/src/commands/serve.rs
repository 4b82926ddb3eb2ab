//! `serve`: a data directory over HTTP.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use ashlar_gates::Checker;
use ashlar_model::{Actor, Right, ServerConfig, TenantId};
use ashlar_release::{CreateKey, Ctx, Engine, ReleaseError};
use ashlar_retrieval::models::Models;
use ashlar_server::{
    Collector, PurgeTarget, Role, ServeOptions, ServerError, ToolServers, models::Providers,
};
use ashlar_store::{Objects, Remote, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    args::{Format, Role as RoleArg, ServeArgs},
    backend::{location, models, noted, providers},
    error::{CliError, Done, done},
    isolation, output, target,
};

/// The keys that a local installation keeps for the person at this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalKeys {
    /// Reads what the public channel serves.
    pub delivery: String,
    /// Everything but approvals and waivers.
    pub admin: String,
    /// Calls models through the gateway.
    pub llm: String,
}

impl LocalKeys {
    /// The keys of an embedded data directory, made when they are not there, in a file that only its owner reads.
    pub async fn of(engine: &Engine, dir: &Path) -> Result<Self, CliError> {
        let path = dir.join("keys.json");
        ashlar_store::tighten(&path);
        let mut known = None;
        if let Ok(text) = std::fs::read(&path)
            && let Ok(keys) = serde_json::from_slice::<Self>(&text)
            && engine.authenticate(&keys.admin).await?.is_some()
        {
            known = Some(keys);
        }
        // Installations of earlier versions have a key that may call no model.
        if let Some(known) = &known
            && let Some(access) = engine.authenticate(&known.llm).await?
            && access.actor.may(&Right::Llm(None))
        {
            return Ok(known.clone());
        }
        let ctx = Ctx::new(TenantId::main(), Actor::local("local"))?;
        let make = async |name: &str, scopes: Vec<Right>| -> Result<String, CliError> {
            let create =
                CreateKey { name: name.to_owned(), scopes, channel: None, reader: None, expires_at: None };
            Ok(engine.run(&ctx, create).await?.key)
        };
        let llm = make("local llm", vec![Right::Read, Right::Llm(None)]).await?;
        let keys = match known {
            Some(known) => Self { llm, ..known },
            None => Self {
                delivery: make("local delivery", vec![Right::Read]).await?,
                admin: make("local admin", vec![Right::Admin]).await?,
                llm,
            },
        };
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".keys-").tempfile_in(dir)?;
            std::io::Write::write_all(&mut file, &serde_json::to_vec_pretty(&keys).unwrap_or_default())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(|e| CliError::file("write", &path, &e))?;
        Ok(keys)
    }
}

/// Ends when the process is asked to stop.
async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt => {}
        () = terminate => {}
    }
}

/// Lets `ASHLAR_SERVER_<SETTING>` stand over the settings of `[server]`.
fn from_environment(config: ServerConfig) -> Result<ServerConfig, CliError> {
    let mut settings = serde_json::to_value(&config).unwrap_or_default();
    let Some(members) = settings.as_object_mut() else { return Ok(config) };
    for (name, value) in members {
        let variable = format!("ASHLAR_SERVER_{}", name.to_uppercase());
        let Some(given) = std::env::var_os(&variable) else { continue };
        let given = given.to_string_lossy();
        *value = match value {
            serde_json::Value::Bool(_) => json!(given.parse::<bool>().map_err(|_| {
                CliError::input(
                    format!("{variable}: `{given}` is neither true nor false"),
                    "fix the variable, or unset it",
                )
            })?),
            serde_json::Value::Number(_) => json!(given.parse::<u64>().map_err(|e| {
                CliError::input(
                    format!("{variable}: `{given}` is not a whole number: {e}"),
                    "fix the variable, or unset it",
                )
            })?),
            serde_json::Value::Array(_) => {
                json!(given.split(',').map(str::trim).filter(|i| !i.is_empty()).collect::<Vec<_>>())
            }
            _ => json!(given),
        };
    }
    serde_json::from_value(settings)
        .map_err(|e| CliError::input(format!("ASHLAR_SERVER_…: {e}"), "fix the variable, or unset it"))
}

/// What `[server]` of the working definitions says, with the environment over it.
pub async fn settings(engine: Option<&Engine>) -> Result<ServerConfig, CliError> {
    let mut config = ServerConfig::default();
    if let Some(engine) = engine {
        let ctx = Ctx::new(TenantId::main(), Actor::local("local"))?;
        let read = match engine.working_definitions(&ctx).await {
            Ok(Some((digest, _))) => engine.rules(&ctx.tenant, &digest).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match read {
            Ok(rules) => config = rules.map_or(config, |r| r.config.server.clone()),
            Err(error @ ReleaseError::Sql(_)) => return Err(error.into()),
            // Damaged definitions of one tenant must not keep the others from being served.
            Err(error) => tracing::error!(%error,
                "the settings under [server] cannot be read; defaults, variables and arguments are used"),
        }
    }
    from_environment(config)
}

/// The settings, with the arguments over them.
async fn config_of(engine: Option<&Engine>, args: &ServeArgs) -> Result<ServerConfig, CliError> {
    let mut config = settings(engine).await?;
    if let Some(listen) = &args.listen {
        config.listen.clone_from(listen);
    }
    if !args.trusted_proxies.is_empty() {
        config.trusted_proxies.clone_from(&args.trusted_proxies);
    }
    Ok(config)
}

fn server_error(error: &ServerError) -> CliError {
    CliError::new(
        3,
        "server",
        error.to_string(),
        "choose another address with --listen; port 0 takes a free one",
    )
}

/// The base address that people and programs use.
fn url_of(bound: SocketAddr) -> String {
    let host = match bound.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("http://{host}:{}", bound.port())
}

/// Serves an open engine until the process is asked to stop.
pub async fn run(
    engine: Option<Engine>,
    objects: Objects,
    role: Role,
    config: ServerConfig,
    (purge, models, (providers, tool_servers)): (Vec<PurgeTarget>, Arc<dyn Models>, (Providers, ToolServers)),
    ready: impl FnOnce(String),
    stop: impl Future<Output = ()> + Send,
) -> Result<(), CliError> {
    let remote_interval = Duration::from_secs(1);
    let workers = ashlar_isolate::Workers::new()
        .map_err(|e| CliError::new(3, "server", format!("no threads can be started: {e}"), ""))?;
    let trials = Some(isolation::children().trials());
    let collector = Collector::of(|name| std::env::var(name).ok()).map_err(|error| {
        CliError::input(error.to_string(), "fix the variable, or set OTEL_SDK_DISABLED=true")
    })?;
    let options = ServeOptions {
        engine,
        objects,
        role,
        config,
        purge,
        workers,
        trials,
        models,
        providers,
        tool_servers,
        collector,
        remote_interval,
    };
    ashlar_server::serve(options, |bound| ready(url_of(bound)), stop).await.map_err(|e| server_error(&e))
}

/// The file of an embedded installation that names the address of the server that was started last on it.
const SERVED: &str = "served-at";

/// Notes the address of a server beside the data it serves, for commands that print addresses.
pub fn remember(data: Option<&str>, url: &str) {
    if let Some(data) = data.filter(|d| !d.contains("://")) {
        // Without it an address is made from the configuration.
        let _ = std::fs::write(Path::new(data).join(SERVED), url);
    }
}

/// The address of the server that was started last on an installation.
pub fn remembered(data: Option<&str>) -> Option<String> {
    let data = data.filter(|d| !d.contains("://"))?;
    let url = std::fs::read_to_string(Path::new(data).join(SERVED)).ok()?;
    (url.len() < 200 && url.starts_with("http")).then(|| url.trim().trim_end_matches('/').to_owned())
}

/// What `--format json` prints when a server is ready: one line.
pub fn ready_line(url: &str, keys: Option<&LocalKeys>) {
    output::print_json(&json!({"ready": true, "url": url, "keys": keys}));
}

/// Opens an engine and, when it is embedded, the keys of its directory.
pub async fn open(
    args: &ServeArgs,
    models: &Arc<dyn Models>,
) -> Result<(Engine, Option<LocalKeys>), CliError> {
    let location = location(args.data.as_deref(), args.objects.as_deref(), args.cache.as_ref(), true)?;
    let checker = Checker::tried(isolation::children().trials()).with_models(models.clone());
    let engine = Engine::open(&location, Arc::new(checker)).await?;
    for tenant in engine.db().tenants().await.map_err(ReleaseError::from)? {
        if let Err(error) = engine.repair_pointers(&tenant.tenant).await {
            // Upkeep tries again; what can be served is served meanwhile.
            tracing::warn!(tenant = %tenant.tenant, %error, "channel pointers could not be compared with the database yet");
            if matches!(error, ReleaseError::Store(StoreError::Remote { .. })) {
                break;
            }
        }
    }
    let keys = match args.data.as_deref() {
        Some(data) if !data.contains("://") => Some(LocalKeys::of(&engine, Path::new(data)).await?),
        _ => None,
    };
    Ok((engine, keys))
}

/// The objects an edge follows.
fn edge_objects(args: &ServeArgs) -> Result<Objects, CliError> {
    let help = "an edge needs --objects s3://bucket/prefix or a directory of objects";
    let from = match (&args.objects, &args.data) {
        (Some(objects), _) => objects.clone(),
        (None, Some(data)) if !data.contains("://") => Path::new(data).join("objects").display().to_string(),
        _ => return Err(CliError::input("no object store given", help)),
    };
    if args.cache.is_none() && !from.contains("://") {
        return Ok(Objects::open(Path::new(&from), None)?);
    }
    let name = ashlar_model::Digest::of(from.as_bytes()).short();
    let (cache, made) = match &args.cache {
        Some(cache) => (cache.clone(), ashlar_store::private_dir(cache)),
        None => {
            let cache = std::env::temp_dir().join(format!("ashlar-edge-{name}"));
            let made = ashlar_store::own_dir(&cache);
            (cache, made)
        }
    };
    made.map_err(|e| CliError::file("use the directory", &cache, &e))?;
    Ok(Objects::open(&cache, Some(Remote::parse(&from)?))?)
}

pub async fn serve(mut args: ServeArgs) -> Done {
    if args.data.is_none()
        && args.objects.is_none()
        && let Some(found) = target::find()?
        && found.target.data.is_some()
    {
        noted(&found);
        (args.data, args.objects) = (found.target.data, found.target.objects);
    }
    let role = match args.role {
        RoleArg::All => Role::All,
        RoleArg::Author => Role::Author,
        RoleArg::Edge => Role::Edge,
        RoleArg::Worker => Role::Worker,
    };
    let (models, providers) = (models(args.data.as_deref())?, providers(args.data.as_deref())?);
    let (engine, keys, objects) = if role == Role::Edge {
        (None, None, edge_objects(&args)?)
    } else {
        let (engine, keys) = open(&args, &models).await?;
        let objects = engine.objects().clone();
        (Some(engine), keys, objects)
    };
    let config = config_of(engine.as_ref(), &args).await?;
    let format = args.format;
    let ready = |url: String| {
        if keys.is_some() {
            remember(args.data.as_deref(), &url);
        }
        match format {
            Format::Json => ready_line(&url, keys.as_ref()),
            Format::Human => {
                output::line(format!("Serving on {url}"));
                if let (Some(_), Some(data)) = (&keys, &args.data) {
                    output::line(format!("Keys are in {}", Path::new(data).join("keys.json").display()));
                }
                output::line("Stop with Ctrl-C.");
            }
        }
    };
    let stop = stop_signal(&config);
    run(engine, objects, role, config, (args.purge, models, providers), ready, stop).await?;
    done()
}

/// What a server may need beside its open requests to stop.
const STOP: Duration = Duration::from_secs(10);

/// Ends when the process is asked to stop. Signals are heard on a thread of their own, so that they arrive whatever the
/// threads that serve do. When the server is not done in time, or the signal comes a second time, the process ends.
pub fn stop_signal(config: &ServerConfig) -> impl Future<Output = ()> + Send + use<> {
    let (asked, heard) = tokio::sync::oneshot::channel();
    let patience = Duration::from_secs(config.shutdown_seconds_max).saturating_add(STOP);
    let listen = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            asked_to_stop().await;
            // Nobody waits for it when the server ends by itself.
            let _ = asked.send(());
            let _ = tokio::time::timeout(patience, asked_to_stop()).await;
            tracing::warn!("the server did not stop in time; the process ends now");
            std::process::exit(3);
        });
    };
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(listen);
    async move {
        if thread.is_err() || heard.await.is_err() {
            asked_to_stop().await;
        }
    }
}
