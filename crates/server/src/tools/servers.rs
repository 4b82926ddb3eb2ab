//! The tool servers of a node, and the errands that the gateway sends there.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use ashlar_gateway::{
    tools::{Asks, Decision, Order, Pending, Servers, ToolFailure},
    upstream::Key,
    wire::{Fault, FaultKind},
};
use ashlar_model::TenantId;
use ashlar_release::{Engine, ReleaseError, ToolDecision, ToolRequest};
use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::{http, mcp};
use crate::app::policies::Policies;

/// A tool server.
pub(super) struct ToolServer {
    pub(super) name: String,
    /// The address, without a slash at its end.
    pub(super) url: String,
    tenants: Vec<TenantId>,
    key: Key,
    pub(super) client: reqwest::Client,
    /// Sessions of MCP, one for each tenant.
    pub(super) sessions: tokio::sync::Mutex<HashMap<TenantId, mcp::Session>>,
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

/// The tool servers that `models.toml` names.
#[derive(Clone, Default)]
pub struct ToolServers(Arc<BTreeMap<String, Arc<ToolServer>>>);

impl fmt::Debug for ToolServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl ToolServers {
    /// Adds a server.
    pub(crate) fn add(
        &mut self,
        name: &str,
        (url, tenants): (String, Vec<TenantId>),
        key: Key,
        client: reqwest::Client,
    ) {
        let server = ToolServer {
            name: name.to_owned(),
            url,
            tenants,
            key,
            client,
            sessions: tokio::sync::Mutex::default(),
        };
        Arc::make_mut(&mut self.0).insert(name.to_owned(), Arc::new(server));
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads credentials again that have changed. Blocks.
    pub fn refresh(&self) {
        self.0.values().for_each(|server| server.key.refresh());
    }
}

/// Runs tools for the gateway.
pub struct Errands {
    servers: ToolServers,
    engine: Option<Engine>,
    policies: Arc<Policies>,
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Errands {
    /// Errands to these servers.
    pub fn new(servers: ToolServers, engine: Option<Engine>, policies: Arc<Policies>) -> Self {
        Self { servers, engine, policies }
    }
}

fn unavailable(error: &ReleaseError) -> Fault {
    tracing::error!(%error, "approvals of tools cannot be read");
    Fault::new(FaultKind::Overloaded, "unavailable", "approvals cannot be read now; try again in a moment")
}

#[async_trait]
impl Servers for Errands {
    async fn run(&self, order: Order<'_>) -> Result<String, ToolFailure> {
        let server = self.servers.0.get(order.server).filter(|server| server.tenants.contains(order.tenant));
        let Some(server) = server else {
            tracing::warn!(server = order.server, tenant = %order.tenant, "a tool names a server that the tenant may not use");
            return Err(ToolFailure::new(
                "the server of the tool is not available; the operator names it in models.toml",
            ));
        };
        match &order.asks {
            Asks::Http(request) => http::run(server, &order, request).await,
            Asks::Mcp { tool, arguments } => mcp::run(server, &order, tool, arguments).await,
        }
    }

    async fn secret(&self, tenant: &TenantId) -> Result<[u8; 32], Fault> {
        let known = self.policies.of(tenant).await;
        known.map(|known| known.secret).map_err(|error| unavailable(&error))
    }

    async fn redeem(&self, tenant: &TenantId, pending: &Pending, uses: bool) -> Result<Decision, Fault> {
        let Some(engine) = &self.engine else {
            let message = "this node has no database, so it cannot know what was approved; ask another node";
            return Err(Fault::new(FaultKind::Overloaded, "unavailable", message));
        };
        let request = ToolRequest { id: pending.id.clone(), expires: pending.expires };
        let decided =
            engine.tool_decision(tenant, &request, uses).await.map_err(|error| unavailable(&error))?;
        Ok(match decided {
            ToolDecision::Open => Decision::Open,
            ToolDecision::Approved => Decision::Approved,
            ToolDecision::Refused => Decision::Refused,
            ToolDecision::Used => Decision::Used,
        })
    }
}
