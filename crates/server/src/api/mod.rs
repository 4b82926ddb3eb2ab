//! The management API: one endpoint per action or read.

mod candidates;
mod changesets;
mod consumers;
mod definitions;
mod entries;
mod ops;
mod releases;
mod webhooks;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use ashlar_model::TenantId;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{
    access::{Places, around},
    app::App,
    delivery::lane::stalled,
    description,
    endpoints::{self, rows, table::Table},
    front::{ApiError, Limits},
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
        let bytes = Bytes::from_request(request, api).await.map_err(|rejection| {
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

/// What is said of a method that an address does not have.
pub async fn wrong_method() -> ApiError {
    ApiError::new(
        405,
        "method-not-allowed",
        "the endpoint does not know this method",
        "see /api/openapi.json",
    )
}

/// The operations under `/api`.
pub fn table() -> Table<Arc<Api>> {
    Table::new()
        .on(&rows::GET_DEFINITIONS, definitions::show)
        .on(&rows::PUSH_DEFINITIONS, definitions::push)
        .on(&rows::LIST_DRAFTS, entries::list)
        .on(&rows::IMPORT_DRAFTS, entries::import)
        .on(&rows::GET_DRAFT, entries::show)
        .on(&rows::PUT_DRAFT, entries::put)
        .on(&rows::DELETE_DRAFT, entries::delete)
        .on(&rows::LIST_DRAFT_VERSIONS, entries::history)
        .on(&rows::UNPUBLISH_DRAFT, entries::unpublish)
        .on(&rows::LIST_CHANGESETS, changesets::list)
        .on(&rows::CREATE_CHANGESET, changesets::create)
        .on(&rows::GET_CHANGESET, changesets::show)
        .on(&rows::ADD_TO_CHANGESET, changesets::add)
        .on(&rows::REMOVE_FROM_CHANGESET, changesets::remove)
        .on(&rows::SCHEDULE_CHANGESET, changesets::schedule)
        .on(&rows::CANCEL_SCHEDULE, changesets::cancel)
        .on(&rows::LIST_SCHEDULES, changesets::schedules)
        .on(&rows::RUN_SCHEDULES, ops::tick)
        .on(&rows::CREATE_PREVIEW, ops::create_preview)
        .on(&rows::LIST_CANDIDATES, candidates::list)
        .on(&rows::CREATE_CANDIDATE, candidates::create)
        .on(&rows::GET_CANDIDATE, candidates::show)
        .on(&rows::DISCARD_CANDIDATE, candidates::discard)
        .on(&rows::RUN_GATES, candidates::gates)
        .on(&rows::APPROVE_CANDIDATE, candidates::approve)
        .on(&rows::WAIVE_GATE, candidates::waive)
        .on(&rows::PROMOTE_CANDIDATE, candidates::promote)
        .on(&rows::LIST_RELEASES, releases::list)
        .on(&rows::IMPORT_RELEASE, releases::import)
        .on(&rows::GET_RELEASE, releases::show)
        .on(&rows::ROLL_BACK, releases::rollback)
        .on(&rows::DIFF_RELEASES, releases::diff)
        .on(&rows::VERIFY_RELEASE, releases::verify)
        .on_and(&rows::EXPORT_RELEASE, releases::export, |about, _| {
            about.bytes("The file.", "application/octet-stream");
        })
        .on(&rows::LIST_CHANNELS, releases::channels)
        .on(&rows::LIST_CONSUMERS, consumers::list)
        .on(&rows::VERIFY_CONSUMER, consumers::verify)
        .on(&rows::LIST_WEBHOOKS, webhooks::list)
        .on(&rows::CREATE_WEBHOOK, webhooks::create)
        .on(&rows::GET_WEBHOOK, webhooks::show)
        .on(&rows::UPDATE_WEBHOOK, webhooks::update)
        .on(&rows::DELETE_WEBHOOK, webhooks::remove)
        .on(&rows::ROTATE_SECRET, webhooks::rotate)
        .on(&rows::TEST_WEBHOOK, webhooks::test)
        .on(&rows::LIST_DELIVERIES, webhooks::deliveries)
        .on(&rows::REPLAY_DELIVERIES, webhooks::replay)
        .on(&rows::GET_CACHE, ops::cache)
        .on(&rows::LIST_EVENTS, ops::events)
        .on(&rows::LIST_AUDIT, ops::audit)
        .on(&rows::VERIFY_AUDIT, ops::verify_audit)
        .on(&rows::COLLECT_GARBAGE, ops::gc)
        .on(&rows::LIST_MIGRATIONS, ops::migrations)
        .on(&rows::RUN_MIGRATION, ops::migrate)
        .on(&rows::REVERT_MIGRATION, ops::revert)
        .on(&rows::LIST_KEYS, ops::keys)
        .on(&rows::CREATE_KEY, ops::create_key)
        .on(&rows::REVOKE_KEY, ops::revoke_key)
        .on(&rows::LIST_TENANTS, ops::tenants)
        .on(&rows::CREATE_TENANT, ops::create_tenant)
        .on_and(&rows::GET_OPENAPI, document, |about, _| {
            about.reply(
                200,
                "The document.",
                "application/json",
                json!({"type": "object", "additionalProperties": true}),
            );
        })
        .on_and(&rows::GET_EVENT_SCHEMA, webhooks::schema, |about, _| {
            about.reply(
                200,
                "The schema.",
                "application/schema+json",
                json!({"type": "object", "additionalProperties": true}),
            );
        })
}

/// The description of everything, made when it is first asked for.
async fn document() -> Response {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| endpoints::document(&description::rows()).to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

/// The routes under `/api`.
pub fn router(api: Arc<Api>, body_bytes_max: usize) -> Router {
    table()
        .router
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
