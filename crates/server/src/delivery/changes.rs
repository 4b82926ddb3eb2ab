//! `GET /v1/changes`: what was released, as server-sent events, for clients that keep copies. From memory alone: it works
//! on an edge, and needs no database.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ashlar_delivery::ReleaseView;
use ashlar_model::{ChannelName, EntryKey, Right, TenantId};
use ashlar_release::ChannelState;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{Extensions, HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{
    access::bearer,
    app::App,
    front::{ApiError, client_address, host_of},
};

/// Moves of a channel that a client may have missed.
const RECENT_MAX: usize = 256;
/// Entries that are named in one event.
const ENTRIES_MAX: usize = 1_000;
/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// One move of a channel.
#[derive(Debug)]
struct Change {
    /// The move before it, whose state it starts from.
    after: u64,
    event: Bytes,
}

/// The moves of one channel.
pub struct Feed {
    inner: Mutex<Inner>,
}

struct Inner {
    /// The last move, and the release it made current.
    now: (u64, String),
    recent: VecDeque<Arc<Change>>,
    sender: broadcast::Sender<Arc<Change>>,
}

fn event(kind: &str, id: u64, data: &Value) -> Bytes {
    format!("event: {kind}\nid: {id}\ndata: {data}\n\n").into()
}

impl Feed {
    /// A feed that begins with what is served now.
    pub fn new(state: &ChannelState) -> Self {
        let (sender, _) = broadcast::channel(RECENT_MAX);
        let now = (state.sequence, state.release.to_string());
        Self { inner: Mutex::new(Inner { now, recent: VecDeque::new(), sender }) }
    }

    /// Adds a move from what was served to what is served now.
    pub fn moved(&self, before: (&ChannelState, &ReleaseView), now: (&ChannelState, &ReleaseView)) {
        let (kind, data) = match told(before, now) {
            Ok(told) => told,
            // What cannot be told in full makes clients read again.
            Err(error) => {
                tracing::error!(%error, "what a release changed cannot be read");
                ("reset", json!({"release": now.0.release}))
            }
        };
        let (after, sequence) = (before.0.sequence, now.0.sequence);
        let change = Arc::new(Change { after, event: event(kind, sequence, &data) });
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.now = (sequence, now.0.release.to_string());
        inner.recent.push_back(change.clone());
        if inner.recent.len() > RECENT_MAX {
            inner.recent.pop_front();
        }
        // Nobody listening is fine.
        let _ = inner.sender.send(change);
    }

    /// What a client gets first, and where the rest comes from. `last`: the last move it knows.
    fn join(&self, last: Option<u64>) -> (Vec<Bytes>, broadcast::Receiver<Arc<Change>>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (sequence, release) = (inner.now.0, &inner.now.1);
        let from = last.and_then(|l| inner.recent.iter().position(|c| c.after == l));
        let first = match (last, from) {
            (None, _) => vec![event("current", sequence, &json!({ "release": release }))],
            (Some(known), _) if known == sequence => vec![Bytes::from_static(b": nothing was missed\n\n")],
            (Some(_), Some(at)) => inner.recent.iter().skip(at).map(|c| c.event.clone()).collect(),
            (Some(_), None) => vec![event("reset", sequence, &json!({ "release": release }))],
        };
        (first, inner.sender.subscribe())
    }
}

/// A move in words: its kind, and what it changed.
fn told(
    before: (&ChannelState, &ReleaseView),
    now: (&ChannelState, &ReleaseView),
) -> Result<(&'static str, Value), String> {
    let mut entries = Vec::new();
    let mut total = 0_u64;
    for change in before.1.snapshot().diff(now.1.snapshot()) {
        let change = change.map_err(|e| e.to_string())?;
        total += 1;
        if entries.len() < ENTRIES_MAX {
            let key = EntryKey::from_bytes(&change.key).map_err(|e| e.to_string())?;
            let what = match (&change.old, &change.new) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            entries.push(json!({
                "type": key.type_name, "id": key.id, "locale": key.locale, "change": what,
                "surrogate_key": format!("{}:{}:{}", key.type_name, key.id, key.locale),
            }));
        }
    }
    // An older pointer does not say how it moved; then a lower number counts as a rollback.
    let kind = match now.0.rolled_back.unwrap_or(now.0.release < before.0.release) {
        true => "release.rolled_back",
        false => "release.promoted",
    };
    let data = json!({
        "release": now.0.release, "from": before.0.release, "channel": now.0.channel, "at": now.0.moved_at,
        "definitions_changed": before.0.definitions != now.0.definitions,
        "entries": entries, "entries_total": total,
    });
    Ok((kind, data))
}

/// Which channel a caller follows.
async fn followed(app: &App, headers: &HeaderMap) -> Result<(TenantId, ChannelName), ApiError> {
    let public = |tenant: &TenantId| {
        let live = app.tenant(tenant).and_then(|t| t.public.load_full());
        let named = live.map(|v| v.definitions().config.channels.public.clone());
        named.ok_or_else(|| {
            ApiError::new(404, "no-release", "there is no release yet", "promote a candidate first")
        })
    };
    let Some(access) = app.caller(headers).await? else {
        let tenant = app.tenant_of_host(host_of(headers));
        let channel = public(&tenant)?;
        return Ok((tenant, channel));
    };
    match &access.channel {
        None => Ok((access.tenant.clone(), public(&access.tenant)?)),
        Some(channel) if access.actor.may(&Right::Read) || access.actor.may(&Right::Preview) => {
            Ok((access.tenant.clone(), channel.clone()))
        }
        Some(_) => Err(ApiError::new(
            403,
            "forbidden",
            "the key may not read",
            "use a key that has the scope `read`",
        )),
    }
}

/// Clients that follow changes: how many there are, and how many of each key or address.
pub struct Listeners {
    max: usize,
    per_client: usize,
    now: Mutex<(usize, HashMap<String, usize>)>,
}

/// The place of one stream.
struct Place {
    listeners: Arc<Listeners>,
    client: String,
}

impl Listeners {
    pub fn new(max: usize, per_client: usize) -> Self {
        Self { max, per_client, now: Mutex::default() }
    }

    fn join(self: &Arc<Self>, client: String) -> Result<Place, ApiError> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, clients) = &mut *now;
        let own = clients.get(&client).copied().unwrap_or(0);
        if self.per_client > 0 && own >= self.per_client {
            let detail = format!("this key or address follows changes {own} times already");
            let help = "close a stream, or raise server.streams_per_client_max";
            return Err(ApiError::new(429, "too-many-streams", detail, help));
        }
        if *all >= self.max {
            let detail = "too many clients follow changes here";
            let help = "try again later, ask another node, or raise server.streams_max";
            return Err(ApiError::new(503, "busy", detail, help));
        }
        *all += 1;
        clients.insert(client.clone(), own + 1);
        Ok(Place { listeners: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.listeners.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, clients) = &mut *now;
        *all -= 1;
        if let Some(own) = clients.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

struct Stream {
    first: VecDeque<Bytes>,
    rest: broadcast::Receiver<Arc<Change>>,
    feed: Arc<Feed>,
    app: Arc<App>,
    /// The key it was opened with.
    key: Option<String>,
    _place: Place,
}

impl Stream {
    /// Whether the key is still good: one that was revoked or has expired ends the stream before the next event. A
    /// database that does not answer ends nothing.
    async fn may_go_on(&self) -> bool {
        match &self.key {
            Some(key) => !matches!(self.app.reading_key(key).await, Ok(None)),
            None => true,
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        tokio::select! {
            () = self.app.stopping.cancelled() => None,
            () = tokio::time::sleep(ALIVE) => Some(Bytes::from_static(b": alive\n\n")),
            change = self.rest.recv() => match change {
                _ if !self.may_go_on().await => None,
                Ok(change) => Some(change.event.clone()),
                // Too slow: what it missed is told as one.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let (first, rest) = self.feed.join(Some(u64::MAX));
                    self.rest = rest;
                    self.first = first.into();
                    self.first.pop_front()
                }
                Err(broadcast::error::RecvError::Closed) => None,
            },
        }
    }
}

/// Streams the moves of the caller's channel from `Last-Event-ID` on.
pub async fn changes(
    State(app): State<Arc<App>>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (tenant, channel) = followed(&app, &headers).await?;
    let feed = app.tenant(&tenant).and_then(|t| t.feed(&channel)).ok_or_else(|| {
        ApiError::new(
            404,
            "not-found",
            format!("the channel `{channel}` serves nothing"),
            "promote a release to it",
        )
    })?;
    let client = match bearer(&headers).and_then(ashlar_release::split_key) {
        Some((id, _)) => format!("key {id}"),
        None => client_address(&extensions).to_string(),
    };
    let place = app.listeners.join(client)?;
    let last = match headers.get("last-event-id").map(|v| v.to_str().unwrap_or_default()) {
        None | Some("") => None,
        // What was never sent cannot be gone on from.
        Some(text) => Some(text.parse().unwrap_or(u64::MAX)),
    };
    let (first, rest) = feed.join(last);
    let key = bearer(&headers).map(str::to_owned);
    let stream = Stream { first: first.into(), rest, feed, app, key, _place: place };
    let stream = futures::stream::unfold(stream, |mut stream| async move {
        let next = stream.next().await?;
        Some((Ok::<_, Infallible>(next), stream))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
