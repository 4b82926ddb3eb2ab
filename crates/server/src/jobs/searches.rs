//! Storing the log of searches.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc::Receiver},
    time::Duration,
};

use ashlar_delivery::search::{Happened, Logged};
use ashlar_model::TenantId;
use ashlar_release::{Engine, LoggedSearch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::{App, tenants::Tenants};

/// How often what was searched for is stored.
const EVERY: Duration = Duration::from_millis(500);
/// The most searches that are stored at a time.
const BATCH_MAX: usize = 1_000;
/// Every how many times old searches are deleted.
const PRUNE_TURNS: u64 = 600;

/// Takes what this process logs, and stores it.
pub struct Searches {
    engine: Engine,
    tenants: Arc<Tenants>,
    taken: Receiver<Logged>,
}

fn row(logged: Logged) -> LoggedSearch {
    let Logged { at, caller, query, locale, what, .. } = logged;
    let (found, clicked) = match what {
        Happened::Found(entries) => (Some(entries as u64), (String::new(), 0)),
        Happened::Clicked { entry, position } => (None, (entry, u64::from(position))),
    };
    LoggedSearch { at, caller, query, locale, found, clicked }
}

impl Searches {
    /// `None` when something else in this process takes the log already.
    pub fn new(app: &App, engine: &Engine) -> Option<Self> {
        let taken = app.serving.follow_searches()?;
        Some(Self { engine: engine.clone(), tenants: app.tenants.clone(), taken })
    }

    /// Works until `stop`, and stores what is waiting then.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0_u64;
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                _ = turns.tick() => false,
            };
            self.store().await;
            if stopped {
                return;
            }
            if number.is_multiple_of(PRUNE_TURNS) {
                self.prune().await;
            }
            number += 1;
        }
    }

    /// Stores what is waiting.
    async fn store(&mut self) {
        let mut of_tenants: BTreeMap<TenantId, Vec<LoggedSearch>> = BTreeMap::new();
        for logged in self.taken.try_iter().take(BATCH_MAX) {
            of_tenants.entry(logged.tenant.clone()).or_default().push(row(logged));
        }
        for (tenant, searches) in of_tenants {
            let count = searches.len();
            if let Err(error) = self.engine.log_searches(&tenant, searches).await {
                tracing::warn!(%tenant, count, %error, "searches are missing in the log");
            }
        }
    }

    /// Deletes what was kept long enough. A project without a log keeps nothing.
    async fn prune(&mut self) {
        for (tenant, state) in self.tenants.all() {
            let Some(public) = state.public.load_full() else { continue };
            let days = public.log_days().unwrap_or(0);
            if let Err(error) = self.engine.prune_searches(&tenant, days).await {
                tracing::warn!(%tenant, %error, "old searches cannot be deleted yet");
            }
        }
    }
}
