//! The same answers through hyper: HTTP/2, previews, and whatever the lane passes on.

use std::sync::Arc;

use ashlar_delivery::{
    ANSWERS, Answer, CLICKS, GRAPHQL, Problem, Quick, RequestParts, Traceparent, busy, share_answer,
    share_posted, write_problem,
};
use ashlar_isolate::Busy;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use tokio::time::{Instant, timeout_at};

use super::{Caller, Resolved, Source, ranges, stalled};
use crate::front::{bearer, client_address};

/// A router that answers every request from the releases of `source`, and 404 where delivery has nothing.
pub fn router(source: Arc<dyn Source>) -> Router {
    Router::new().fallback(handle).with_state(source)
}

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;
/// How long an answer may take that is not made on threads that serve, what it is read from included.
const HEAVY_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);
/// How long a client may take to send it.
const BODY_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10);

async fn handle(State(source): State<Arc<dyn Source>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let posted =
        matches!(parts.uri.path(), GRAPHQL | ANSWERS | CLICKS) && parts.method == hyper::Method::POST;
    if !posted {
        return deliver(source.as_ref(), &parts, None).await;
    }
    let read = tokio::time::timeout(BODY_TIME_MAX, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    let json = text(&parts.headers, &header::CONTENT_TYPE).is_some_and(|t| {
        t.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    });
    let body = match read {
        _ if !json => Err(Problem::new(
            415,
            "unsupported-media-type",
            "Unsupported media type",
            "the body must be JSON",
        )
        .help("send `Content-Type: application/json`")),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if stalled(&error) => Err(too_slow()),
        Ok(Err(_)) => Err(Problem::new(
            413,
            "body-too-large",
            "Body too large",
            format!("the body has more than {BODY_BYTES_MAX} bytes"),
        )
        .help("send `documentId` of a persisted document instead of its text, or a shorter question")),
        Err(_) => Err(too_slow()),
    };
    deliver(source.as_ref(), &parts, Some(body)).await
}

fn too_slow() -> Problem {
    Problem::new(408, "request-timeout", "Request timeout", "the body came too slowly").help("send it again")
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn caller(request: &hyper::http::request::Parts) -> Caller<'_> {
    let headers = &request.headers;
    let host = request.uri.authority().map(|a| a.as_str()).or_else(|| text(headers, &header::HOST));
    Caller { host, key: bearer(headers) }
}

/// Who asks, as the log of searches tells callers apart: by key, or by address. `None` for what is not logged: everything but
/// searches, and previews.
fn asker(request: &hyper::http::request::Parts, caller: &Caller<'_>, is_preview: bool) -> Option<String> {
    let path = request.uri.path();
    let may_search = path == GRAPHQL || path.starts_with("/v1/search") || request.uri.query().is_some();
    if is_preview || !may_search {
        return None;
    }
    Some(caller.key.map_or_else(|| client_address(&request.extensions).to_string(), str::to_owned))
}

/// What an answer depends on; `resolved` says who reads, when that is known.
fn parts_of<'r>(
    request: &'r hyper::http::request::Parts,
    (resolved, asker): (Option<&'r Resolved>, Option<&'r str>),
    traceparent: &'r Traceparent,
) -> RequestParts<'r> {
    let headers = &request.headers;
    RequestParts {
        method: request.method.as_str(),
        path: request.uri.path(),
        query: request.uri.query(),
        accept_language: text(headers, &header::ACCEPT_LANGUAGE),
        // A part is one of the bytes as they are.
        accept_encoding: match ranges::wanted(request) {
            true => None,
            false => text(headers, &header::ACCEPT_ENCODING),
        },
        accept: text(headers, &header::ACCEPT),
        if_none_match: text(headers, &header::IF_NONE_MATCH),
        traceparent,
        private: resolved.is_none_or(|r| !r.public),
        developer: resolved.is_some_and(|r| r.developer),
        reader: resolved.and_then(|r| r.reader.as_deref()),
        asker,
        extra_head: b"",
    }
}

/// Writes the answer of a release; what takes long only when `patient`.
fn write(
    resolved: &Resolved,
    parts: &RequestParts<'_>,
    body: Option<&Result<Bytes, Problem>>,
    patient: bool,
    out: &mut Vec<u8>,
    shared: &mut Option<Bytes>,
) -> Quick {
    let view = &resolved.release;
    match body {
        Some(Err(problem)) => Quick::Written(write_problem(problem, parts, out)),
        Some(Ok(body)) => share_posted(view, parts, body, patient, out, shared),
        None => share_answer(view, parts, patient, out, shared),
    }
}

/// Answers one request from the release its caller may read. `body` is what was posted, or what is wrong with it.
pub async fn deliver(
    source: &dyn Source,
    request: &hyper::http::request::Parts,
    body: Option<Result<Bytes, Problem>>,
) -> Response {
    let until = Instant::now() + HEAVY_TIME_MAX;
    let caller = caller(request);
    let traceparent = Traceparent::follow(text(&request.headers, &HeaderName::from_static("traceparent")));
    let query = request.uri.query();
    let at = query.and_then(|q| q.split('&').find_map(|p| p.strip_prefix("at=")));
    let at = at.map(|at| percent_encoding::percent_decode_str(at).decode_utf8_lossy());
    let asker = asker(request, &caller, at.is_some());
    let resolved = match source.resolve(&caller).filter(|_| at.is_none()) {
        Some(resolved) => Ok(resolved),
        None => {
            timeout_at(until, source.explain(&caller, at.as_deref())).await.unwrap_or_else(|_| Err(busy()))
        }
    };
    let (mut out, mut shared) = (Vec::with_capacity(4 << 10), None);
    let known = resolved.as_ref().ok().cloned();
    let parts = parts_of(request, (known.as_ref(), asker.as_deref()), &traceparent);
    let written = match resolved {
        Ok(resolved) => {
            let mut answered = write(&resolved, &parts, body.as_ref(), false, &mut out, &mut shared);
            if answered == Quick::Heavy {
                let (request, resolved, traceparent) = (request.clone(), resolved.clone(), traceparent);
                let asker = asker.clone();
                let tenant = resolved.release.tenant().clone();
                let made = source.workers().run(&tenant, move || {
                    let parts = parts_of(&request, (Some(&resolved), asker.as_deref()), &traceparent);
                    let (mut out, mut shared) = (Vec::with_capacity(4 << 10), None);
                    let answered = write(&resolved, &parts, body.as_ref(), true, &mut out, &mut shared);
                    (answered, out, shared)
                });
                let made = timeout_at(until, made).await.unwrap_or(Err(Busy::Full));
                (answered, out, shared) = made.unwrap_or_else(|_| {
                    let mut out = Vec::new();
                    (Quick::Written(write_problem(&busy(), &parts, &mut out)), out, None)
                });
            }
            let Quick::Written(written) = answered else {
                let path: String = parts.path.chars().take(100).collect();
                let views = resolved.release.definitions().views.iter();
                let starts = views.map(|view| view.prefix.trim_matches('/').trim_start_matches("v1/"));
                let named = path.trim_start_matches("/v1/").split('/').next().unwrap_or_default();
                let help = ashlar_model::nearest_of(
                    named,
                    starts,
                    "entries are at /v1/entries/{type}/{id}, views at the paths of views/*.toml",
                );
                let p = Problem::new(404, "not-found", "Not found", format!("nothing is served at {path}"))
                    .help(help);
                let written = write_problem(&p, &parts, &mut out);
                source.served(written.status, written.head_len + written.body_len);
                return response(Answer::read(out, written, None));
            };
            let counted = caller.key.is_some() || parts.path == GRAPHQL;
            if counted && matches!(written.status, 200 | 304) {
                source.read_by(&caller, &resolved.release, parts.path, parts.query);
            }
            written
        }
        Err(problem) => write_problem(&problem, &parts, &mut out),
    };
    source.served(written.status, written.head_len + written.body_len);
    ranges::cut(request, response(Answer::read(out, written, shared)))
}

fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    response
}
