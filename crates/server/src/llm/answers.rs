//! Answers and refusals as HTTP.

use ashlar_gateway::{
    call,
    wire::{Fault, Surface},
};
use ashlar_model::TraceId;
use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};

use futures::StreamExt as _;

/// A response with the headers that all have.
fn response(status: u16, media: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A refusal in the client's format.
pub fn refused(surface: Surface, fault: &Fault) -> Response {
    let mut response = response(fault.status(), "application/json", Body::from(fault.body(surface)));
    let headers = response.headers_mut();
    if let Some(wait) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if fault.status() == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ashlar\""));
    }
    response
}

/// JSON.
pub fn json(body: Vec<u8>) -> Response {
    response(200, "application/json", Body::from(body))
}

/// An answer.
pub fn answered(body: call::Body) -> Response {
    match body {
        call::Body::Whole(bytes) => response(200, "application/json", Body::from(bytes)),
        call::Body::Stream(stream) => {
            let stream = stream.map(Ok::<Bytes, std::convert::Infallible>);
            response(200, "text/event-stream; charset=utf-8", Body::from_stream(stream))
        }
    }
}

/// Adds what a call says of its prompt, its cost and its budgets.
pub fn costed(response: &mut Response, facts: &call::Facts) {
    let headers = response.headers_mut();
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if !facts.prompt.is_empty() {
        add("ashlar-prompt", &facts.prompt);
    }
    // What a stream costs is known when it has ended.
    if !facts.streamed && !facts.currency.is_empty() {
        add("ashlar-cost", &format!("{} {}", facts.cost, facts.currency));
    }
    if !facts.cache.is_empty() {
        add("ashlar-cache", facts.cache);
    }
    if !facts.soft.is_empty() {
        add("ashlar-budget-warning", &facts.soft.join(", "));
    }
}

/// Adds what is known of a call.
pub fn about(response: &mut Response, trace: Option<&TraceId>, release: Option<&str>) {
    let headers = response.headers_mut();
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(trace) = trace {
        add("ashlar-trace", trace.as_str());
        // Where the clients of OpenAI and Anthropic look for it.
        add("x-request-id", trace.as_str());
        add("request-id", trace.as_str());
    }
    if let Some(release) = release {
        add("ashlar-release", release);
    }
}
