//! Following channels: by the moves of this process, and by their pointer objects for those of others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError},
    time::Duration,
};

use ashlar_model::{ChannelConfig, ChannelName, TenantId};
use ashlar_release::{ChannelState, KeyRing};
use ashlar_store::{PointerRead, PointerVersion, StoreError};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often files are looked at: a look is one system call.
const LOOK: Duration = Duration::from_millis(10);
/// How often tenants, hosts and keys are looked for.
const SCAN: Duration = Duration::from_secs(1);

/// Marks pointers whose release could not be opened.
const FAILED: &str = "failed:";

type Versions = HashMap<(TenantId, String), PointerVersion>;

/// Reads every pointer once, so that a start serves at once what there is.
pub async fn start(app: &Arc<App>) -> Versions {
    let mut versions = Versions::new();
    scan(app, &mut versions).await;
    look(app, &mut versions, true).await;
    versions
}

/// Follows until `stop`. `remote_interval`: how often a remote is asked.
pub async fn follow(
    app: Arc<App>,
    mut versions: Versions,
    remote_interval: Duration,
    stop: CancellationToken,
) {
    let remote = app.objects.has_remote();
    let mut looks = tokio::time::interval(if remote { remote_interval } else { LOOK });
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut scans = tokio::time::interval(SCAN);
    scans.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut moves = app.engine.as_ref().map(|e| e.moves());
    loop {
        let moved = async {
            match &mut moves {
                Some(moves) => moves.recv().await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => look(&app, &mut versions, remote).await,
            _ = scans.tick() => scan(&app, &mut versions).await,
            moved = moved => if let Some(moved) = moved {
                apply(&app, moved.tenant, moved.state).await;
            },
        }
    }
}

/// Whether what is served is now at least this new.
async fn apply(app: &Arc<App>, tenant: TenantId, state: ChannelState) -> bool {
    let app = app.clone();
    // Opening reads files; a panic there must not end the following.
    match tokio::task::spawn_blocking(move || app.apply(&tenant, state)).await {
        Ok(applied) => applied,
        Err(error) => {
            tracing::error!(%error, "opening a release ended early");
            false
        }
    }
}

/// The channels of a tenant that may exist.
fn channels(app: &App, tenant: &TenantId) -> BTreeSet<ChannelName> {
    let mut names: BTreeSet<ChannelName> = ChannelConfig::default().names.into_iter().collect();
    if let Some(state) = app.tenant(tenant) {
        for live in state.channels.load().values() {
            names.extend(live.view.definitions().config.channels.names.iter().cloned());
        }
    }
    names
}

async fn look(app: &Arc<App>, versions: &mut Versions, read_all: bool) {
    let tenants: Vec<TenantId> = {
        let known = app.tenants.read().unwrap_or_else(PoisonError::into_inner);
        known.keys().cloned().collect()
    };
    for tenant in tenants {
        let objects = app.objects.tenant(&tenant);
        for channel in channels(app, &tenant) {
            let name = ChannelState::pointer(&channel);
            let id = (tenant.clone(), name.clone());
            if !read_all && objects.pointer_stat(&name).as_ref() == versions.get(&id) {
                continue;
            }
            let read = objects.get_pointer(&name, versions.get(&id)).await;
            let (body, version) = match read {
                Ok(PointerRead::Changed { body, version }) => (body, version),
                Ok(PointerRead::Unchanged | PointerRead::Absent) => continue,
                Err(error) => {
                    tracing::warn!(%tenant, %channel, %error, "a channel cannot be followed; what is served stays");
                    continue;
                }
            };
            let state: ChannelState = match serde_json::from_slice(&body) {
                Ok(state) => state,
                Err(error) => {
                    tracing::error!(%tenant, %channel, %error, "a channel pointer cannot be read; what is served stays");
                    versions.insert(id, version);
                    continue;
                }
            };
            if app.objects.has_remote()
                && let Err(error) = objects.refresh().await
            {
                tracing::warn!(%tenant, %channel, %error, "the packs of a release cannot be fetched; what is served stays");
                continue;
            }
            versions.insert(id, version.clone());
            if !apply(app, tenant.clone(), state).await {
                // Tried again at the next scan, not at every look.
                versions.insert((tenant.clone(), format!("{FAILED}{name}")), version);
            }
        }
    }
}

async fn scan(app: &Arc<App>, versions: &mut Versions) {
    let failed: Vec<_> = versions.keys().filter(|(_, name)| name.starts_with(FAILED)).cloned().collect();
    for (tenant, name) in failed {
        versions.remove(&(tenant.clone(), name.trim_start_matches(FAILED).to_owned()));
        versions.remove(&(tenant, name));
    }
    let mut hosts = HashMap::new();
    match &app.engine {
        Some(engine) => match engine.db().tenants().await {
            Ok(rows) => {
                for row in rows {
                    app.tenant_or_new(&row.tenant);
                    hosts.extend(row.hosts.into_iter().map(|h| (h, row.tenant.clone())));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "tenants cannot be listed; those that are known stay");
                return;
            }
        },
        None => {
            let tenants = match app.objects.tenants().await {
                Ok(tenants) => tenants,
                Err(error) => {
                    tracing::warn!(%error, "tenants cannot be listed; those that are known stay");
                    return;
                }
            };
            for tenant in tenants {
                let state = app.tenant_or_new(&tenant);
                let id = (tenant.clone(), KeyRing::POINTER.to_owned());
                let read = app.objects.tenant(&tenant).get_pointer(KeyRing::POINTER, versions.get(&id)).await;
                match read {
                    Ok(PointerRead::Changed { body, version }) => {
                        if let Ok(ring) = serde_json::from_slice::<KeyRing>(&body) {
                            state.ring.store(Arc::new(ring));
                        }
                        versions.insert(id, version);
                    }
                    Ok(_) | Err(StoreError::Missing { .. }) => {}
                    Err(error) => {
                        tracing::warn!(%tenant, %error, "keys cannot be read; those that are known stay")
                    }
                }
                hosts.extend(state.ring.load().hosts.iter().map(|h| (h.clone(), tenant.clone())));
            }
        }
    }
    if **app.hosts.load() != hosts {
        app.hosts.store(Arc::new(hosts));
    }
}
