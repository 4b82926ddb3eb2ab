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

use crate::{app::App, front::normal};

/// How often files are looked at: a look is one system call.
const LOOK: Duration = Duration::from_millis(10);
/// How often tenants, hosts and keys are looked for.
const SCAN: Duration = Duration::from_secs(1);
/// After so many scans, pointers in an object store are read whatever their version. A store that gives an old body the version of
/// the next one would otherwise hide a move until the one after it.
const WHOLE: u32 = 20;

/// How long the database may take to list tenants; following must go on without it.
const ASK_MAX: Duration = Duration::from_secs(2);

/// Marks pointers whose release could not be opened.
const FAILED: &str = "failed:";

type Versions = HashMap<(TenantId, String), PointerVersion>;

/// Reads every pointer once, so that a start serves what exists at once.
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
    let mut scanned = 0_u32;
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
            _ = scans.tick() => {
                scanned = scanned.wrapping_add(1);
                if remote && scanned.is_multiple_of(WHOLE) {
                    versions.clear();
                }
                scan(&app, &mut versions).await;
            }
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
        names.extend(state.pointed.load().iter().cloned());
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
                    start_from_last(app, &tenant, &channel).await;
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
            let served =
                app.tenant(&tenant).and_then(|t| Some(t.channels.load().get(&channel)?.state.sequence));
            if served.is_some_and(|served| served > state.sequence) {
                tracing::warn!(%tenant, %channel, pointer = state.sequence, served,
                    "a channel pointer is older than what is served and is not followed; after a restore of older objects, restart this node");
            }
            versions.insert(id, version.clone());
            if !apply(app, tenant.clone(), state).await {
                // Tried again at the next scan, not at every look.
                versions.insert((tenant.clone(), format!("{FAILED}{name}")), version);
            }
        }
    }
}

/// After a start without the object store: serves what was served when it was last there.
async fn start_from_last(app: &Arc<App>, tenant: &TenantId, channel: &ChannelName) {
    if app.tenant(tenant).is_some_and(|t| t.channels.load().contains_key(channel)) {
        return;
    }
    let last = app.objects.tenant(tenant).last_pointer(&ChannelState::pointer(channel));
    if let Some(state) = last.and_then(|body| serde_json::from_slice::<ChannelState>(&body).ok()) {
        apply(app, tenant.clone(), state).await;
    }
}

async fn scan(app: &Arc<App>, versions: &mut Versions) {
    let failed: Vec<_> = versions.keys().filter(|(_, name)| name.starts_with(FAILED)).cloned().collect();
    for (tenant, name) in failed {
        versions.remove(&(tenant.clone(), name.trim_start_matches(FAILED).to_owned()));
        versions.remove(&(tenant, name));
    }
    let mut hosts = HashMap::new();
    let tenants = match &app.engine {
        Some(engine) => {
            let rows = tokio::time::timeout(ASK_MAX, engine.db().tenants()).await;
            rows.map_err(|_| "the database does not answer".to_owned()).and_then(|rows| {
                let rows = rows.map_err(|e| e.to_string())?;
                let named = rows
                    .iter()
                    .flat_map(|r| r.hosts.iter().map(|h| (normal(h).into_owned(), r.tenant.clone())));
                hosts.extend(named);
                Ok(rows.into_iter().map(|r| r.tenant).collect())
            })
        }
        None => app.objects.tenants().await.map_err(|e| e.to_string()),
    };
    let complete = tenants.is_ok();
    let tenants: Vec<TenantId> = tenants.unwrap_or_else(|error| {
        tracing::warn!(error, "tenants cannot be listed; those that are known stay");
        let known = app.tenants.read().unwrap_or_else(PoisonError::into_inner);
        known.keys().cloned().chain(app.objects.tenants_here()).collect::<BTreeSet<_>>().into_iter().collect()
    });
    for tenant in tenants {
        let state = app.tenant_or_new(&tenant);
        heal(app, &tenant).await;
        app.objects.tenant(&tenant).keep_small();
        let pointed: BTreeSet<ChannelName> = app.objects.tenant(&tenant).pointers_here("channels").collect();
        if **state.pointed.load() != pointed {
            state.pointed.store(Arc::new(pointed));
        }
        follow_ring(app, &tenant, versions).await;
        if app.engine.is_none() {
            hosts.extend(state.ring.load().hosts.iter().map(|h| (normal(h).into_owned(), tenant.clone())));
        }
    }
    let relieved = app.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || relieved.relieve()).await {
        tracing::error!(%error, "giving memory back ended early");
    }
    if !complete && app.engine.is_some() {
        return;
    }
    if **app.hosts.load() != hosts {
        app.hosts.store(Arc::new(hosts));
    }
}

/// Fetches damaged packs again where they can be had.
async fn heal(app: &App, tenant: &TenantId) {
    let objects = app.objects.tenant(tenant);
    objects.learn_damage();
    if objects.damaged().is_empty() && objects.damaged_packs().is_empty() {
        return;
    }
    if let Err(error) = objects.heal().await {
        tracing::warn!(%tenant, %error, "damaged objects cannot be fetched again yet");
    }
}

/// Takes over the keys of a tenant as they are now.
pub async fn read_ring(app: &App, tenant: &TenantId) {
    follow_ring(app, tenant, &mut Versions::new()).await;
}

/// Takes over the keys of a tenant when their pointer object has changed.
async fn follow_ring(app: &App, tenant: &TenantId, versions: &mut Versions) {
    let objects = app.objects.tenant(tenant);
    let id = (tenant.clone(), KeyRing::POINTER.to_owned());
    let body = match objects.get_pointer(KeyRing::POINTER, versions.get(&id)).await {
        Ok(PointerRead::Changed { body, version }) => {
            versions.insert(id, version);
            body
        }
        Ok(_) | Err(StoreError::Missing { .. }) => return,
        Err(error) => {
            tracing::warn!(%tenant, %error, "keys cannot be read; those that are known stay");
            let known = app.tenant(tenant).is_some_and(|t| !t.ring.load().keys.is_empty());
            match objects.last_pointer(KeyRing::POINTER) {
                Some(body) if !known => body,
                _ => return,
            }
        }
    };
    match serde_json::from_slice(&body) {
        Ok(ring) => app.set_ring(tenant, ring),
        Err(error) => {
            tracing::error!(%tenant, %error, "the key ring cannot be read; the keys that are known stay")
        }
    }
}
