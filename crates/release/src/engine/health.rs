//! What a node noticed about its storage and its channels.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use ashlar_model::{ChannelName, ReleaseId, TenantId};
use ashlar_store::{StoreError, sql::SqlError};

use crate::ReleaseError;

/// What is known of the health of an engine.
#[derive(Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    pub(super) probing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    /// Why the last write failed; `None` when it did not.
    pub(super) failed: Option<String>,
    pub(super) probed: Option<(Instant, Result<(), String>)>,
    /// Channels whose release in the database has objects that are missing here.
    pub(super) stranded: BTreeMap<(TenantId, ChannelName), ReleaseId>,
    pub(super) fences: u64,
}

impl Health {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was written.
    pub(crate) fn wrote(&self) {
        let mut state = self.state();
        if state.failed.take().is_some() {
            state.probed = None;
            tracing::info!("writes work again");
        }
    }

    /// An action failed. Only what storage said counts: a full disk, a lost connection.
    pub(crate) fn failed(&self, error: &ReleaseError) {
        let storage = matches!(
            error,
            ReleaseError::Store(StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Remote { .. })
                | ReleaseError::Sql(SqlError::Full(_) | SqlError::Engine(_))
        );
        if storage {
            let mut state = self.state();
            state.failed = Some(error.public());
            state.probed = None;
        }
    }

    /// Notes whether the release of a channel can be served from the objects that are here.
    pub(crate) fn strand(&self, tenant: &TenantId, channel: &ChannelName, release: Option<ReleaseId>) {
        let mut state = self.state();
        let key = (tenant.clone(), channel.clone());
        match release {
            Some(release) => state.stranded.insert(key, release),
            None => state.stranded.remove(&key),
        };
    }

    pub(crate) fn fenced(&self) {
        self.state().fences += 1;
    }
}
