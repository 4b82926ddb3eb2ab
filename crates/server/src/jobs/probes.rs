//! Providers of models, asked whether they answer before callers find out.

use std::{sync::Arc, time::Duration};

use ashlar_gateway::{call::Desk, upstream::Provider};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

async fn probe(desk: &Desk, provider: &Provider, every: Duration) {
    loop {
        let wait = desk.probe(provider, every).await;
        tokio::time::sleep(wait).await;
    }
}

/// Probes the providers whose `models.toml` says so, each on its own, until it is stopped.
pub async fn run(desk: Arc<Desk>, stop: CancellationToken) {
    let mut probing = Vec::new();
    for provider in desk.providers.0.values() {
        if let Some(every) = provider.probe_every {
            probing.push(probe(&desk, provider, every));
        }
    }
    tokio::select! {
        () = stop.cancelled() => {}
        _ = join_all(probing) => {}
    }
}
