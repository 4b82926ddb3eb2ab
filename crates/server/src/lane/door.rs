//! The same answers through hyper: HTTP/2, previews, and whatever the lane passes on.

use std::sync::Arc;

use ashlar_delivery::{Answer, Problem, RequestParts, Traceparent, write_answer, write_problem};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::{Caller, Source};

/// A router that answers every request from the releases of `source`, and 404 where delivery has nothing.
pub fn router(source: Arc<dyn Source>) -> Router {
    Router::new().fallback(handle).with_state(source)
}

async fn handle(State(source): State<Arc<dyn Source>>, request: Request) -> Response {
    deliver(source.as_ref(), &request.into_parts().0).await
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Answers one request from the release its caller may read.
pub async fn deliver(source: &dyn Source, request: &hyper::http::request::Parts) -> Response {
    let headers = &request.headers;
    let host = text(headers, &header::HOST).or_else(|| request.uri.authority().map(|a| a.as_str()));
    let key = text(headers, &header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer ")).map(str::trim);
    let caller = Caller { host, key };
    let traceparent = Traceparent::follow(text(headers, &HeaderName::from_static("traceparent")));
    let query = request.uri.query();
    let mut parts = RequestParts {
        method: request.method.as_str(),
        path: request.uri.path(),
        query,
        accept_language: text(headers, &header::ACCEPT_LANGUAGE),
        accept_encoding: text(headers, &header::ACCEPT_ENCODING),
        if_none_match: text(headers, &header::IF_NONE_MATCH),
        traceparent: &traceparent,
        private: true,
        extra_head: b"",
    };
    let mut out = Vec::with_capacity(4 << 10);
    let at = query.and_then(|q| q.split('&').find_map(|p| p.strip_prefix("at=")));
    let at = at.map(|at| percent_encoding::percent_decode_str(at).decode_utf8_lossy());
    let resolved = match source.resolve(&caller).filter(|_| at.is_none()) {
        Some(resolved) => Ok(resolved),
        None => source.explain(&caller, at.as_deref()).await,
    };
    let written = match resolved {
        Ok(resolved) => {
            parts.private = !resolved.public;
            let answered = write_answer(&resolved.release, &parts, &mut out);
            if caller.key.is_some() && answered.is_some_and(|w| matches!(w.status, 200 | 304)) {
                source.read_by(&caller, &resolved.release, parts.path);
            }
            answered.unwrap_or_else(|| {
                let path: String = parts.path.chars().take(100).collect();
                let p = Problem::new(404, "not-found", "Not found", format!("nothing is served at {path}"))
                    .help("entries are at /v1/entries/{type}/{id}, views at the paths of views/*.toml");
                write_problem(&p, &parts, &mut out)
            })
        }
        Err(problem) => write_problem(&problem, &parts, &mut out),
    };
    source.served(written.status, written.head_len + written.body_len);
    response(Answer::read(out, written))
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
