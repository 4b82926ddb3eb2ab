//! Who calls, and as which feature.

use std::{sync::Arc, time::Duration};

use ashlar_gateway::{
    call::Caller,
    config::DEFAULT_FEATURE,
    wire::{Fault, FaultKind, Surface},
};
use ashlar_model::{Right, TraceId};
use ashlar_release::Access;
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, header, request::Parts},
};

use super::state::Llm;
use crate::{
    access::{KeyFailure, new_span, parent_of, trace_of},
    front::{MISDIRECTED, any_key, host_of},
};

/// The largest body of a call, in bytes. Pictures are sent in it.
pub const CALL_BYTES_MAX: usize = 20 << 20;
/// The longest name of a feature, in bytes.
const FEATURE_BYTES_MAX: usize = 100;

/// The format that a client without a known path speaks.
pub fn surface_of(headers: &HeaderMap) -> Surface {
    if headers.contains_key("anthropic-version") { Surface::Anthropic } else { Surface::OpenAi }
}

/// A caller who was let in.
pub struct Let {
    pub access: Arc<Access>,
    pub caller: Caller,
}

fn unauthorized(message: &str) -> Fault {
    let message = format!("{message}; send `Authorization: Bearer KEY` with a key that has the scope `llm`");
    Fault::new(FaultKind::Authentication, "invalid_api_key", message)
}

/// The feature that a request names, or its key.
fn feature(headers: &HeaderMap, access: &Access) -> Result<String, Fault> {
    let named = match headers.get("ashlar-feature").map(|value| value.to_str()) {
        Some(Ok(name)) if (1..=FEATURE_BYTES_MAX).contains(&name.trim().len()) => {
            Some(name.trim().to_owned())
        }
        Some(_) => {
            let message = format!("the header Ashlar-Feature is no name of 1 to {FEATURE_BYTES_MAX} bytes");
            return Err(Fault::new(FaultKind::Invalid, "invalid_request", message));
        }
        None => None,
    };
    let of_key = || access.actor.features().next().filter(|_| !access.actor.may(&Right::Llm(None)));
    let name = named.unwrap_or_else(|| of_key().unwrap_or(DEFAULT_FEATURE).to_owned());
    if access.actor.may(&Right::Llm(Some(name.clone()))) {
        return Ok(name);
    }
    let shown: String = name.chars().filter(|c| !c.is_control()).collect();
    let message = format!("the key lacks the scope `llm:{shown}`; use a key with that scope or with `llm`");
    Err(Fault::new(FaultKind::Permission, "feature_not_allowed", message))
}

impl Llm {
    /// Lets a caller in.
    pub async fn admit(&self, headers: &HeaderMap, trace: Option<TraceId>) -> Result<Let, Fault> {
        let key = any_key(headers).ok_or_else(|| unauthorized("calls of models need a key"))?;
        let access = self.keys.reading(key).await.map_err(|failure| match failure {
            KeyFailure::TooMany => {
                let fault = Fault::new(
                    FaultKind::Limited,
                    "rate_limited",
                    "too many requests with unknown keys; check the key",
                );
                fault.after(Duration::from_secs(1))
            }
            KeyFailure::Engine(error) => {
                tracing::error!(%error, "a key could not be checked");
                Fault::new(
                    FaultKind::Overloaded,
                    "unavailable",
                    "the key cannot be checked now; try again in a moment",
                )
            }
        })?;
        let access = access.ok_or_else(|| unauthorized("the key is unknown, revoked or expired"))?;
        if !self.hosts.serves(host_of(headers), &access.tenant) {
            let message = format!("{}; {}", MISDIRECTED.0, MISDIRECTED.1);
            return Err(Fault::new(FaultKind::Permission, "misdirected", message));
        }
        let caller = Caller {
            tenant: access.tenant.clone(),
            key: access.key_id.clone(),
            feature: feature(headers, &access)?,
            user: String::new(),
            trace: trace.map(|trace| trace.to_string()).unwrap_or_default(),
            span: new_span(),
            parent: parent_of(headers).unwrap_or_default(),
        };
        Ok(Let { access, caller })
    }

    /// Reads the body of a call.
    pub async fn body(&self, access: &Access, parts: &Parts, body: Body) -> Result<Bytes, Fault> {
        let too_large = || {
            let message = format!("the body has more than {CALL_BYTES_MAX} bytes; send less at a time");
            Fault::new(FaultKind::TooLarge, "body_too_large", message)
        };
        let length: Option<usize> =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > CALL_BYTES_MAX) {
            return Err(too_large());
        }
        let place = self.places.take(&access.tenant, length.unwrap_or(CALL_BYTES_MAX));
        let _place = place.ok_or_else(|| {
            let fault = Fault::new(
                FaultKind::Overloaded,
                "busy",
                "this tenant sends too much at a time; try again in a moment",
            );
            fault.after(Duration::from_secs(1))
        })?;
        to_bytes(body, CALL_BYTES_MAX).await.map_err(|error| {
            match std::error::Error::source(&error)
                .is_some_and(|cause| cause.to_string().contains("length limit"))
            {
                true => too_large(),
                false => Fault::new(
                    FaultKind::Invalid,
                    "body_incomplete",
                    "the body ended early or came too slowly; send it again",
                ),
            }
        })
    }
}

/// The trace of a request.
pub fn trace(headers: &HeaderMap) -> Option<TraceId> {
    trace_of(headers)
}
