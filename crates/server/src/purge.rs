//! Emptying caches: what a move of a channel changed is purged from caches in front, exactly, at least once.
//!
//! What a target was last told stands in a pointer object of the tenant, with the snapshot of that moment. So nothing is
//! queued: after a crash the difference between that snapshot and what is served now is purged, however many moves lie
//! between. A body carries the surrogate keys of everything it was composed from, also of what was looked for and was not
//! there, so the keys of changed entries reach every body that could have changed.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use ashlar_delivery::{Purge, purge_between};
use ashlar_model::{Actor, Digest, TenantId};
use ashlar_release::{ChannelMoved, ChannelState, Ctx, Engine, RecordPurge, ReleaseError};
use ashlar_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{app::App, cache_stats::Purged};

/// Keys of one request.
const KEYS_PER_REQUEST: usize = 200;
/// How long a cache may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest wait between tries.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long edges are given to serve a release before caches in front of them ask again.
const EDGES: Duration = Duration::from_secs(3);
/// Changed entries that are read through a cache after a purge.
const PROBES: usize = 3;
/// How often moves of other processes are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// How a cache is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// `BAN /` with `X-Ban-Keys: a|b`, for the VCL in the documentation.
    Varnish,
    /// `PURGE /` with `Surrogate-Key: a b`.
    Http,
    /// `POST {url}/purge` with `Surrogate-Key` and `Fastly-Key`.
    Fastly,
    /// `POST {url}/purge_cache` with `{"tags": […]}` and a bearer token.
    Cloudflare,
}

/// A cache in front of delivery. Written `varnish=http://127.0.0.1:6081`; the kinds are `varnish`, `http`, `fastly` and
/// `cloudflare`. Tokens come from `ASHLAR_PURGE_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeTarget {
    wire: Wire,
    url: String,
}

/// The text names no cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no cache; write varnish=URL, http=URL, fastly=URL or cloudflare=URL")]
pub struct PurgeTargetError(String);

impl FromStr for PurgeTarget {
    type Err = PurgeTargetError;

    fn from_str(text: &str) -> Result<Self, PurgeTargetError> {
        let wrong = || PurgeTargetError(text.to_owned());
        let (kind, url) = text.split_once('=').ok_or_else(wrong)?;
        let wire = match kind {
            "varnish" => Wire::Varnish,
            "http" => Wire::Http,
            "fastly" => Wire::Fastly,
            "cloudflare" => Wire::Cloudflare,
            _ => return Err(wrong()),
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(wrong());
        }
        Ok(Self { wire, url: url.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for PurgeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// What a target was last told: the pointer object `purged/<target>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    sequence: u64,
    snapshot: Digest,
    definitions: Digest,
}

/// Why a cache could not be told.
#[derive(Debug, thiserror::Error)]
enum PurgeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("{0}")]
    Cache(String),
}

impl PurgeError {
    /// What is wrong, without paths of this machine.
    fn public(&self) -> String {
        match self {
            Self::Store(error) => error.public(),
            Self::Release(error) => error.public(),
            Self::Cache(why) => why.clone(),
        }
    }
}

/// Keeps one cache true until `stop`.
pub async fn run(app: Arc<App>, engine: Engine, target: PurgeTarget, stop: CancellationToken) {
    let client = match reqwest::Client::builder()
        .timeout(ANSWER_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
    {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%target, %error, "caches cannot be purged");
            return;
        }
    };
    let mut moves = engine.moves();
    let mut wait = Duration::ZERO;
    loop {
        let mut heard = None;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK.max(wait)) => {}
            // A move of this process is told at once, unless the cache is failing.
            moved = moves.recv(), if wait.is_zero() => heard = moved.ok(),
        }
        let tenants: Vec<TenantId> =
            app.tenants.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let mut failed = false;
        for tenant in tenants {
            if let Err(error) = tell(&app, &engine, &client, &target, &tenant, heard.as_ref()).await {
                app.metrics.purge_failed();
                app.cache_stats.failed(&tenant, &target.to_string(), &error.public());
                tracing::warn!(%tenant, %target, %error, "a cache could not be purged; it is tried again");
                failed = true;
            }
        }
        // Twice as long each time, and not for all nodes at the same moment.
        wait = match failed {
            true => {
                (wait * 2).clamp(LOOK, WAIT_MAX) + Duration::from_millis(u64::from(std::process::id() % 97))
            }
            false => Duration::ZERO,
        };
    }
}

/// Tells a cache what has changed for a tenant since it was last told.
async fn tell(
    app: &App,
    engine: &Engine,
    client: &reqwest::Client,
    target: &PurgeTarget,
    tenant: &TenantId,
    heard: Option<&ChannelMoved>,
) -> Result<(), PurgeError> {
    let ctx = Ctx::new(tenant.clone(), Actor::local("purge"))?;
    let Some(now) = engine.public_state(&ctx, heard).await? else { return Ok(()) };
    let objects = engine.tenant_objects(tenant);
    let name = format!("purged/{}.json", Digest::of(target.url.as_bytes()).short());
    let before: Option<Told> = match objects.get_pointer(&name, None).await {
        Ok(read) => read.body().and_then(|b| serde_json::from_slice(b).ok()),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if before.as_ref().is_some_and(|b| b.sequence >= now.sequence) {
        return Ok(());
    }
    served(app, tenant, &now).await?;
    let started = Instant::now();
    let purge = match before {
        // The first time nobody knows what the cache holds.
        None => Purge::Everything,
        Some(before) if before.definitions != now.definitions => Purge::Everything,
        Some(before) => {
            let (objects, state) = (objects.clone(), now.clone());
            let known = app.tenant(tenant).and_then(|t| t.channels.load().get(&now.channel).cloned());
            tokio::task::spawn_blocking(move || match known {
                Some(live) => {
                    purge_between(&objects, live.view.definitions(), &before.snapshot, &state.snapshot)
                }
                None => Ok(Purge::Everything),
            })
            .await
            .map_err(|e| PurgeError::Cache(e.to_string()))??
        }
    };
    let keys = match &purge {
        Purge::Nothing => 0,
        Purge::Keys(keys) => {
            for some in keys.chunks(KEYS_PER_REQUEST) {
                send(client, target, Some(some), &now).await?;
            }
            keys.len()
        }
        Purge::Everything => {
            send(client, target, None, &now).await?;
            0
        }
    };
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    let told = Told { sequence: now.sequence, snapshot: now.snapshot, definitions: now.definitions };
    let data = json!({
        "target": target.to_string(), "release": now.release, "channel": now.channel, "keys": keys,
        "everything": matches!(purge, Purge::Everything), "ms": ms,
    });
    let mut ctx = ctx;
    if let Some(trace) = now.trace.as_ref().and_then(|t| ashlar_model::TraceId::new(t).ok()) {
        ctx.trace = trace;
    }
    engine.run(&ctx, RecordPurge { subject: now.release.to_string(), data }).await?;
    // Last: a crash before this purges once more.
    let body = serde_json::to_vec(&told).map_err(|e| PurgeError::Cache(e.to_string()))?;
    objects.put_pointer(&name, body.into()).await?;
    let since = now.moved_at.parse::<jiff::Timestamp>().map_or(ms, |at| {
        // A clock that was set back must not make a purge faster than it was.
        ms.max(jiff::Timestamp::now().duration_since(at).as_secs_f64() * 1000.0)
    });
    let everything = matches!(purge, Purge::Everything);
    let purged = Purged { keys, everything, ms: since, release: now.release.to_string() };
    app.cache_stats.purged(tenant, &target.to_string(), purged);
    if let (Wire::Varnish, Purge::Keys(keys)) = (target.wire, &purge) {
        probe(app, client, target, tenant, &now, keys).await;
    }
    tracing::info!(%tenant, %target, keys, ms, "a cache is purged");
    Ok(())
}

/// Reads some of the changed entries through the cache, and counts what comes out as it was before.
async fn probe(
    app: &App,
    client: &reqwest::Client,
    target: &PurgeTarget,
    tenant: &TenantId,
    now: &ChannelState,
    keys: &[String],
) {
    let Some(state) = app.tenant(tenant) else { return };
    let live = state.channels.load().get(&now.channel).cloned();
    let Some(live) = live.filter(|l| l.state.sequence == now.sequence) else { return };
    let host = state.ring.load().hosts.first().cloned();
    let entries = keys.iter().filter_map(|key| {
        let mut parts = key.splitn(3, ':');
        Some(ashlar_model::EntryKey {
            type_name: ashlar_model::TypeName::new(parts.next()?).ok()?,
            id: ashlar_model::EntryId::new(parts.next()?).ok()?,
            locale: ashlar_model::Locale::new(parts.next()?).ok()?,
        })
    });
    for key in entries.take(PROBES) {
        let Ok(Some(record)) = live.view.record(&key) else { continue };
        let path = format!("{}/v1/entries/{}/{}?locale={}", target.url, key.type_name, key.id, key.locale);
        let mut request = client.get(path);
        if let Some(host) = &host {
            request = request.header("host", host);
        }
        let Ok(response) = request.send().await else { continue };
        let etag = response.headers().get("etag").and_then(|v| v.to_str().ok()).unwrap_or_default();
        // A newer move may have come in between; then nothing is proved.
        let moved = state.channels.load().get(&now.channel).is_none_or(|l| l.state.sequence != now.sequence);
        if response.status().is_success() && !moved {
            let stale = !etag.contains(&record.digest.to_string());
            if stale {
                tracing::warn!(%tenant, %target, %key, "a cache serves what was purged");
            }
            app.cache_stats.probed(tenant, &target.to_string(), stale);
        }
    }
}

/// Waits until a cache that asks again gets what is new: this node at once, edges after they have looked.
async fn served(app: &App, tenant: &TenantId, now: &ChannelState) -> Result<(), PurgeError> {
    let until = Instant::now() + Duration::from_secs(5);
    let here = || {
        let live = app.tenant(tenant).map(|t| t.channels.load_full());
        live.and_then(|l| l.get(&now.channel).map(|l| l.state.sequence)).is_some_and(|s| s >= now.sequence)
    };
    while !here() {
        if Instant::now() > until {
            return Err(PurgeError::Cache("the release is not served here yet".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if app.objects.has_remote() {
        tokio::time::sleep(EDGES).await;
    }
    Ok(())
}

/// One request to a cache; `None` empties it.
async fn send(
    client: &reqwest::Client,
    target: &PurgeTarget,
    keys: Option<&[String]>,
    state: &ChannelState,
) -> Result<(), PurgeError> {
    let token = std::env::var("ASHLAR_PURGE_TOKEN").unwrap_or_default();
    let method = |name: &'static [u8]| reqwest::Method::from_bytes(name).unwrap_or(reqwest::Method::POST);
    let url = &target.url;
    let request = match (target.wire, keys) {
        // Keys are letters, digits and `.`, `_`, `-`, `:`, `/`, `%`; only the dot means more in a pattern.
        (Wire::Varnish, Some(keys)) => {
            client.request(method(b"BAN"), url).header("x-ban-keys", keys.join("|").replace('.', "\\."))
        }
        (Wire::Varnish, None) => client.request(method(b"BAN"), url).header("x-ban-keys", "[^ ]+"),
        (Wire::Http, Some(keys)) => {
            client.request(method(b"PURGE"), url).header("surrogate-key", keys.join(" "))
        }
        (Wire::Http, None) => client.request(method(b"PURGE"), url).header("surrogate-key", "*"),
        (Wire::Fastly, Some(keys)) => client
            .post(format!("{url}/purge"))
            .header("surrogate-key", keys.join(" "))
            .header("fastly-key", token),
        (Wire::Fastly, None) => client.post(format!("{url}/purge_all")).header("fastly-key", token),
        (Wire::Cloudflare, keys) => {
            let body = match keys {
                Some(keys) => json!({ "tags": keys }),
                None => json!({"purge_everything": true}),
            };
            client.post(format!("{url}/purge_cache")).bearer_auth(token).json(&body)
        }
    };
    let request = match &state.trace {
        Some(trace) if trace.len() == 32 => {
            request.header("traceparent", format!("00-{trace}-{}-01", &trace[..16]))
        }
        _ => request,
    };
    let response = request.send().await.map_err(|e| PurgeError::Cache(e.to_string()))?;
    match response.status().is_success() {
        true => Ok(()),
        false => Err(PurgeError::Cache(format!("{url} answered {}", response.status()))),
    }
}
