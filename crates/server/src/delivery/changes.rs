//! `GET /v1/changes`: what was released, as server-sent events, for clients that keep copies. From memory alone: it works
//! on an edge, and needs no database.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ashlar_model::{ChannelName, Right, TenantId};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Extensions, HeaderMap, header},
    response::{IntoResponse, Response},
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{
    access::Keys,
    app::{
        App,
        feed::{Change, Feed},
        tenants::Tenants,
    },
    endpoints::{rows, table::Table},
    front::{ApiError, Hosts, bearer, client_address, host_of},
};

/// How often a quiet stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// What following needs.
#[derive(Clone)]
pub struct Changes {
    keys: Arc<Keys>,
    hosts: Arc<Hosts>,
    tenants: Arc<Tenants>,
    listeners: Arc<Listeners>,
    stopping: CancellationToken,
}

/// The operation.
pub fn table() -> Table<Changes> {
    Table::new().on_and(&rows::FOLLOW_CHANGES, changes, |about, _| {
        about.headers.push(("Last-Event-ID", "The last event that the client has."));
        about.text("Events, as they happen.", "text/event-stream");
    })
}

/// Its route. `max` clients may follow, `per_client` of them with one key or from one address.
pub fn router(app: &App, max: usize, per_client: usize) -> Router {
    table().router.with_state(Changes {
        keys: app.keys.clone(),
        hosts: app.hosts.clone(),
        tenants: app.tenants.clone(),
        listeners: Arc::new(Listeners { max, per_client, now: Mutex::default() }),
        stopping: app.stopping.clone(),
    })
}

impl Changes {
    /// Which channel a caller follows.
    async fn followed(&self, headers: &HeaderMap) -> Result<(TenantId, ChannelName), ApiError> {
        let public = |tenant: &TenantId| {
            let named = self.tenants.public(tenant).map(|v| v.definitions().config.channels.public.clone());
            named.ok_or_else(|| {
                ApiError::new(404, "no-release", "there is no release yet", "promote a candidate first")
            })
        };
        let Some(access) = self.keys.caller(headers).await? else {
            let tenant = self.hosts.tenant_of(host_of(headers));
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
}

/// Clients that follow changes: how many there are, and how many of each key or address.
struct Listeners {
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
    of: Changes,
    /// The key it was opened with.
    key: Option<String>,
    _place: Place,
}

impl Stream {
    /// Whether the key is still good: one that was revoked or has expired ends the stream before the next event. A
    /// database that does not answer ends nothing.
    async fn may_go_on(&self) -> bool {
        match &self.key {
            Some(key) => !matches!(self.of.keys.reading(key).await, Ok(None)),
            None => true,
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        tokio::select! {
            () = self.of.stopping.cancelled() => None,
            () = tokio::time::sleep(ALIVE) => Some(Bytes::from_static(b": alive\n\n")),
            change = self.rest.recv() => match change {
                _ if !self.may_go_on().await => None,
                Ok(change) => Some(change.event.clone()),
                // Too slow: what it missed is reported as one.
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
async fn changes(
    State(of): State<Changes>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (tenant, channel) = of.followed(&headers).await?;
    let feed = of.tenants.get(&tenant).and_then(|t| t.feed(&channel)).ok_or_else(|| {
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
    let place = of.listeners.join(client)?;
    let last = match headers.get("last-event-id").map(|v| v.to_str().unwrap_or_default()) {
        None | Some("") => None,
        // What was never sent cannot be gone on from.
        Some(text) => Some(text.parse().unwrap_or(u64::MAX)),
    };
    let (first, rest) = feed.join(last);
    let key = bearer(&headers).map(str::to_owned);
    let stream = Stream { first: first.into(), rest, feed, of, key, _place: place };
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
