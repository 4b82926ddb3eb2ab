//! The management API: one endpoint per action or read.

mod candidates;
mod changesets;
mod consumers;
mod definitions;
mod entries;
mod ops;
mod releases;
mod webhooks;

use std::{sync::Arc, time::Duration};

use ashlar_model::TenantId;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request},
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

use crate::{
    address::Limits, app::App, auth::around, lane::stalled, openapi, places::Places, problem::ApiError,
};

/// What the endpoints share.
pub struct Api {
    pub app: Arc<App>,
    pub limits: Limits<String>,
    pub request_max: Duration,
    /// The most bytes of an uploaded release.
    pub upload_bytes_max: u64,
    /// The most bytes of a request's body.
    pub body_bytes_max: usize,
    /// Requests that are worked on at a time.
    pub places: Arc<Semaphore>,
    /// What each tenant uses of them.
    pub shares: Places,
}

/// The outcome of an endpoint.
pub type Answer<T> = Result<Json<T>, ApiError>;

/// A JSON body, with problems that say line and column.
pub struct Body<T>(pub T);

/// Bodies from this length on are read away from threads that serve, in bytes.
const QUICK_BODY_BYTES: usize = 64 << 10;
/// The most values of a body: each takes more memory than its text.
const VALUES_MAX: usize = 2_000_000;

impl<T: DeserializeOwned + Send + 'static> FromRequest<Arc<Api>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let tenant = request.extensions().get::<TenantId>().cloned();
        let bytes = axum::body::Bytes::from_request(request, api).await.map_err(|rejection| {
            if stalled(&rejection) {
                let detail = "the body of the request stalled";
                return ApiError::new(408, "timeout", detail, "send it again, without pauses");
            }
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
                    413,
                    "too-large",
                    "the body is too large",
                    "send less at a time, or raise server.body_bytes_max",
                ),
                _ => ApiError::invalid("the body could not be read", "send it again"),
            }
        })?;
        match tenant {
            Some(tenant) if bytes.len() > QUICK_BODY_BYTES => {
                api.app.workers.run(&tenant, move || read(&bytes)).await?.map(Self)
            }
            _ => read(&bytes).map(Self),
        }
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    // Every value but the first has a comma or a bracket before it.
    if text.len() > VALUES_MAX && text.iter().filter(|b| matches!(b, b',' | b'[' | b'{')).count() > VALUES_MAX
    {
        let detail = format!("the body has more than {VALUES_MAX} values");
        return Err(ApiError::new(413, "too-large", detail, "send less at a time"));
    }
    serde_json::from_slice(text).map_err(|e| {
        ApiError::invalid(
            format!("the body, line {} column {}: {e}", e.line(), e.column()),
            "fix the JSON at this place",
        )
    })
}

/// Query parameters, with problems.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> axum::extract::FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|q| Self(q.0)).map_err(|e| ApiError::invalid(e.body_text(), "see /api/openapi.json"))
    }
}

/// Path parameters, with problems.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> axum::extract::FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|p| Self(p.0)).map_err(|e| ApiError::invalid(e.body_text(), "see /api/openapi.json"))
    }
}

/// Any value as the answer.
pub fn answer<T: Serialize>(value: T) -> Answer<T> {
    Ok(Json(value))
}

async fn nothing_here() -> ApiError {
    ApiError::new(404, "not-found", "there is no such endpoint", "see /api/openapi.json")
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        405,
        "method-not-allowed",
        "the endpoint does not know this method",
        "see /api/openapi.json",
    )
}

/// The routes under `/api`.
pub fn router(api: Arc<Api>, body_bytes_max: usize) -> Router {
    let v1 = Router::new()
        .route("/definitions", get(definitions::show).post(definitions::push))
        .route("/entries", get(entries::list).post(entries::import))
        .route("/entries/{type}/{id}", get(entries::show).put(entries::put).delete(entries::delete))
        .route("/entries/{type}/{id}/history", get(entries::history))
        .route("/entries/{type}/{id}/unpublish", post(entries::unpublish))
        .route("/changesets", get(changesets::list).post(changesets::create))
        .route("/changesets/{name}", get(changesets::show))
        .route("/changesets/{name}/drafts", post(changesets::add).delete(changesets::remove))
        .route("/changesets/{name}/schedule", post(changesets::schedule).delete(changesets::cancel))
        .route("/schedules", get(changesets::schedules))
        .route("/schedules/run", post(ops::tick))
        .route("/previews", post(ops::create_preview))
        .route("/candidates", get(candidates::list).post(candidates::create))
        .route("/candidates/{candidate}", get(candidates::show).delete(candidates::discard))
        .route("/candidates/{candidate}/gates", post(candidates::gates))
        .route("/candidates/{candidate}/approve", post(candidates::approve))
        .route("/candidates/{candidate}/waive", post(candidates::waive))
        .route("/candidates/{candidate}/promote", post(candidates::promote))
        .route("/releases", get(releases::list))
        .route("/releases/import", post(releases::import).layer(DefaultBodyLimit::disable()))
        .route("/releases/{release}", get(releases::show))
        .route("/releases/{release}/rollback", post(releases::rollback))
        .route("/releases/{release}/diff/{other}", get(releases::diff))
        .route("/releases/{release}/verify", post(releases::verify))
        .route("/releases/{release}/export", get(releases::export))
        .route("/channels", get(releases::channels))
        .route("/consumers", get(consumers::list))
        .route("/consumers/verify", post(consumers::verify))
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/{id}", get(webhooks::show).patch(webhooks::update).delete(webhooks::remove))
        .route("/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/webhooks/{id}/test", post(webhooks::test))
        .route("/webhooks/{id}/deliveries", get(webhooks::deliveries))
        .route("/webhooks/{id}/replay", post(webhooks::replay))
        .route("/cache", get(ops::cache))
        .route("/events", get(ops::events))
        .route("/audit", get(ops::audit))
        .route("/audit/verify", get(ops::verify_audit))
        .route("/keys", get(ops::keys).post(ops::create_key))
        .route("/keys/{id}", delete(ops::revoke_key))
        .route("/tenants", get(ops::tenants).post(ops::create_tenant))
        .route("/migrations", get(ops::migrations).post(ops::migrate))
        .route("/migrations/{number}", delete(ops::revert))
        .route("/gc", post(ops::gc));
    Router::new()
        .nest("/api/v1", v1)
        .route("/api/event.v1.json", get(webhooks::schema))
        .route("/api/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/api/{*rest}", axum::routing::any(nothing_here))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| -> Response {
                ApiError::new(
                    500,
                    "internal",
                    "the request hit a fault of the server",
                    "see the server's log",
                )
                .into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(api.clone(), around))
        .with_state(api)
}
