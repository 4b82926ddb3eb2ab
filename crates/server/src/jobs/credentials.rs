//! Credentials of providers, read again when their files change.

use std::time::Duration;

use ashlar_gateway::upstream::Providers;
use tokio_util::sync::CancellationToken;

/// How often files of credentials are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at files of credentials until it is stopped.
pub async fn run(providers: Providers, stop: CancellationToken) {
    if providers.0.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let providers = providers.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || providers.refresh()).await {
            tracing::warn!(%error, "credentials of providers could not be read again");
        }
    }
}
