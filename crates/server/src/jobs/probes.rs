//! Providers of models, asked whether they answer before callers find out.

use std::sync::Arc;

use ashlar_gateway::call::Desk;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

/// Probes the providers whose `models.toml` says so, each on its own, until it is stopped.
pub async fn run(desk: Arc<Desk>, stop: CancellationToken) {
    let probed = desk.providers.0.values().filter_map(|provider| Some((provider, provider.probe_every?)));
    let each = probed.map(async |(provider, every)| {
        loop {
            let wait = desk.probe(provider, every).await;
            tokio::time::sleep(wait).await;
        }
    });
    tokio::select! {
        () = stop.cancelled() => {}
        _ = join_all(each) => {}
    }
}
