//! Credentials of providers and tool servers, read again when their files change.

use std::time::Duration;

use ashlar_gateway::upstream::Providers;
use tokio_util::sync::CancellationToken;

use crate::tools::ToolServers;

/// How often files of credentials are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at files of credentials until it is stopped.
pub async fn run((providers, servers): (Providers, ToolServers), stop: CancellationToken) {
    if providers.0.is_empty() && servers.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let (providers, servers) = (providers.clone(), servers.clone());
        let read = move || {
            providers.refresh();
            servers.refresh();
        };
        if let Err(error) = tokio::task::spawn_blocking(read).await {
            tracing::warn!(%error, "credentials could not be read again");
        }
    }
}
