//! The key that a request sends.

use axum::http::{HeaderMap, header};

/// The key of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    secret(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The key of a request in the formats of model providers, which have headers of their own for it.
pub fn any_key(headers: &HeaderMap) -> Option<&str> {
    let named = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    bearer(headers).or_else(|| named("x-api-key")).or_else(|| named("api-key"))
}

/// The secret of an `Authorization` with the scheme `Bearer`, in upper or lower case.
pub fn secret(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}
