//! What happens without anybody asking at that moment: schedules that are due, pointers that must be repaired.

use ashlar_model::{Actor, Right, TenantId};
use ashlar_store::sql::{ChangesetRow, ChangesetState, DraftFilter, DraftState, stamp};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Action, CreateCandidate, Ctx, Engine, Promote, ReleaseError, Scope, SetUnpublished, engine::Record,
};

/// A schedule that ran this many seconds after its time says so.
const LATE_SECONDS: i64 = 60;

/// A job is quarantined when the process died this often while it worked on it.
const DEATHS_MAX: u64 = 2;

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
    /// Tenants whose schedules could not be looked at, and why. They are looked at again at the next tick.
    #[serde(default)]
    #[schemars(with = "Vec<[String; 2]>")]
    pub unread: Vec<(TenantId, String)>,
    /// Channel pointers and key rings that were written again.
    pub repaired: usize,
}

/// Records the outcome of a scheduled step.
struct Settle {
    row: ChangesetRow,
    late_seconds: i64,
    release: Option<String>,
    quarantined: bool,
}

#[async_trait]
impl Action for Settle {
    type Output = ();
    const NAME: &'static str = "schedule.run";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        rows.put_changeset(&self.row).await?;
        if self.row.state == ChangesetState::Ended {
            rows.clear_changeset(&self.row.name).await?;
        }
        let kind = match self.row.state {
            _ if self.quarantined => "schedule.quarantined",
            ChangesetState::Failed => "schedule.failed",
            _ => "schedule.ran",
        };
        let late = (self.late_seconds > LATE_SECONDS).then_some(self.late_seconds);
        let data = json!({
            "state": self.row.state.to_string(), "late_seconds": late, "release": self.release,
            "message": self.row.message,
        });
        scope.commit(tx, Record::one(kind, &self.row.name, data)).await
    }
}

impl Engine {
    /// Runs every schedule that is due, once each however often it was missed.
    ///
    /// # Errors
    /// When the database cannot be read; what a gate refuses is in the outcome, not an error.
    pub async fn run_schedules(&self) -> Result<Tick, ReleaseError> {
        let mut tick = Tick::default();
        for tenant in self.db().tenants_with_due_changesets(&stamp(self.now())).await? {
            // What goes wrong for one tenant is no reason to let the others wait.
            if let Err(error) = self.run_due(&tenant, &mut tick).await {
                tick.unread.push((tenant, error.to_string()));
            }
        }
        Ok(tick)
    }

    /// As [`Engine::run_schedules`], and repairs what a crash or a lost object store left behind: channel pointers, key
    /// rings, drafts that were not compared with a new release.
    ///
    /// # Errors
    /// When the database or the objects cannot be read.
    pub async fn tick(&self) -> Result<Tick, ReleaseError> {
        let mut tick = self.run_schedules().await?;
        for tenant in self.db().tenants().await? {
            self.mend(&tenant.tenant, &mut tick).await?;
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

    async fn mend(&self, tenant: &TenantId, tick: &mut Tick) -> Result<(), ReleaseError> {
        tick.repaired += self.repair_pointers(tenant).await?;
        crate::settle::settle(self, tenant).await?;
        Ok(())
    }

    async fn run_due(&self, tenant: &TenantId, tick: &mut Tick) -> Result<(), ReleaseError> {
        let now = stamp(self.now());
        let all = self.db().read(tenant).await?.rows().changesets().await?;
        let ctx = Ctx::new(tenant.clone(), Actor::local("scheduler"))?;
        for row in all {
            let (due, publish) = match row.state {
                ChangesetState::Scheduled => (row.publish_at.clone(), true),
                ChangesetState::Published => (row.unpublish_at.clone(), false),
                _ => continue,
            };
            let Some(due) = due.filter(|d| *d <= now) else { continue };
            let late_seconds =
                due.parse::<jiff::Timestamp>().map_or(0, |d| self.now().as_second() - d.as_second());
            let name = row.name.clone();
            let job = format!("changeset/{name}/{}", if publish { "publish" } else { "unpublish" });
            if self.deaths(tenant, &job).await? >= DEATHS_MAX {
                let message = format!(
                    "quarantined: the server ended {DEATHS_MAX} times while it worked on this changeset. \
                     Look for what is unusual in its drafts and definitions, then schedule it again"
                );
                tracing::error!(%tenant, changeset = name, "a scheduled changeset is quarantined");
                let row = ChangesetRow { state: ChangesetState::Failed, message: message.clone(), ..row };
                self.run(&ctx, Settle { row, late_seconds, release: None, quarantined: true }).await?;
                self.ended(tenant, &job).await?;
                tick.quarantined += 1;
                tick.failed.push((name, message));
                continue;
            }
            self.begun(tenant, &job, &now).await?;
            let outcome = self.run_changeset(&ctx, &row, publish).await;
            self.ended(tenant, &job).await?;
            match outcome {
                Ok(release) => {
                    let state = match (publish, row.unpublish_at.is_some()) {
                        (true, true) | (true, false) => ChangesetState::Published,
                        (false, _) => ChangesetState::Ended,
                    };
                    let message = match late_seconds > LATE_SECONDS {
                        true => format!("ran {late_seconds} seconds late"),
                        false => String::new(),
                    };
                    let row = ChangesetRow { state, message, ..row };
                    self.run(&ctx, Settle { row, late_seconds, release: Some(release), quarantined: false })
                        .await?;
                    tick.done.push(name);
                }
                // A full disk or lost database is no verdict: it stays due and is tried at the next tick.
                Err(error @ (ReleaseError::Sql(_) | ReleaseError::Store(_) | ReleaseError::Busy)) => {
                    return Err(error);
                }
                Err(error) => {
                    let message = error.to_string();
                    let row = ChangesetRow { state: ChangesetState::Failed, message: message.clone(), ..row };
                    self.run(&ctx, Settle { row, late_seconds, release: None, quarantined: false }).await?;
                    tick.failed.push((name, message));
                }
            }
        }
        Ok(())
    }

    /// How often a process died while it worked on a job.
    async fn deaths(&self, tenant: &TenantId, job: &str) -> Result<u64, ReleaseError> {
        Ok(self.db().read(tenant).await?.rows().attempts(job).await?)
    }

    async fn begun(&self, tenant: &TenantId, job: &str, now: &str) -> Result<(), ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        tx.rows().begin_attempt(job, now).await?;
        Ok(tx.commit().await?)
    }

    async fn ended(&self, tenant: &TenantId, job: &str) -> Result<(), ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        tx.rows().end_attempt(job).await?;
        Ok(tx.commit().await?)
    }

    async fn run_changeset(
        &self,
        ctx: &Ctx,
        row: &ChangesetRow,
        publish: bool,
    ) -> Result<String, ReleaseError> {
        let filter =
            DraftFilter { changeset: Some(row.name.clone()), limit: 100_000, ..DraftFilter::default() };
        let drafts = self.db().read(&ctx.tenant).await?.rows().drafts(&filter).await?;
        if !publish {
            for draft in &drafts {
                if draft.state == DraftState::Live {
                    self.run(ctx, SetUnpublished { key: draft.key.clone(), unpublished: true }).await?;
                }
            }
        } else if drafts.is_empty() {
            return Err(ReleaseError::refused(
                "changeset-empty",
                "the changeset has no drafts",
                "add drafts to it",
            ));
        }
        let verb = if publish { "publishes" } else { "takes down" };
        let note = format!("schedule {verb} the changeset {}", row.name);
        let create = CreateCandidate { changeset: Some(row.name.clone()), note: note.clone() };
        let candidate = self.run(ctx, create).await?;
        let promote = Promote { candidate: candidate.candidate, channel: Some(row.channel.clone()), note };
        Ok(self.run(ctx, promote).await?.release.to_string())
    }
}
