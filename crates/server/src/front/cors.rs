//! What pages of other origins may do (CORS): read what needs no key, from everywhere; the rest from origins that
//! `server.cors_origins` names. There are no cookies, so credentials are never allowed.

use std::sync::Arc;

use ashlar_model::Origin;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::front::ApiError;

/// What scripts may read of an answer.
const EXPOSED: &str = "ETag, Link, Location, Deprecation, Sunset, Retry-After, Content-Range, Accept-Ranges, traceparent, Ashlar-Release, Ashlar-Contract";
/// What scripts may send without a key.
const SENT: &str =
    "Accept-Language, Content-Type, If-Match, If-None-Match, Last-Event-ID, Range, If-Range, traceparent";
/// How long a browser may remember a preflight, in seconds.
const REMEMBERED: &str = "7200";

/// The origins that may use a key or the management API.
pub type Origins = Arc<[Origin]>;

/// Whether everybody may read an address, so that every page may.
fn is_public(path: &str) -> bool {
    match path {
        "/api/openapi.json" | "/api/event.v1.json" => true,
        _ => !["/api", "/preview", "/studio"]
            .iter()
            .any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))),
    }
}

/// The origin, when it may do what needs a key.
fn trusted<'h>(origins: &Origins, origin: &'h HeaderValue) -> Option<&'h HeaderValue> {
    let text = origin.to_str().ok()?;
    origins.iter().any(|known| known.as_str().eq_ignore_ascii_case(text)).then_some(origin)
}

/// Answers preflights, and says of every answer which pages may read it.
pub async fn cors(
    origins: &Origins,
    request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else { return next(request).await };
    let path = request.uri().path();
    let public = is_public(path);
    if request.method() == Method::OPTIONS
        && let Some(method) = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return preflight(origins, &origin, method, (path, public), request.headers());
    }
    let with_key = request.headers().contains_key(header::AUTHORIZATION);
    let mut response = next(request).await;
    let allowed = match trusted(origins, &origin) {
        _ if public && !with_key => Some(HeaderValue::from_static("*")),
        found => found.cloned(),
    };
    let headers = response.headers_mut();
    if let Some(allowed) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    } else {
        headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    }
    if !public || with_key {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

fn preflight(
    origins: &Origins,
    origin: &HeaderValue,
    method: &HeaderValue,
    (path, public): (&str, bool),
    headers: &HeaderMap,
) -> Response {
    let wants_key = headers
        .get_all(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("authorization"));
    let posted = matches!(path, "/graphql" | "/v1/answers" | "/v1/search/clicks") && method == "POST";
    let reads = posted || matches!(method.as_bytes(), b"GET" | b"HEAD");
    let trusted = trusted(origins, origin);
    let (allowed, methods) = match (trusted, public && reads && !wants_key) {
        (Some(origin), _) => (origin.clone(), "GET, HEAD, POST, PUT, PATCH, DELETE"),
        (None, true) => (HeaderValue::from_static("*"), "GET, HEAD, POST"),
        (None, false) => {
            let shown: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(80).collect();
            let detail = format!("pages of {shown} may only read what needs no key");
            let help = "add the origin to server.cors_origins in ashlar.toml, or call the server from your own server";
            let mut response = ApiError::new(403, "origin-not-allowed", detail, help).into_response();
            response.headers_mut().insert(header::VARY, HeaderValue::from_static(VARY));
            return response;
        }
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    let sent = if trusted.is_some() { format!("Authorization, {SENT}") } else { SENT.to_owned() };
    if let Ok(sent) = HeaderValue::try_from(sent) {
        out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent);
    }
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
        (header::VARY, VARY),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        out.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What an answer to a preflight depends on.
const VARY: &str = "origin, access-control-request-method, access-control-request-headers";
