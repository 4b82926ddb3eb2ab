//! The brakes: a switch that stops every task of a tenant, and how often tasks are asked on a day.

use ashlar_model::Right;
use ashlar_store::sql::{Rows, SwitchRow};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde_json::json;

use super::read::AssistStatus;
use crate::{Action, Ctx, Engine, ReleaseError, Scope, engine::action::Record};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// Stops the tasks of a tenant, or starts them again. Every call and every write looks at the switch in the database, so nothing of a
/// call that is under way is written after it.
#[derive(Debug, Clone)]
pub struct SetAssistSwitch {
    /// Whether tasks are stopped from now on.
    pub stopped: bool,
    /// Why.
    pub reason: String,
}

/// Refuses while tasks are stopped.
pub(super) async fn check_running(rows: &mut Rows<'_>) -> Result<(), ReleaseError> {
    match rows.assist_switch().await?.filter(|switch| switch.stopped) {
        None => Ok(()),
        Some(switch) => {
            let why = if switch.reason.is_empty() { String::new() } else { format!(": {}", switch.reason) };
            let message = format!("{} stopped the tasks of models at {}{why}", switch.by, switch.at);
            Err(ReleaseError::refused("assist-stopped", message, "`ashlar assist start` starts them again"))
        }
    }
}

impl Engine {
    /// Counts one more call of a task today (UTC), on all nodes together, before the call is made. A call that fails stays counted: it cost
    /// as much.
    ///
    /// # Errors
    /// `assist-stopped` and `assist-cap-reached`; when the actor may not use the task, or the database refuses.
    pub async fn begin_assist(&self, ctx: &Ctx, task: &str, per_day: u64) -> Result<(), ReleaseError> {
        self.permit(ctx, Right::Assist)?;
        let day = self.assist_day();
        let mut tx = self.db().write(&ctx.tenant).await?;
        let mut rows = tx.rows();
        check_running(&mut rows).await?;
        if !rows.use_assist(&day, task, per_day).await? {
            let message = format!("the task `{task}` was used {per_day} times today, which is its limit");
            let help = format!("wait until tomorrow (UTC), or raise tasks.{task}.per_day in assist.toml");
            return Err(ReleaseError::refused("assist-cap-reached", message, help));
        }
        Ok(tx.commit().await?)
    }

    pub(super) fn assist_day(&self) -> String {
        self.now().to_zoned(TimeZone::UTC).date().to_string()
    }
}

#[async_trait]
impl Action for SetAssistSwitch {
    type Output = AssistStatus;
    const NAME: &'static str = "assist.switch";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<AssistStatus, ReleaseError> {
        let reason: String = self.reason.trim().chars().take(REASON_MAX).collect();
        let row =
            SwitchRow { stopped: self.stopped, reason, at: scope.at.clone(), by: scope.actor().to_owned() };
        let mut tx = scope.begin().await?;
        tx.rows().set_assist_switch(&row).await?;
        let day = scope.engine.assist_day();
        let status = AssistStatus::read(&mut tx.rows(), day).await?;
        let kind = if self.stopped { "assist.stopped" } else { "assist.started" };
        scope.commit(tx, Record::one(kind, "assist", json!({"reason": row.reason}))).await?;
        Ok(status)
    }
}
