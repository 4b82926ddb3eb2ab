//! Following channels: by the moves of this process, and by their pointer objects for those of others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use ashlar_model::{ChannelConfig, ChannelName, TenantId};
use ashlar_release::{ChannelState, Engine, KeyRing};
use ashlar_store::{Objects, PointerRead, PointerVersion, StoreError, TenantObjects};
use tokio_util::sync::CancellationToken;

use super::serving::Serving;
use crate::{
    access::Keys,
    app::{App, tenants::Tenants},
    front::{Hosts, normal},
};

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

/// What follows the channels of a node.
pub struct Follow {
    engine: Option<Engine>,
    objects: Objects,
    tenants: Arc<Tenants>,
    keys: Arc<Keys>,
    hosts: Arc<Hosts>,
    serving: Arc<Serving>,
    versions: Versions,
    /// Pointers that were older than what is served, with when that was seen. A move is served before its pointer is written, so only
    /// one that stays as it is tells of another history.
    older: HashMap<(TenantId, String), (PointerVersion, Instant)>,
}

impl Follow {
    /// Reads every pointer once, so that a start serves what exists at once.
    pub async fn start(app: &App) -> Self {
        let mut follow = Self {
            engine: app.engine.clone(),
            objects: app.objects.clone(),
            tenants: app.tenants.clone(),
            keys: app.keys.clone(),
            hosts: app.hosts.clone(),
            serving: app.serving.clone(),
            versions: Versions::new(),
            older: HashMap::new(),
        };
        follow.scan().await;
        follow.look(true).await;
        follow
    }

    /// Follows until `stop`. `remote_interval`: how often a remote is asked.
    pub async fn run(mut self, remote_interval: Duration, stop: CancellationToken) {
        let remote = self.objects.has_remote();
        let mut looks = tokio::time::interval(if remote { remote_interval } else { LOOK });
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut scans = tokio::time::interval(SCAN);
        scans.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut scanned = 0_u32;
        let mut moves = self.engine.as_ref().map(|e| e.moves());
        loop {
            let moved = async {
                match &mut moves {
                    Some(moves) => moves.recv().await.ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => self.look(remote).await,
                _ = scans.tick() => {
                    scanned = scanned.wrapping_add(1);
                    if remote && scanned.is_multiple_of(WHOLE) {
                        self.versions.clear();
                    }
                    self.scan().await;
                }
                moved = moved => if let Some(moved) = moved {
                    self.apply(moved.tenant, moved.state).await;
                },
            }
        }
    }

    /// Whether what is served is now at least this new.
    async fn apply(&self, tenant: TenantId, state: ChannelState) -> bool {
        let serving = self.serving.clone();
        // Opening reads files; a panic there must not end the following.
        match tokio::task::spawn_blocking(move || serving.apply(&tenant, state)).await {
            Ok(applied) => applied,
            Err(error) => {
                tracing::error!(%error, "opening a release ended early");
                false
            }
        }
    }

    /// The channels of a tenant that may exist.
    fn channels(&self, tenant: &TenantId) -> BTreeSet<ChannelName> {
        let mut names: BTreeSet<ChannelName> = ChannelConfig::default().names.into_iter().collect();
        if let Some(state) = self.tenants.get(tenant) {
            names.extend(state.pointed.load().iter().cloned());
            for live in state.channels.load().values() {
                names.extend(live.view.definitions().config.channels.names.iter().cloned());
            }
        }
        names
    }

    async fn look(&mut self, read_all: bool) {
        for tenant in self.tenants.names() {
            let objects = self.objects.tenant(&tenant);
            for channel in self.channels(&tenant) {
                let name = ChannelState::pointer(&channel);
                let id = (tenant.clone(), name.clone());
                if !read_all && objects.pointer_stat(&name).as_ref() == self.versions.get(&id) {
                    continue;
                }
                let read = objects.get_pointer(&name, self.versions.get(&id)).await;
                let (body, version) = match read {
                    Ok(PointerRead::Changed { body, version }) => (body, version),
                    Ok(PointerRead::Unchanged | PointerRead::Absent) => continue,
                    Err(error) => {
                        tracing::warn!(%tenant, %channel, %error, "a channel cannot be followed; what is served stays");
                        self.start_from_last(&tenant, &channel).await;
                        continue;
                    }
                };
                let state: ChannelState = match serde_json::from_slice(&body) {
                    Ok(state) => state,
                    Err(error) => {
                        tracing::error!(%tenant, %channel, %error, "a channel pointer cannot be read; what is served stays");
                        self.versions.insert(id, version);
                        continue;
                    }
                };
                if self.objects.has_remote()
                    && let Err(error) = objects.refresh().await
                {
                    tracing::warn!(%tenant, %channel, %error, "the packs of a release cannot be fetched; what is served stays");
                    continue;
                }
                let served = self
                    .tenants
                    .get(&tenant)
                    .and_then(|t| Some(t.channels.load().get(&channel)?.state.sequence));
                if served.is_some_and(|served| served > state.sequence) {
                    self.older.insert(id.clone(), (version.clone(), Instant::now()));
                }
                self.versions.insert(id, version.clone());
                if !self.apply(tenant.clone(), state).await {
                    // Tried again at the next scan, not at every look.
                    self.versions.insert((tenant.clone(), format!("{FAILED}{name}")), version);
                }
            }
        }
    }

    /// After a start without the object store: serves what was served when it was last there.
    async fn start_from_last(&self, tenant: &TenantId, channel: &ChannelName) {
        if self.tenants.get(tenant).is_some_and(|t| t.channels.load().contains_key(channel)) {
            return;
        }
        let last = self.objects.tenant(tenant).last_pointer(&ChannelState::pointer(channel));
        if let Some(state) = last.and_then(|body| serde_json::from_slice::<ChannelState>(&body).ok()) {
            self.apply(tenant.clone(), state).await;
        }
    }

    /// Warns of pointers that have stayed older than what is served.
    fn report_older(&mut self) {
        let Self { older, versions, .. } = self;
        older.retain(|id, (version, seen)| {
            if versions.get(id) != Some(version) {
                return false;
            }
            let stayed = seen.elapsed() >= SCAN;
            if stayed {
                let (tenant, pointer) = id;
                tracing::warn!(%tenant, pointer, "a channel pointer is older than what is served and is not followed; after a restore of older objects, restart this node");
            }
            !stayed
        });
    }

    async fn scan(&mut self) {
        let failed: Vec<_> =
            self.versions.keys().filter(|(_, name)| name.starts_with(FAILED)).cloned().collect();
        for (tenant, name) in failed {
            self.versions.remove(&(tenant.clone(), name.trim_start_matches(FAILED).to_owned()));
            self.versions.remove(&(tenant, name));
        }
        self.report_older();
        let mut hosts = HashMap::new();
        let tenants = match &self.engine {
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
            None => self.objects.tenants().await.map_err(|e| e.to_string()),
        };
        let complete = tenants.is_ok();
        let tenants: Vec<TenantId> = tenants.unwrap_or_else(|error| {
            tracing::warn!(error, "tenants cannot be listed; those that are known stay");
            let known = self.tenants.names();
            known
                .into_iter()
                .chain(self.objects.tenants_here())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        });
        for tenant in tenants {
            let state = self.tenants.get_or_new(&tenant);
            let objects = self.objects.tenant(&tenant);
            heal(&tenant, &objects).await;
            objects.keep_small();
            let pointed: BTreeSet<ChannelName> = objects.pointers_here("channels").collect();
            if **state.pointed.load() != pointed {
                state.pointed.store(Arc::new(pointed));
            }
            follow_ring(&self.keys, &tenant, &objects, &mut self.versions).await;
            if self.engine.is_none() {
                let ring = self.keys.ring(&tenant);
                let named =
                    ring.iter().flat_map(|r| &r.hosts).map(|h| (normal(h).into_owned(), tenant.clone()));
                hosts.extend(named);
            }
        }
        let serving = self.serving.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || serving.relieve()).await {
            tracing::error!(%error, "giving memory back ended early");
        }
        if !complete && self.engine.is_some() {
            return;
        }
        self.hosts.set_all(hosts);
    }
}

/// Fetches damaged packs again where they can be had.
async fn heal(tenant: &TenantId, objects: &TenantObjects) {
    objects.learn_damage();
    if objects.damaged().is_empty() && objects.damaged_packs().is_empty() {
        return;
    }
    if let Err(error) = objects.heal().await {
        tracing::warn!(%tenant, %error, "damaged objects cannot be fetched again yet");
    }
}

/// Takes over the keys of a tenant as they are now.
pub async fn read_ring(engine: &Engine, keys: &Keys, tenant: &TenantId) {
    follow_ring(keys, tenant, &engine.tenant_objects(tenant), &mut Versions::new()).await;
}

/// Takes over the keys of a tenant when their pointer object has changed.
async fn follow_ring(keys: &Keys, tenant: &TenantId, objects: &TenantObjects, versions: &mut Versions) {
    let id = (tenant.clone(), KeyRing::POINTER.to_owned());
    let body = match objects.get_pointer(KeyRing::POINTER, versions.get(&id)).await {
        Ok(PointerRead::Changed { body, version }) => {
            versions.insert(id, version);
            body
        }
        Ok(_) | Err(StoreError::Missing { .. }) => return,
        Err(error) => {
            tracing::warn!(%tenant, %error, "keys cannot be read; those that are known stay");
            let known = keys.ring(tenant).is_some_and(|ring| !ring.keys.is_empty());
            match objects.last_pointer(KeyRing::POINTER) {
                Some(body) if !known => body,
                _ => return,
            }
        }
    };
    match serde_json::from_slice(&body) {
        Ok(ring) => keys.set_ring(tenant, ring),
        Err(error) => {
            tracing::error!(%tenant, %error, "the key ring cannot be read; the keys that are known stay")
        }
    }
}
