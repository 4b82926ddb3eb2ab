//! Letting a candidate through: approvals and waivers.

use ashlar_model::{CandidateId, Digest, GateReport, Right, Waiver};
use ashlar_store::sql::{CandidateRow, CandidateStatus, ReleaseRow, Rows};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    docket::{candidate, docket, head_of, judge_again, judge_staged},
    judge::check_open,
};
use crate::{Action, CandidateView, ReleaseError, Scope, engine::action::Record};

/// Approves the changes of a candidate that need a right. The approval is tied to the digest of exactly these changes:
/// it is valid for every candidate that contains the same, and for none that contains others.
#[derive(Debug, Clone)]
pub struct Approve {
    /// The candidate.
    pub candidate: CandidateId,
    /// The right: `pricing`, `legal`, `claim`, `owner:NAME`.
    pub right: String,
}

/// The outcome of an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalGiven {
    /// The right it was given under.
    pub right: String,
    /// Who gave it.
    pub by: String,
    /// The digest of what was approved.
    pub change: Digest,
    /// What was approved, for people.
    pub subjects: Vec<String>,
    /// The candidate in its current state.
    #[serde(flatten)]
    pub candidate: CandidateView,
}

/// Lets a failed gate of a candidate through, with a reason.
#[derive(Debug, Clone)]
pub struct Waive {
    /// The candidate.
    pub candidate: CandidateId,
    /// The gate.
    pub gate: String,
    /// Why.
    pub reason: String,
}

/// As [`judge_again`], also for a candidate that is a release already: an approval or waiver may be what keeps it from the
/// public channel.
async fn judge_with(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    row: &mut CandidateRow,
    head: Option<&ReleaseRow>,
) -> Result<Vec<GateReport>, ReleaseError> {
    match row.status {
        CandidateStatus::Promoted => judge_staged(scope, rows, row, head).await,
        _ => judge_again(scope, rows, row, head).await,
    }
}

/// A candidate that can be approved or waived: it is open, or staged.
fn check_judged(row: &CandidateRow, head: Option<&ReleaseRow>) -> Result<(), ReleaseError> {
    match row.status {
        CandidateStatus::Promoted if row.release != head.map(|h| h.id) => Ok(()),
        _ => check_open(row),
    }
}

#[async_trait]
impl Action for Approve {
    type Output = ApprovalGiven;
    const NAME: &'static str = "candidate.approve";

    fn right(&self) -> Right {
        Right::Approve(self.right.clone())
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ApprovalGiven, ReleaseError> {
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        let head = head_of(&mut rows, &row.frozen.channel.clone()).await?;
        check_judged(&row, head.as_ref())?;
        let docket = docket(scope, &mut rows, &row, head.as_ref()).await?;
        let required = scope.blocking(move || docket.required()).await?;
        let by = scope.actor();
        // One for what changes now, and one for what the changeset declares to end.
        let needed: Vec<_> = required.iter().filter(|r| r.right == self.right).collect();
        let Some(first) = needed.first() else {
            let rights: Vec<_> = required.iter().map(|r| r.right.as_str()).collect();
            let help = match rights.is_empty() {
                true => "it needs no approval at all".to_owned(),
                false => format!("it needs: {}", rights.join(", ")),
            };
            let message = format!("{} needs no approval under `{}`", row.id, self.right);
            return Err(ReleaseError::refused("approval-not-needed", message, help));
        };
        if needed.iter().any(|n| n.authors.contains(by)) {
            let message = format!("{by} is an author of these changes, and nobody approves their own change");
            let help = "ask somebody else who has the right";
            return Err(ReleaseError::refused("own-change", message, help));
        }
        let rules = scope.engine.rules(&scope.ctx.tenant, &row.frozen.definitions).await?;
        let holders = rules.approvers.get(&self.right);
        if holders.is_none() && needed.iter().any(|n| n.assisted) {
            let message = format!(
                "a model wrote some of these changes, and governance.toml names nobody who may approve that under `{}`",
                self.right
            );
            let help =
                format!("add [approvals.{}] with `people` to governance.toml, and push it", self.right);
            return Err(ReleaseError::refused("not-an-approver", message, help));
        }
        if let Some(holders) = holders
            && !holders.contains(by)
        {
            let names: Vec<_> = holders.iter().map(String::as_str).collect();
            let message = format!("{by} does not have the approval right `{}`", self.right);
            let help = format!("governance.toml names: {}", names.join(", "));
            return Err(ReleaseError::refused("not-an-approver", message, help));
        }
        let change = first.change;
        let subjects: Vec<String> = needed.iter().flat_map(|n| n.subjects.clone()).collect();
        for needed in &needed {
            rows.insert_approval(&self.right, &needed.change, by, &scope.at).await?;
        }
        let gates = judge_with(scope, &mut rows, &mut row, head.as_ref()).await?;
        let data = json!({"right": self.right, "change": change, "subjects": subjects, "status": row.status.to_string()});
        let by = by.to_owned();
        scope.commit(tx, Record::one("candidate.approved", row.id.to_string(), data)).await?;
        Ok(ApprovalGiven {
            right: self.right,
            by,
            change,
            subjects,
            candidate: CandidateView::of(row, gates),
        })
    }
}

#[async_trait]
impl Action for Waive {
    type Output = CandidateView;
    const NAME: &'static str = "candidate.waive";

    fn right(&self) -> Right {
        Right::Waive
    }

    async fn act(self, scope: &Scope<'_>) -> Result<CandidateView, ReleaseError> {
        let reason = self.reason.trim();
        if reason.is_empty() || reason.len() > 2000 {
            return Err(ReleaseError::invalid(
                "a waiver needs a reason of 1 to 2000 characters",
                "give a reason",
            ));
        }
        let _hold = scope.rely().await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = candidate(&mut rows, self.candidate).await?;
        let head = head_of(&mut rows, &row.frozen.channel.clone()).await?;
        check_judged(&row, head.as_ref())?;
        let reports = rows.reports(row.id).await?;
        if !reports.iter().any(|r| r.gate == self.gate) {
            let names: Vec<_> = reports.iter().map(|r| r.gate.as_str()).collect();
            let all = format!("gates are: {}", names.join(", "));
            let help = ashlar_model::nearest_of(&self.gate, names.iter().copied(), &all);
            return Err(ReleaseError::not_found("gate", &self.gate, help));
        }
        let waiver = Waiver { by: scope.actor().to_owned(), reason: reason.to_owned(), at: scope.at.clone() };
        rows.put_waiver(row.id, &self.gate, &waiver).await?;
        let gates = judge_with(scope, &mut rows, &mut row, head.as_ref()).await?;
        if gates.iter().any(|g| g.gate == self.gate && !g.status.lets_through()) {
            let by = scope.actor();
            let message = format!(
                "the gate `{}` does not take a waiver of {by}: a model wrote some of the changes",
                self.gate
            );
            let help = "a person whom governance.toml names in [approvals.assisted], and who did not ask for the text, approves it";
            return Err(ReleaseError::refused("waiver-not-allowed", message, help));
        }
        let data = json!({"gate": self.gate, "reason": reason, "status": row.status.to_string()});
        scope.commit(tx, Record::one("candidate.waived", row.id.to_string(), data)).await?;
        Ok(CandidateView::of(row, gates))
    }
}
