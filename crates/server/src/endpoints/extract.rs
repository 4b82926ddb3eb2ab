//! What handlers take of a request, with problems that say what is wrong with it.

use ashlar_isolate::Workers;
use ashlar_model::TenantId;
use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;

use crate::{delivery::lane::stalled, front::ApiError};

/// A JSON body, with problems that say line and column.
pub struct Body<T>(pub T);

/// Bodies from this length on are read away from threads that serve, in bytes.
const QUICK_BODY_BYTES: usize = 64 << 10;
/// The most values of a body: each takes more memory than its text.
const VALUES_MAX: usize = 2_000_000;

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for Body<T>
where
    Workers: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let tenant = request.extensions().get::<TenantId>().cloned();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
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
                Workers::from_ref(state).run(&tenant, move || read(&bytes)).await?.map(Self)
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

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|q| Self(q.0)).map_err(|e| ApiError::invalid(e.body_text(), "see /api/openapi.json"))
    }
}

/// Path parameters, with problems.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|p| Self(p.0)).map_err(|e| ApiError::invalid(e.body_text(), "see /api/openapi.json"))
    }
}
