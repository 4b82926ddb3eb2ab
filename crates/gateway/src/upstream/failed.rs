//! What a provider's failure means for the call.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use serde_json::Value;

use super::client::Broken;
use crate::wire::{Fault, FaultKind};

/// The longest message of a provider that is repeated, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// The longest code of a provider that is repeated, in bytes.
const CODE_BYTES_MAX: usize = 100;

/// What may be done after a failure, as long as nothing was sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again, there or elsewhere. The provider may have said how long to wait.
    Again(Option<Duration>),
    /// Try another target: this one will answer the same.
    Elsewhere,
    /// Nothing: every target would answer the same.
    Stop,
}

/// A failed try.
#[derive(Debug, Clone)]
pub struct Failed {
    /// What the client gets when nothing else is tried.
    pub fault: Fault,
    /// What may be tried.
    pub next: Next,
}

impl Failed {
    /// A failure after which trying again is safe.
    pub fn again(kind: FaultKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { fault: Fault::new(kind, code, message), next: Next::Again(None) }
    }

    /// A failure of the connection.
    pub(super) fn connection(provider: &str, broken: Broken) -> Self {
        let (code, what) = match broken {
            Broken::Silent => return Self::late(provider),
            // A provider that was never reached did no work, also when it was waited for.
            Broken::Unreached => ("upstream_unreachable", "cannot be reached"),
            Broken::Closed => ("upstream_closed", "closed the connection early"),
        };
        Self::again(FaultKind::Upstream, code, format!("the provider `{provider}` {what}"))
    }

    /// A provider that took too long.
    pub(crate) fn late(provider: &str) -> Self {
        let message = format!(
            "the provider `{provider}` did not answer in time; try again, or raise `timeout` of the route"
        );
        Self::again(FaultKind::Timeout, "upstream_timeout", message)
    }

    /// An answer that is no success. `body` is its beginning.
    pub(super) fn status(provider: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = match &body["error"] {
            Value::Null => &body,
            error => error,
        };
        let said =
            error["message"].as_str().or(error.as_str()).or(error["detail"].as_str()).unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
        let reason = if said.is_empty() { String::new() } else { format!(": {said}") };
        let of = |kind, code, message: String, next| Self { fault: Fault::new(kind, code, message), next };
        match status {
            401 | 403 => of(
                FaultKind::Upstream,
                "upstream_unauthorized",
                // What the provider says may contain parts of the credential.
                format!(
                    "the provider `{provider}` refuses the operator's credentials (status {status}); check its key in models.toml"
                ),
                Next::Elsewhere,
            ),
            404 => of(
                FaultKind::Upstream,
                "upstream_not_found",
                format!("the provider `{provider}` does not have this model or address{reason}"),
                Next::Elsewhere,
            ),
            429 => {
                let wait = retry_after(headers);
                let mut failed = of(
                    FaultKind::Limited,
                    "upstream_rate_limited",
                    format!("the provider `{provider}` limits requests{reason}"),
                    Next::Again(wait),
                );
                failed.fault.retry_after = wait;
                failed
            }
            408 | 409 => of(
                FaultKind::Upstream,
                "upstream_error",
                format!("the provider `{provider}` answered {status}{reason}"),
                Next::Again(retry_after(headers)),
            ),
            503 | 529 => of(
                FaultKind::Overloaded,
                "upstream_overloaded",
                format!("the provider `{provider}` has too much to do{reason}"),
                Next::Again(retry_after(headers)),
            ),
            500..=599 => of(
                FaultKind::Upstream,
                "upstream_error",
                format!("the provider `{provider}` answered {status}{reason}"),
                Next::Again(retry_after(headers)),
            ),
            300..=399 => of(
                FaultKind::Upstream,
                "upstream_error",
                format!("the provider `{provider}` answered {status}; redirects are not followed"),
                Next::Elsewhere,
            ),
            _ => {
                let code = error["code"].as_str().filter(|code| code.len() <= CODE_BYTES_MAX);
                let code = code.unwrap_or("invalid_request").to_owned();
                let too_long = code == "context_length_exceeded" || said.contains("prompt is too long");
                let kind = if status == 413 { FaultKind::TooLarge } else { FaultKind::Invalid };
                let mut fault =
                    Fault::new(kind, code, format!("the provider `{provider}` refused the request{reason}"));
                fault.param = error["param"].as_str().map(|param| param.chars().take(200).collect());
                Self { fault, next: if too_long { Next::Elsewhere } else { Next::Stop } }
            }
        }
    }
}

/// How long a provider asks to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get("retry-after-ms").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let seconds = || headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse::<f64>().ok());
    millis
        .map(Duration::from_millis)
        .or_else(|| seconds().filter(|s| (0.0..=86_400.0).contains(s)).map(Duration::from_secs_f64))
}
