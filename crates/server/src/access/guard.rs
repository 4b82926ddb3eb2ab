//! How often an address may ask without a key that is known.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::Keys;
use crate::{
    delivery::lane::{Figures, count},
    front::{Address, ApiError, Limits, any_key, bearer, client_address},
};

/// The limits of addresses.
pub struct Guard {
    pub keys: Arc<Keys>,
    /// Where refused requests are counted.
    pub figures: Arc<Figures>,
    /// Requests without a key to doors that cost something.
    pub keyless: Limits<Address>,
    /// Requests with a key that is not known.
    pub failed: Limits<Address>,
    /// Public reads; `None` for no limit.
    pub reads: Option<Arc<Limits<Address>>>,
}

/// What limits of addresses apply to a request.
enum Door<'r> {
    /// A key, also that of a preview link.
    Key(&'r str),
    /// The management API, and what asks the database or stays open.
    Costly,
    /// What everybody reads.
    Public,
}

fn door(request: &Request) -> Door<'_> {
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix("/preview/") {
        return Door::Key(rest.split('/').next().unwrap_or_default());
    }
    let key = if path.starts_with("/llm/") { any_key(request.headers()) } else { bearer(request.headers()) };
    if let Some(key) = key {
        return Door::Key(key);
    }
    match path.starts_with("/api/")
        || path.starts_with("/llm/")
        || matches!(path, "/v1/changes" | "/metrics" | "/readyz")
    {
        true => Door::Costly,
        false => Door::Public,
    }
}

fn too_many(guard: &Guard, address: Address, per_second: f64, what: &str, setting: &str) -> Response {
    let detail = format!("more than {per_second} {what} per second from {address}");
    count(&guard.figures.limited, 1);
    let help = format!("wait a moment, send a known key, or raise {setting}");
    ApiError::new(429, "too-many-requests", detail, help).into_response()
}

/// Around everything that the plain lane does not answer itself.
pub async fn guard(guard: &Guard, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let address = client_address(request.extensions());
    match door(&request) {
        // The common case: no other tenant of the same address can use it up.
        Door::Key(key) if guard.keys.by_ring(key).is_some() => next(request).await,
        Door::Key(_) => {
            let spent = || {
                let setting = "server.failed_keys_per_second_max";
                too_many(guard, address, guard.failed.per_second(), "requests with unknown keys", setting)
            };
            if guard.failed.is_spent(&address) {
                return spent();
            }
            let preview = request.uri().path().starts_with("/preview/");
            let response = next(request).await;
            let refused = response.status() == StatusCode::UNAUTHORIZED
                || (preview && response.status() == StatusCode::NOT_FOUND);
            if refused && !guard.failed.take(address) { spent() } else { response }
        }
        Door::Costly if !guard.keyless.take(address) => {
            let setting = "server.requests_per_second_max";
            too_many(guard, address, guard.keyless.per_second(), "requests without a key", setting)
        }
        Door::Public if guard.reads.as_ref().is_some_and(|reads| !reads.take(address)) => {
            let per_second = guard.reads.as_ref().map_or(0.0, |reads| reads.per_second());
            too_many(guard, address, per_second, "reads without a key", "server.reads_per_second_max")
        }
        Door::Costly | Door::Public => next(request).await,
    }
}
