//! Who asks: keys, tenants, traces; and how much they may ask.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ashlar_model::{ServerConfig, TraceId};
use ashlar_release::{Ctx, Engine, ReleaseError, new_id};
use axum::{
    extract::{FromRef, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Keys, Places};
use crate::{
    app::metrics::Metrics,
    endpoints::{
        Operation, Scope,
        signature::{About, Schemas, Takes},
    },
    front::{ApiError, Hosts, Limits, TRACE, bearer, host_of},
};

/// Requests of the management API that are worked on at a time; more of them wait.
const REQUESTS_MAX: usize = 256;

/// What lets requests of the management API in, and how many.
pub struct Doors {
    engine: Option<Engine>,
    keys: Arc<Keys>,
    hosts: Arc<Hosts>,
    metrics: Arc<Metrics>,
    limits: Limits<String>,
    request_max: Duration,
    /// The most bytes of a request's body.
    body_bytes_max: usize,
    /// Requests that are worked on at a time.
    places: Arc<Semaphore>,
    /// What each tenant uses of them.
    shares: Places,
}

/// An authenticated caller of the management API.
pub struct Caller {
    /// The engine.
    pub engine: Engine,
    /// For whom. It keeps the tenant's share of the management API until the request is answered and its actions have
    /// ended.
    pub ctx: Ctx,
}

/// A request's place among all that are worked on.
#[derive(Clone)]
struct Turn(Arc<OwnedSemaphorePermit>);

/// The digits of a span.
const SPAN_DIGITS: usize = 16;

/// The trace of a request: that of its `traceparent`, or a new one.
pub fn trace_of(headers: &HeaderMap) -> Option<TraceId> {
    let given = headers.get("traceparent").and_then(|v| v.to_str().ok()).and_then(|v| v.split('-').nth(1));
    given.and_then(|t| TraceId::new(t).ok()).or_else(|| TraceId::new(&new_id().ok()?).ok())
}

/// The span of the client that its `traceparent` names.
pub fn parent_of(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-').skip(1);
    TraceId::new(parts.next()?).ok()?;
    let span = parts.next()?;
    let hex = span.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (span.len() == SPAN_DIGITS && hex && span.bytes().any(|byte| byte != b'0')).then(|| span.to_owned())
}

/// A new span: 16 hexadecimal digits.
pub fn new_span() -> String {
    new_id()
        .map(|mut id| {
            id.truncate(SPAN_DIGITS);
            id
        })
        .unwrap_or_default()
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Arc<Doors>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let doors = Arc::<Doors>::from_ref(state);
        let engine = doors.engine.clone().ok_or_else(|| {
            ApiError::new(404, "not-found", "this node has no management API", "ask an author node")
        })?;
        let key =
            bearer(&parts.headers).ok_or_else(|| ApiError::unauthorized("the management API needs a key"))?;
        let access = doors.keys.check(key).await?;
        let access = access.ok_or_else(ApiError::bad_key)?;
        if !doors.hosts.serves(host_of(&parts.headers), &access.tenant) {
            return Err(ApiError::misdirected());
        }
        doors.limited(&access.key_id)?;
        let row = parts.extensions.get::<&'static Operation>();
        if let Some(Scope::Needs(right)) = row.map(|row| &row.scope)
            && !access.actor.may(right)
        {
            return Err(
                ReleaseError::Forbidden { actor: access.actor.name.clone(), right: right.clone() }.into()
            );
        }
        let place = doors.shares.take(&access.tenant, body_bytes(parts, doors.body_bytes_max));
        let place = place.ok_or_else(|| ApiError::from(ashlar_isolate::Busy::Full))?;
        // For what reads the body.
        parts.extensions.insert(access.tenant.clone());
        let trace = parts.extensions.get::<TraceId>().cloned();
        let mut ctx = Ctx::new(access.tenant.clone(), access.actor.clone()).map_err(ApiError::from)?;
        if let Some(trace) = trace {
            ctx.trace = trace;
        }
        ctx.held.push(Arc::new(place));
        if let Some(turn) = parts.extensions.get::<Turn>() {
            ctx.held.push(turn.0.clone());
        }
        Ok(Self { engine, ctx })
    }
}

/// How many bytes of a body will be in memory. Uploads go to a file.
fn body_bytes(parts: &Parts, most: usize) -> usize {
    if parts.uri.path().ends_with("/releases/import") || parts.method == axum::http::Method::GET {
        return 0;
    }
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse().ok());
    length.unwrap_or(most).min(most)
}

impl Takes for Caller {
    fn about(_: &mut About, _: &mut Schemas) {}
}

impl Doors {
    pub fn new(
        engine: Option<Engine>,
        (keys, hosts): (Arc<Keys>, Arc<Hosts>),
        metrics: Arc<Metrics>,
        config: &ServerConfig,
    ) -> Self {
        Self {
            engine,
            keys,
            hosts,
            metrics,
            limits: Limits::new(config.requests_per_second_max),
            request_max: Duration::from_secs(config.request_seconds_max.max(1)),
            body_bytes_max: config.body_bytes_max,
            places: Arc::new(Semaphore::new(REQUESTS_MAX)),
            shares: Places::default(),
        }
    }

    fn limited(&self, key: &str) -> Result<(), ApiError> {
        if self.limits.take(key.to_owned()) {
            return Ok(());
        }
        let detail = format!("more than {} requests per second with this key", self.limits.per_second());
        let help = "wait a moment, or raise server.requests_per_second_max";
        Err(ApiError::new(429, "too-many-requests", detail, help))
    }
}

/// Around every request of the management API: trace, limits of time, security headers, figures.
pub async fn around(State(doors): State<Arc<Doors>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace = trace_of(request.headers());
    if let Some(trace) = &trace {
        request.extensions_mut().insert(trace.clone());
    }
    let answered = async {
        // A request that finds no place within its time is told so like one that takes too long.
        // An action that outlives its request keeps the place.
        let turn = doors.places.clone().acquire_owned().await.ok().map(|turn| Turn(Arc::new(turn)));
        if let Some(turn) = &turn {
            request.extensions_mut().insert(turn.clone());
        }
        next.run(request).await
    };
    let answered = async {
        match tokio::time::timeout(doors.request_max, answered).await {
            Ok(response) => response,
            Err(_) => ApiError::new(
                408,
                "timeout",
                format!("the request took longer than {:?}", doors.request_max),
                "send less at a time, or try again when the server has less to do",
            )
            .into_response(),
        }
    };
    let mut response = TRACE.scope(trace.clone(), answered).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some(trace) = trace {
        let parent = format!("00-{trace}-{}-01", &trace.as_str()[..16]);
        if let Ok(value) = HeaderValue::try_from(parent) {
            headers.insert(HeaderName::from_static("traceparent"), value);
        }
    }
    doors.metrics.answered(response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}
