//! The tool servers of a node.

use std::{collections::BTreeMap, fmt, sync::Arc};

use ashlar_gateway::upstream::Key;
use ashlar_model::TenantId;

use super::server::ToolServer;

/// The tool servers that `models.toml` names.
#[derive(Clone, Default)]
pub struct ToolServers(pub(super) Arc<BTreeMap<String, Arc<ToolServer>>>);

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

    /// Whether no servers are configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads credentials again that have changed. Blocks.
    pub fn refresh(&self) {
        self.0.values().for_each(|server| server.key.refresh());
    }
}
