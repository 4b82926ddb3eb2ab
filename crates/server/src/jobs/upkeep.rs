//! What a node does every second: it runs schedules, merges and deletes packs, and looks for damage.

use std::{sync::Arc, time::Duration};

use ashlar_model::{Actor, TenantId};
use ashlar_release::{CollectGarbage, Ctx, Engine, ReleaseError, Tick};
use ashlar_store::Objects;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::scrub::Scrub;
use crate::app::{
    App,
    metrics::{Metrics, gauge},
    tenants::Tenants,
};

/// How often schedules are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Every how many ticks everything is compared and repaired.
const REPAIR_TICKS: u64 = 30;

/// The upkeep of a node.
pub struct Upkeep {
    engine: Engine,
    objects: Objects,
    tenants: Arc<Tenants>,
    metrics: Arc<Metrics>,
    scrub: Scrub,
    scrub_bytes: u64,
}

impl Upkeep {
    /// `scrub_bytes`: bytes per second that are read to look for damage.
    pub fn new(app: &App, engine: &Engine, scrub_bytes: u64) -> Self {
        Self {
            engine: engine.clone(),
            objects: app.objects.clone(),
            tenants: app.tenants.clone(),
            metrics: app.metrics.clone(),
            scrub: Scrub::default(),
            scrub_bytes,
        }
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0_u64;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let torn = self.engine.take_torn();
            let done = match torn || number.is_multiple_of(REPAIR_TICKS) {
                true => self.engine.tick().await,
                false => self.engine.run_schedules().await,
            };
            number += 1;
            let failed = match done {
                Ok(tick) => self.report(&tick),
                Err(error) => {
                    tracing::error!(%error, "schedules cannot be looked at");
                    number = 0;
                    true
                }
            };
            self.metrics.counted.ticks.inc();
            self.metrics.counted.tick_failures.inc_by(u64::from(failed));
            self.count_schedules().await;
            self.scrub.step((&self.tenants, &self.objects, &self.metrics), self.scrub_bytes).await;
            self.tidy_packs(number.is_multiple_of(self.reap_ticks())).await;
        }
    }

    /// Writes what went wrong to the log. Says whether something did that operators must see.
    fn report(&self, tick: &Tick) -> bool {
        for (changeset, why) in &tick.failed {
            tracing::error!(changeset, why, "a schedule could not be kept");
        }
        for (tenant, why) in &tick.unread {
            tracing::error!(%tenant, why, "schedules of a tenant cannot be run");
        }
        for changeset in &tick.at_risk {
            tracing::warn!(changeset, "gates would refuse a schedule whose time is near");
        }
        for (tenant, why) in &tick.unrepaired {
            tracing::error!(%tenant, why, "pointers or drafts of a tenant cannot be repaired");
        }
        self.metrics.counted.schedules_quarantined.inc_by(tick.quarantined as u64);
        !tick.unread.is_empty() || !tick.unrepaired.is_empty()
    }

    async fn count_schedules(&self) {
        match self.engine.schedule_counts().await {
            Ok(found) => {
                let oldest = found.oldest.and_then(|at| at.parse::<jiff::Timestamp>().ok());
                let seconds = oldest.map_or(0, |at| self.engine.now().as_second() - at.as_second());
                let counted = &self.metrics.counted;
                counted.schedules_overdue.set(gauge(found.overdue));
                counted.schedule_overdue_seconds_max.set(seconds.max(0));
                counted.schedules_at_risk.set(gauge(found.at_risk));
            }
            Err(error) => tracing::warn!(%error, "overdue schedules cannot be counted; the last count stays"),
        }
    }

    async fn tidy_packs(&self, reap: bool) {
        for tenant in self.tenants.names() {
            if let Err(error) = self.objects.tenant(&tenant).repack().await {
                tracing::warn!(%tenant, %error, "packs cannot be merged");
            }
            if reap && let Err(error) = self.reap(&tenant).await {
                tracing::warn!(%tenant, %error, "packs that are not needed cannot be deleted yet");
            }
        }
    }

    /// How often packs are looked at that are going away: four times in their grace period, and at most every second.
    fn reap_ticks(&self) -> u64 {
        (self.objects.grace().as_secs() / 4).clamp(1, 600)
    }

    /// Deletes packs from the object store that were merged, and finishes a collection whose grace period is over.
    async fn reap(&self, tenant: &TenantId) -> Result<(), ReleaseError> {
        if self.objects.tenant(tenant).reap().await? {
            let ctx = Ctx::new(tenant.clone(), Actor::local("upkeep"))?;
            self.engine.run(&ctx, CollectGarbage).await?;
        }
        Ok(())
    }
}
