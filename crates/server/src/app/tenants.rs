//! What a node knows of its tenants: their channels, and what each of them serves.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use ashlar_delivery::ReleaseView;
use ashlar_model::{ChannelName, ReleaseId, TenantId};
use ashlar_release::ChannelState;

use super::feed::Feed;

/// A channel with the release it serves.
#[derive(Clone)]
pub struct Live {
    pub view: Arc<ReleaseView>,
    pub state: ChannelState,
}

/// What is known of one tenant.
#[derive(Default)]
pub struct TenantState {
    /// What its public channel serves.
    pub public: ArcSwapOption<ReleaseView>,
    /// All its channels.
    pub channels: ArcSwap<BTreeMap<ChannelName, Live>>,
    /// What was released on each channel since this node follows it.
    pub feeds: Mutex<BTreeMap<ChannelName, Arc<Feed>>>,
    /// Channels that have a pointer here, whether or not a release names them.
    pub pointed: ArcSwap<BTreeSet<ChannelName>>,
    /// Channels whose release cannot be opened, with that release.
    pub broken: Mutex<BTreeMap<ChannelName, ReleaseId>>,
    /// One change of what is served at a time.
    pub applying: Mutex<()>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TenantState {
    /// What a channel serves.
    pub fn live(&self, channel: &ChannelName) -> Option<Live> {
        self.channels.load().get(channel).cloned()
    }

    /// The release of a channel.
    pub fn view(&self, channel: &ChannelName) -> Option<Arc<ReleaseView>> {
        self.channels.load().get(channel).map(|live| live.view.clone())
    }

    /// What was released on a channel.
    pub fn feed(&self, channel: &ChannelName) -> Option<Arc<Feed>> {
        lock(&self.feeds).get(channel).cloned()
    }

    /// Channels whose release cannot be opened; what they served before stays.
    pub fn broken(&self) -> BTreeMap<ChannelName, ReleaseId> {
        lock(&self.broken).clone()
    }

    /// Whether nothing is served because what should be cannot be opened.
    pub fn unavailable(&self) -> bool {
        self.public.load().is_none() && !lock(&self.broken).is_empty()
    }
}

/// All tenants that are known.
#[derive(Default)]
pub struct Tenants(RwLock<HashMap<TenantId, Arc<TenantState>>>);

impl Tenants {
    /// What is known of a tenant.
    pub fn get(&self, tenant: &TenantId) -> Option<Arc<TenantState>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// The same; known from now on.
    pub fn get_or_new(&self, tenant: &TenantId) -> Arc<TenantState> {
        if let Some(known) = self.get(tenant) {
            return known;
        }
        let mut tenants = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(tenant.clone()).or_default().clone()
    }

    /// What a tenant's public channel serves.
    pub fn public(&self, tenant: &TenantId) -> Option<Arc<ReleaseView>> {
        self.get(tenant)?.public.load_full()
    }

    /// All of them as they are now.
    pub fn all(&self) -> Vec<(TenantId, Arc<TenantState>)> {
        let tenants = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tenants.iter().map(|(tenant, state)| (tenant.clone(), state.clone())).collect()
    }

    /// Their names.
    pub fn names(&self) -> Vec<TenantId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
