//! A step of a schedule, ended in the transaction that moves the channel.

use ashlar_model::ReleaseId;
use ashlar_store::sql::{ChangesetRow, ChangesetState, Claim, Rows};
use serde_json::{Value, json};

use super::find::find;
use crate::ReleaseError;

/// A schedule that ran this many seconds after its time says so.
const LATE_SECONDS: i64 = 60;

/// The code of a refusal: another worker has the step.
pub(crate) const TAKEN: &str = "schedule-taken";

/// What the event log records of a step.
pub(crate) fn ran(row: &ChangesetRow, late_seconds: i64, release: Option<ReleaseId>) -> Value {
    let late = (late_seconds > LATE_SECONDS).then_some(late_seconds);
    json!({
        "state": row.state.to_string(), "late_seconds": late, "release": release, "message": row.message,
    })
}

/// A step of a schedule: what a worker promotes under a claim, so that it happens once, whoever else tries.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Who works on it, and on what.
    pub claim: Claim,
    /// Whether the changeset is taken down; otherwise it is published.
    pub ends: bool,
    /// How late it is.
    pub late_seconds: i64,
}

impl Step {
    /// Ends the step in the transaction that moves the channel; what the event log records. Refuses when another process
    /// has taken it over, or its time was changed.
    pub(crate) async fn finish(
        &self,
        rows: &mut Rows<'_>,
        release: ReleaseId,
    ) -> Result<(&'static str, String, Value), ReleaseError> {
        if !rows.end_claim(&self.claim).await? {
            return Err(ReleaseError::refused(
                TAKEN,
                format!("the schedule of `{}` was changed, or another worker has it", self.claim.changeset),
                "",
            ));
        }
        let name = &self.claim.changeset;
        let mut row = find(rows, name).await?;
        row.state = if self.ends { ChangesetState::Ended } else { ChangesetState::Published };
        row.message = match self.late_seconds > LATE_SECONDS {
            true => format!("ran {} seconds late", self.late_seconds),
            false => String::new(),
        };
        rows.put_changeset(&row).await?;
        // Drafts of a changeset that will be taken down stay in it until then.
        if self.ends || row.unpublish_at.is_none() {
            rows.clear_changeset(name).await?;
        }
        Ok(("schedule.ran", row.name.clone(), ran(&row, self.late_seconds, Some(release))))
    }
}
