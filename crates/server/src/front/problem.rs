//! RFC 9457 problems: what was wrong, where, how to fix it, and the trace it belongs to.

use ashlar_model::{Finding, TraceId};
use ashlar_release::ReleaseError;
use ashlar_store::{StoreError, sql::SqlError};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// What is wrong when the key belongs to another tenant than the host name, and what to do.
pub const MISDIRECTED: (&str, &str) = (
    "this host name serves another tenant than that of the key",
    "send the request to a host name of the key's own tenant, or leave the key out",
);

/// What an answer says that is a problem.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What kind of problem it is: `urn:ashlar:problem:` and a stable code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the status.
    pub title: String,
    /// The status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The trace of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// What checks found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

tokio::task_local! {
    /// The trace of the request that is answered.
    pub static TRACE: Option<TraceId>;
}

/// A problem of the management API.
#[derive(Debug)]
pub struct ApiError {
    pub status: u16,
    pub code: String,
    pub detail: String,
    pub help: String,
    pub more: Value,
}

/// Status and code of an error of the `release` room.
pub fn status_of(error: &ReleaseError) -> (u16, &'static str) {
    let status = match error {
        ReleaseError::Forbidden { .. } => 403,
        ReleaseError::NotFound { .. } => 404,
        ReleaseError::Stale { .. } | ReleaseError::Superseded { .. } | ReleaseError::Refused { .. } => 409,
        ReleaseError::GatesFailed { .. } => 422,
        ReleaseError::Invalid { .. } => 400,
        ReleaseError::Store(StoreError::Bundle(_)) => 400,
        ReleaseError::Store(StoreError::Full { .. }) | ReleaseError::Sql(SqlError::Full(_)) => 507,
        ReleaseError::Corrupt { .. }
        | ReleaseError::Store(StoreError::Corrupt { .. })
        | ReleaseError::Task(_) => 500,
        ReleaseError::Store(_) | ReleaseError::Sql(_) | ReleaseError::Busy | ReleaseError::Model(_) => 503,
    };
    (status, error.code())
}

impl From<ReleaseError> for ApiError {
    fn from(error: ReleaseError) -> Self {
        let (status, code) = status_of(&error);
        let mut more = json!({});
        if !error.findings().is_empty() {
            more["findings"] = json!(error.findings());
            more["groups"] = json!(error.groups());
        }
        if let ReleaseError::Stale { expected, current, offered, .. } = &error {
            more["expected"] = json!(expected);
            more["current"] = json!(current);
            more["offered"] = json!(offered);
        }
        if status >= 500 {
            tracing::error!(%error, code, "a request could not be answered");
        }
        Self { status, code: code.to_owned(), detail: error.public(), help: error.help(), more }
    }
}

impl From<ashlar_isolate::Busy> for ApiError {
    fn from(busy: ashlar_isolate::Busy) -> Self {
        ReleaseError::from(busy).into()
    }
}

impl ApiError {
    pub fn new(status: u16, code: &str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into(), help: help.into(), more: Value::Null }
    }

    /// Its stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Input that is wrong.
    pub fn invalid(detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(400, "invalid-input", detail, help)
    }

    /// A key that opens nothing. Why stays unsaid.
    pub fn bad_key() -> Self {
        Self::unauthorized("the key is unknown, revoked or expired")
    }

    /// A key of another tenant than the host name.
    pub fn misdirected() -> Self {
        Self::new(421, "misdirected", MISDIRECTED.0, MISDIRECTED.1)
    }

    /// No key, or one that is no good.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(
            401,
            "unauthorized",
            detail,
            "send `Authorization: Bearer KEY`; create one with `ashlar key create`",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "type": format!("urn:ashlar:problem:{}", self.code),
            "title": status.canonical_reason().unwrap_or("Problem"),
            "status": self.status,
            "detail": self.detail,
        });
        if !self.help.is_empty() {
            body["help"] = json!(self.help);
        }
        if let Ok(Some(trace)) = TRACE.try_with(Clone::clone) {
            body["trace_id"] = json!(trace);
        }
        if let (Value::Object(body), Value::Object(more)) = (&mut body, self.more) {
            body.extend(more);
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == "busy" {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ashlar\""));
        }
        if matches!(self.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
