//! The key that a request sends.

use axum::http::{HeaderMap, header};

/// The key of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    secret(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// The secret of an `Authorization` with the scheme `Bearer`, in upper or lower case.
pub fn secret(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}
