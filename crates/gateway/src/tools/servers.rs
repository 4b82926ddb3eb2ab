//! What the gateway needs of whoever speaks to tool servers.

use std::{collections::BTreeMap, fmt, time::Duration};

use ashlar_model::TenantId;
use async_trait::async_trait;
use serde_json::Value;

use super::{approval::Pending, request::Request};
use crate::wire::Fault;

/// A call of a tool, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Order<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// What the operator calls the server.
    pub server: &'a str,
    /// What is asked of it.
    pub asks: Asks<'a>,
    /// Headers of the project.
    pub headers: &'a BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Duration,
    /// The most bytes of the result; the rest is cut.
    pub bytes_max: usize,
    /// The trace of the call.
    pub trace: &'a str,
}

/// What is asked of a tool server.
#[derive(Debug, Clone, PartialEq)]
pub enum Asks<'a> {
    /// A request over HTTP.
    Http(Request),
    /// A tool of an MCP server.
    Mcp {
        /// What the server calls it.
        tool: &'a str,
        /// The arguments: an object.
        arguments: &'a Value,
    },
}

/// Why a tool has no result. The model is shown it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolFailure {
    /// What is wrong, without addresses.
    pub message: String,
}

impl ToolFailure {
    /// A failure.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What a person decided about a call of a tool with effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Open,
    /// It may be run. It counts as run from now on.
    Approved,
    /// It may not be run.
    Refused,
    /// It was run already.
    Used,
}

/// Tool servers of the operator, and what people decided.
#[async_trait]
pub trait Servers: fmt::Debug + Send + Sync {
    /// Runs a tool.
    ///
    /// # Errors
    /// Why there is no result.
    async fn run(&self, order: Order<'_>) -> Result<String, ToolFailure>;

    /// What requests for approval of a tenant are signed with.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn secret(&self, tenant: &TenantId) -> Result<[u8; 32], Fault>;

    /// What was decided about a request. `uses`: when it was approved, it counts as used from now on, on all nodes, and the next
    /// to ask hears that it was used.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn redeem(&self, tenant: &TenantId, pending: &Pending, uses: bool) -> Result<Decision, Fault>;
}
