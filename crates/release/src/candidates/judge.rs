//! Judging a candidate again, and giving it up.

use ashlar_model::{CandidateId, ReleaseId, Right};
use ashlar_store::sql::{CandidateRow, CandidateStatus};
use async_trait::async_trait;
use serde_json::json;

use super::docket::{candidate, head_of, judge_again};
use crate::{Action, CandidateView, ReleaseError, Scope, engine::action::Record};

/// Gives a candidate up.
#[derive(Debug, Clone)]
pub struct DiscardCandidate {
    /// The candidate.
    pub candidate: CandidateId,
}

/// Runs the gates of a candidate again, against what the public channel serves now.
#[derive(Debug, Clone)]
pub struct Rejudge {
    /// The candidate.
    pub candidate: CandidateId,
}

/// Refuses a candidate that nothing can be done with any more.
pub(super) fn check_open(row: &CandidateRow) -> Result<(), ReleaseError> {
    match row.status {
        CandidateStatus::Passed | CandidateStatus::Failed => Ok(()),
        CandidateStatus::Promoted => Err(ReleaseError::refused(
            "candidate-closed",
            format!(
                "{} was promoted already{}",
                row.id,
                row.release.map_or(String::new(), |r: ReleaseId| format!(" as {r}"))
            ),
            "create a new candidate for new changes",
        )),
        CandidateStatus::Superseded | CandidateStatus::Discarded => Err(ReleaseError::refused(
            "candidate-closed",
            format!("{} is {}", row.id, row.status),
            "create a new candidate: `ashlar candidate create`",
        )),
    }
}

#[async_trait]
impl Action for Rejudge {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.gates";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        check_open(&row)?;
        let head = head_of(&mut rows, &row.frozen.channel.clone()).await?;
        let before = row.status;
        let gates = judge_again(scope, &mut rows, &mut row, head.as_ref()).await?;
        let data = json!({"status": row.status.to_string(), "before": before.to_string()});
        scope.commit(tx, Record::one("candidate.judged", row.id.to_string(), data)).await?;
        Ok(CandidateView::of(row, gates))
    }
}

#[async_trait]
impl Action for DiscardCandidate {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.discard";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        check_open(&row)?;
        row.status = CandidateStatus::Discarded;
        rows.update_candidate(row.id, row.status, &row.frozen.derived, None).await?;
        let gates = rows.reports(row.id).await?;
        scope.commit(tx, Record::one("candidate.discarded", row.id.to_string(), json!({}))).await?;
        Ok(CandidateView::of(row, gates))
    }
}
