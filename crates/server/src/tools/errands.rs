//! The errands that the gateway sends to tool servers, and what people decided about them.

use std::{fmt, sync::Arc};

use ashlar_gateway::{
    tools::{Asks, Decision, Order, Pending, Servers, ToolFailure},
    wire::{Fault, FaultKind},
};
use ashlar_model::TenantId;
use ashlar_release::{Engine, ReleaseError, ToolDecision, ToolRequest};
use async_trait::async_trait;

use super::{http, mcp, servers::ToolServers};
use crate::app::policies::Policies;

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
