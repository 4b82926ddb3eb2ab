//! What happens without anybody asking at that moment: schedules that are due, pointers that must be repaired.

use std::{panic::AssertUnwindSafe, time::Duration};

use ashlar_model::{Actor, Right, TenantId};
use ashlar_store::sql::{ChangesetRow, ChangesetState, Claim, ScheduleCounts, stamp};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    find::{find, live_drafts},
    forecast::CheckSchedule,
    step::{Step, TAKEN, ran},
};
use crate::{
    Action, CandidateView, CreateCandidate, Ctx, Engine, Promote, ReleaseError, Scope, SetUnpublished,
    candidates::freeze::With, channels::promote::PromoteStep, drafts::settle::settle, engine::action::Record,
};

/// A job is quarantined when the process died this often while it worked on it.
const DEATHS_MAX: u64 = 2;

/// How long a claim is good for; a process that works on renews it.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How often a claim is renewed.
const RENEW: Duration = Duration::from_secs(8);
/// Tenants whose schedules run at the same time.
const TENANTS_AT_ONCE: usize = 4;
/// Changesets of a tenant that are run in a round.
const DUE_MAX: u32 = 1_000;
/// How long before its time a schedule is tried again.
const CHECK_AHEAD: SignedDuration = SignedDuration::from_hours(1);
/// How often one that something would refuse is tried from then on.
const CHECK_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// Changesets of a tenant that are tried in a round.
const CHECKS_MAX: u32 = 10;
/// How often a changeset is put on top of what was released in between.
const SUPERSEDED_MAX: usize = 5;

/// What a tick did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// Changesets that were published or taken down.
    pub done: Vec<String>,
    /// Changesets that a gate or rule stood against, with what it said.
    #[schemars(with = "Vec<[String; 2]>")]
    pub failed: Vec<(String, String)>,
    /// Of these, changesets that are quarantined: the process died whenever it worked on them.
    #[serde(default)]
    pub quarantined: usize,
    /// Changesets whose time is near and that something would refuse.
    #[serde(default)]
    pub at_risk: Vec<String>,
    /// Tenants whose schedules, or one of them, could not be looked at, and why. They are looked at again at the next tick.
    #[serde(default)]
    #[schemars(with = "Vec<[String; 2]>")]
    pub unread: Vec<(TenantId, String)>,
    /// Tenants whose pointers or drafts could not be repaired, and why.
    #[serde(default)]
    #[schemars(with = "Vec<[String; 2]>")]
    pub unrepaired: Vec<(TenantId, String)>,
    /// Channel pointers and key rings that were written again.
    pub repaired: usize,
}

impl Tick {
    fn and(mut self, other: Self) -> Self {
        self.done.extend(other.done);
        self.failed.extend(other.failed);
        self.quarantined += other.quarantined;
        self.at_risk.extend(other.at_risk);
        self.unread.extend(other.unread);
        self.unrepaired.extend(other.unrepaired);
        self.repaired += other.repaired;
        self
    }
}

/// Records that a step could not be done, unless another process has taken it over meanwhile.
struct Settle {
    claim: Claim,
    late_seconds: i64,
    message: String,
    quarantined: bool,
}

#[async_trait]
impl Action for Settle {
    type Output = bool;
    const NAME: &'static str = "schedule.run";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<bool, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        if !rows.end_claim(&self.claim).await? {
            return Ok(false);
        }
        let mut row = find(&mut rows, &self.claim.changeset).await?;
        row.state = ChangesetState::Failed;
        row.message = self.message;
        rows.put_changeset(&row).await?;
        let kind = if self.quarantined { "schedule.quarantined" } else { "schedule.failed" };
        let data = ran(&row, self.late_seconds, None);
        scope.commit(tx, Record::one(kind, &row.name, data)).await?;
        Ok(true)
    }
}

/// Freezes a changeset on what is served, to take it down.
struct CreateEnd(CreateCandidate);

#[async_trait]
impl Action for CreateEnd {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.create";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        self.0.create(scope, With::Served).await
    }
}

/// How a step ended.
enum Outcome {
    Done,
    Failed(String),
    /// Another worker has it.
    Taken,
}

impl Engine {
    /// Runs every schedule that is due, once each however often it was missed, and tries those whose time is near. What goes
    /// wrong for one tenant or changeset is in the outcome; it does not keep others waiting.
    ///
    /// # Errors
    /// When the database cannot be read at all.
    pub async fn run_schedules(&self) -> Result<Tick, ReleaseError> {
        let soon = stamp(self.now().saturating_add(CHECK_AHEAD).unwrap_or(self.now()));
        let tenants = self.db().tenants_with_due_changesets(&soon).await?;
        let ticks = futures::stream::iter(tenants).map(|tenant| async move {
            let mut tick = Tick::default();
            if let Err(error) = self.run_due(&tenant, &mut tick).await {
                tick.unread.push((tenant, error.to_string()));
            }
            tick
        });
        Ok(ticks
            .buffer_unordered(TENANTS_AT_ONCE)
            .fold(Tick::default(), |all, one| std::future::ready(all.and(one)))
            .await)
    }

    /// As [`Engine::run_schedules`], and repairs what a crash or a lost object store left behind: channel pointers, key
    /// rings, drafts that were not compared with a new release.
    ///
    /// # Errors
    /// When the database cannot be read at all.
    pub async fn tick(&self) -> Result<Tick, ReleaseError> {
        let mut tick = self.run_schedules().await?;
        for tenant in self.db().tenants().await? {
            if let Err(error) = self.mend(&tenant.tenant, &mut tick).await {
                tick.unrepaired.push((tenant.tenant, error.to_string()));
            }
        }
        Ok(tick)
    }

    /// As [`Engine::tick`], for one tenant.
    ///
    /// # Errors
    /// When the actor may not release, or the database or the objects cannot be read.
    pub async fn tick_tenant(&self, ctx: &Ctx) -> Result<Tick, ReleaseError> {
        self.permit(ctx, Right::Release)?;
        let mut tick = Tick::default();
        self.run_due(&ctx.tenant, &mut tick).await?;
        self.mend(&ctx.tenant, &mut tick).await?;
        Ok(tick)
    }

    /// Schedules that wait or that something would refuse, of all tenants.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn schedule_counts(&self) -> Result<ScheduleCounts, ReleaseError> {
        Ok(self.db().schedule_counts(&stamp(self.now())).await?)
    }

    async fn mend(&self, tenant: &TenantId, tick: &mut Tick) -> Result<(), ReleaseError> {
        tick.repaired += self.repair_pointers(tenant).await?;
        settle(self, tenant).await?;
        Ok(())
    }

    async fn run_due(&self, tenant: &TenantId, tick: &mut Tick) -> Result<(), ReleaseError> {
        let now = self.now();
        let at = |by: SignedDuration| stamp(now.saturating_add(by).unwrap_or(now));
        let again = (at(-CHECK_AHEAD), at(-CHECK_AGAIN));
        let (due, soon) = {
            let mut conn = self.db().read(tenant).await?;
            let mut rows = conn.rows();
            let due = rows.due_changesets(&stamp(now), DUE_MAX).await?;
            let times = (stamp(now), at(CHECK_AHEAD));
            let soon =
                rows.unchecked_changesets((&times.0, &times.1), (&again.0, &again.1), CHECKS_MAX).await?;
            (due, soon)
        };
        let ctx = Ctx::new(tenant.clone(), Actor::local("scheduler"))?;
        for row in due {
            let worked = AssertUnwindSafe(self.run_one(&ctx, &row, tick)).catch_unwind().await;
            let error = match worked {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the work on it ended early; the server's log says more".to_owned(),
            };
            tick.unread.push((tenant.clone(), format!("{}: {error}", row.name)));
        }
        for row in soon {
            let mut tx = self.db().write(tenant).await?;
            let ours = tx.rows().begin_check(&row.name, &stamp(now), (&again.0, &again.1)).await?;
            tx.commit().await?;
            if !ours {
                continue;
            }
            match self.run(&ctx, CheckSchedule { name: row.name.clone() }).await {
                Ok(true) => tick.at_risk.push(row.name),
                Ok(false) => {}
                Err(error) => tick.unread.push((tenant.clone(), format!("{}: {error}", row.name))),
            }
        }
        Ok(())
    }

    async fn run_one(&self, ctx: &Ctx, row: &ChangesetRow, tick: &mut Tick) -> Result<(), ReleaseError> {
        let Some(due_at) = row.due_at().map(str::to_owned) else { return Ok(()) };
        let late_seconds =
            due_at.parse::<Timestamp>().map_or(0, |due| self.now().as_second() - due.as_second());
        let name = row.name.clone();
        let claim = Claim { changeset: name.clone(), due_at, owner: self.owner().to_owned() };
        let claimed = {
            let mut tx = self.db().write(&ctx.tenant).await?;
            let claimed = tx.rows().claim_changeset(&claim, &stamp(self.now()), &self.lease_end()).await?;
            tx.commit().await?;
            claimed
        };
        let Some(deaths) = claimed else { return Ok(()) };
        if deaths >= DEATHS_MAX {
            let message = format!(
                "quarantined: the server ended {DEATHS_MAX} times while it worked on this changeset. \
                 Look for what is unusual in its drafts and definitions, then schedule it again"
            );
            tracing::error!(tenant = %ctx.tenant, changeset = name, "a scheduled changeset is quarantined");
            let settle = Settle { claim, late_seconds, message: message.clone(), quarantined: true };
            if self.run(ctx, settle).await? {
                tick.quarantined += 1;
                tick.failed.push((name, message));
            }
            return Ok(());
        }
        let step = Step { claim: claim.clone(), ends: row.state == ChangesetState::Published, late_seconds };
        let worked = tokio::select! {
            worked = AssertUnwindSafe(self.run_changeset(ctx, row, &step)).catch_unwind() => worked,
            never = self.keep(&ctx.tenant, &claim) => never,
        };
        let outcome = match worked {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(ReleaseError::Refused { code: TAKEN, .. })) => Outcome::Taken,
            // A full disk, a lost database, a release that came in between or a collection that was faster is no verdict: it
            // stays due and is tried again at the next tick.
            Ok(Err(
                error @ (ReleaseError::Sql(_)
                | ReleaseError::Store(_)
                | ReleaseError::Busy
                | ReleaseError::Superseded { .. }
                | ReleaseError::Refused { code: "collected-meanwhile", .. }),
            )) => {
                let mut tx = self.db().write(&ctx.tenant).await?;
                tx.rows().end_claim(&claim).await?;
                tx.commit().await?;
                return Err(error);
            }
            Ok(Err(error)) => Outcome::Failed(error.to_string()),
            Err(_) => Outcome::Failed("the work on it ended early; the server's log says more".to_owned()),
        };
        match outcome {
            Outcome::Done => tick.done.push(name),
            Outcome::Taken => {}
            Outcome::Failed(message) => {
                let settle = Settle { claim, late_seconds, message: message.clone(), quarantined: false };
                if self.run(ctx, settle).await? {
                    tick.failed.push((name, message));
                }
            }
        }
        Ok(())
    }

    fn lease_end(&self) -> String {
        let now = self.now();
        stamp(now.saturating_add(LEASE).unwrap_or(now))
    }

    /// Keeps a claim for as long as this is waited for.
    async fn keep<T>(&self, tenant: &TenantId, claim: &Claim) -> T {
        loop {
            tokio::time::sleep(RENEW).await;
            let renewed = async {
                let mut tx = self.db().write(tenant).await?;
                tx.rows().renew_claim(claim, &self.lease_end()).await?;
                tx.commit().await
            };
            // Whoever takes it over meanwhile is seen when the step is to be finished.
            if let Err(error) = renewed.await {
                tracing::warn!(%tenant, changeset = claim.changeset, %error, "a claim could not be kept for longer");
            }
        }
    }

    async fn run_changeset(&self, ctx: &Ctx, row: &ChangesetRow, step: &Step) -> Result<(), ReleaseError> {
        let (all, live) = live_drafts(&mut self.db().read(&ctx.tenant).await?.rows(), &row.name).await?;
        if step.ends {
            for key in live {
                self.run(ctx, SetUnpublished { key, unpublished: true }).await?;
            }
        } else if all == 0 {
            return Err(ReleaseError::refused(
                "changeset-empty",
                "the changeset has no drafts",
                "add drafts to it",
            ));
        }
        let verb = if step.ends { "takes down" } else { "publishes" };
        let note = format!("schedule {verb} the changeset {}", row.name);
        let mut tries = 0;
        loop {
            let create = CreateCandidate { changeset: Some(row.name.clone()), note: note.clone() };
            let candidate = match step.ends {
                true => self.run(ctx, CreateEnd(create)).await?,
                false => self.run(ctx, create).await?,
            };
            let promote = Promote {
                candidate: candidate.candidate,
                channel: Some(row.channel.clone()),
                note: note.clone(),
            };
            tries += 1;
            match self.run(ctx, PromoteStep { promote, step: step.clone() }).await {
                // Something was released meanwhile: the changeset is put on top of that.
                Err(ReleaseError::Superseded { .. }) if tries < SUPERSEDED_MAX => {}
                done => return done.map(drop),
            }
        }
    }
}
