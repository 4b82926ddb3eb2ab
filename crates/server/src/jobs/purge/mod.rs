//! Emptying caches: what a move of a channel changed is purged from upstream caches, exactly, at least once.
//!
//! The last purge of a target is recorded in a pointer object of the tenant, with the snapshot of that moment. So nothing is
//! queued: after a crash the difference between that snapshot and what is served now is purged, however many moves lie
//! between. A body carries the surrogate keys of everything it was composed from, also of what was looked for and was not
//! there, so the keys of changed entries reach every body that could have changed.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use ashlar_delivery::{Purge, purge_between, purge_dates};
use ashlar_model::{Actor, Digest, TenantId};
use ashlar_release::{ChannelMoved, ChannelState, Ctx, Engine, RecordPurge, ReleaseError};
use ashlar_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::{App, cache_stats::Purged};

mod probe;

/// Keys of one request.
const KEYS_PER_REQUEST: usize = 200;
/// Bytes of keys in one request: caches refuse headers of more than 8 KiB.
const KEY_BYTES_PER_REQUEST: usize = 4_000;
/// How long a cache may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest wait between tries.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long edges are given to serve a release before their upstream caches ask again.
const EDGES: Duration = Duration::from_secs(3);
/// How often moves of other processes are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// How a cache is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// `BAN /` with `X-Ban-Keys: a|b` or `X-Ban-All: 1`, for the VCL in the documentation.
    Varnish,
    /// `PURGE /` with `Surrogate-Key: a b`.
    Http,
    /// `POST {url}/purge` with `Surrogate-Key` and `Fastly-Key`.
    Fastly,
    /// `POST {url}/purge_cache` with `{"tags": […]}` and a bearer token.
    Cloudflare,
}

/// An upstream cache of delivery. Written `varnish=http://127.0.0.1:6081`; the kinds are `varnish`, `http`, `fastly` and
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

/// The last purge of a target: the pointer object `purged/<target>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    sequence: u64,
    snapshot: Digest,
    definitions: Digest,
    /// The root of the dates of its entries.
    #[serde(default)]
    modified: Option<Digest>,
}

/// Why a cache could not be purged.
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
pub async fn run(app: App, engine: Engine, target: PurgeTarget, stop: CancellationToken) {
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
    // Tenants whose last purge failed: how long they wait, and until when.
    let mut waits: HashMap<TenantId, (Duration, Instant)> = HashMap::new();
    loop {
        let mut heard = None;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            // A move of this process is told at once.
            moved = moves.recv() => heard = moved.ok(),
        }
        for tenant in app.tenants.names() {
            if stop.is_cancelled() {
                return;
            }
            if waits.get(&tenant).is_some_and(|(_, until)| Instant::now() < *until) {
                continue;
            }
            match tell(&app, &engine, &client, &target, &tenant, heard.as_ref()).await {
                Ok(()) => {
                    waits.remove(&tenant);
                }
                Err(error) => {
                    app.metrics.purge_failed();
                    app.cache_stats.failed(&tenant, &target.to_string(), &error.public());
                    tracing::warn!(%tenant, %target, %error, "a cache could not be purged; it is tried again");
                    // Twice as long each time, and not for all nodes at the same moment.
                    let last = waits.get(&tenant).map_or(Duration::ZERO, |(wait, _)| *wait);
                    let spread = Duration::from_millis(u64::from(std::process::id() % 97));
                    let wait = (last * 2).clamp(LOOK, WAIT_MAX) + spread;
                    waits.insert(tenant, (wait, Instant::now() + wait));
                }
            }
        }
    }
}

/// Purges from a cache what has changed for a tenant since its last purge.
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
            let known = app.tenants.get(tenant).and_then(|t| t.live(&now.channel));
            let modified = modified(&now);
            tokio::task::spawn_blocking(move || match known {
                Some(live) => {
                    let definitions = live.view.definitions();
                    let purge = purge_between(&objects, definitions, &before.snapshot, &state.snapshot)?;
                    purge_dates(&objects, purge, before.modified.as_ref(), modified.as_ref())
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
            for some in batches(keys) {
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
    // Before the purge is on record: a cache that answers 200 and forgets nothing was not purged.
    if target.wire == Wire::Varnish {
        probe::look(app, client, target, tenant, &now, &purge, started).await?;
    }
    let (snapshot, definitions, modified) = (now.snapshot, now.definitions, modified(&now));
    let told = Told { sequence: now.sequence, snapshot, definitions, modified };
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
    tracing::info!(%tenant, %target, keys, ms, "a cache is purged");
    Ok(())
}

fn modified(state: &ChannelState) -> Option<Digest> {
    state.derived.get(ashlar_model::MODIFIED).copied()
}

/// Keys in pieces that fit into the header of one request.
fn batches(keys: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = |key: &&String| {
            bytes += key.len() + 1;
            bytes <= KEY_BYTES_PER_REQUEST
        };
        let fitting = rest.iter().take(KEYS_PER_REQUEST).take_while(fit).count();
        let (piece, after) = rest.split_at(fitting.max(1).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Waits until a cache that asks again gets what is new: this node at once, edges after they have looked.
async fn served(app: &App, tenant: &TenantId, now: &ChannelState) -> Result<(), PurgeError> {
    let until = Instant::now() + Duration::from_secs(5);
    let here = || {
        let live = app.tenants.get(tenant).and_then(|t| t.live(&now.channel));
        live.is_some_and(|live| live.state.sequence >= now.sequence)
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
        // The keys are for a VCL that does not know `X-Ban-All`. They contain no space: Varnish would end the pattern there.
        (Wire::Varnish, None) => {
            client.request(method(b"BAN"), url).header("x-ban-all", "1").header("x-ban-keys", "\\S+")
        }
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
    if response.status().is_success() {
        return Ok(());
    }
    // Varnish says in the reason why a ban was refused.
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = reason.map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned());
    let status = match reason {
        Some(reason) => format!("{} {reason}", response.status().as_u16()),
        None => response.status().to_string(),
    };
    Err(PurgeError::Cache(format!("{url} answered {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_in_pieces_that_fit_into_a_header() {
        let keys: Vec<String> = (0..1_000).map(|n| format!("page:{}{n}:en", "x".repeat(n % 90))).collect();
        let pieces: Vec<&[String]> = batches(&keys).collect();
        assert_eq!(pieces.concat(), keys);
        assert!(
            pieces.iter().all(|p| p.len() <= KEYS_PER_REQUEST && p.join("|").len() <= KEY_BYTES_PER_REQUEST)
        );
        assert!(pieces.len() < 40);
        let long = vec!["y".repeat(9_000)];
        assert_eq!(batches(&long).count(), 1);
        assert_eq!(batches(&[]).count(), 0);
    }
}
