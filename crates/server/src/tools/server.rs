//! One tool server of the operator.

use std::collections::HashMap;

use ashlar_gateway::{
    tools::{Order, ToolFailure},
    upstream::Key,
};
use ashlar_model::TenantId;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// A session with an MCP server.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: Option<HeaderValue>,
    pub(super) version: &'static str,
}

/// A tool server.
pub(super) struct ToolServer {
    pub(super) name: String,
    /// The address, without a slash at its end.
    pub(super) url: String,
    pub(super) tenants: Vec<TenantId>,
    pub(super) key: Key,
    pub(super) client: reqwest::Client,
    /// Sessions of MCP, one for each tenant.
    pub(super) sessions: tokio::sync::Mutex<HashMap<TenantId, Session>>,
}

impl ToolServer {
    /// The headers that every request has.
    pub(super) fn headers(&self, order: &Order<'_>) -> Result<HeaderMap, ToolFailure> {
        let mut headers = HeaderMap::new();
        let parsed = order.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        });
        headers.extend(parsed);
        if let Ok(trace) = order.trace.parse::<HeaderValue>() {
            headers.insert(HeaderName::from_static("ashlar-trace"), trace);
        }
        let key = self.key.bearer().map_err(|why| {
            tracing::error!(server = self.name, %why, "a tool server has no key");
            ToolFailure::new("the tool has no credentials at the moment")
        })?;
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, key);
        }
        Ok(headers)
    }

    /// A failure of the connection, without the address.
    pub(super) fn failed(&self, error: &reqwest::Error) -> ToolFailure {
        tracing::debug!(server = self.name, error = crate::outward::chain(error), "a tool server failed");
        let what = match error {
            error if error.is_timeout() => "did not answer in time",
            error if error.is_connect() => "cannot be reached",
            _ => "closed the connection early",
        };
        ToolFailure::new(format!("the server of the tool {what}"))
    }
}
