//! What people decide about calls of tools that change something.

use ashlar_model::{Right, TenantId};
use ashlar_store::sql::{BudgetKey, Rows};
use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    Engine, ReleaseError,
    engine::action::{Action, Record, Scope},
};

/// What is counted of a request for approval.
const APPROVED: &str = "approved";
const REFUSED: &str = "refused";
const USED: &str = "used";

/// A call of a tool that somebody was asked to approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRequest {
    /// Its id.
    pub id: String,
    /// When it expires, in seconds since 1970.
    pub expires: i64,
}

/// What was decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolDecision {
    /// Nothing yet.
    Open,
    /// It may be run.
    Approved,
    /// It may not be run.
    Refused,
    /// It was approved and run.
    Used,
}

/// Approves or refuses a call of a tool.
#[derive(Debug, Clone)]
pub struct DecideToolCall {
    /// The request.
    pub request: ToolRequest,
    /// The tool.
    pub tool: String,
    /// What is written down about the call.
    pub about: Value,
    /// Whether it may be run.
    pub approve: bool,
}

/// The counter of a request. It is a row of the budgets, because it is shared in the same way: what was taken stays taken on all nodes.
fn key(request: &ToolRequest, unit: &str) -> BudgetKey {
    let at = Timestamp::from_second(request.expires).unwrap_or_default();
    let period = at.to_zoned(TimeZone::UTC).date().to_string();
    BudgetKey { scope: format!("approval/{}", request.id), period, unit: unit.to_owned() }
}

async fn decision(rows: &mut Rows<'_>, request: &ToolRequest) -> Result<ToolDecision, ReleaseError> {
    for (unit, decision) in
        [(REFUSED, ToolDecision::Refused), (USED, ToolDecision::Used), (APPROVED, ToolDecision::Approved)]
    {
        if rows.budget_used(&key(request, unit)).await? > 0 {
            return Ok(decision);
        }
    }
    Ok(ToolDecision::Open)
}

#[async_trait]
impl Action for DecideToolCall {
    type Output = ();
    const NAME: &'static str = "llm.tool_decide";

    fn right(&self) -> Right {
        Right::Approve(format!("tool:{}", self.tool))
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let mut tx = scope.begin().await?;
        if decision(&mut tx.rows(), &self.request).await? != ToolDecision::Open {
            let message = "this call was decided already";
            let help = "repeat the call of the model to get a new request";
            return Err(ReleaseError::refused("already-decided", message, help));
        }
        let (unit, kind) = match self.approve {
            true => (APPROVED, "llm.tool_approved"),
            false => (REFUSED, "llm.tool_refused"),
        };
        tx.rows().move_budget(&key(&self.request, unit), 1, 0).await?;
        let data = json!({"request": self.request.id, "call": self.about});
        scope.commit(tx, Record::one(kind, self.tool.clone(), data)).await
    }
}

impl Engine {
    /// What was decided about a request. `uses`: an approval counts as used from now on.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn tool_decision(
        &self,
        tenant: &TenantId,
        request: &ToolRequest,
        uses: bool,
    ) -> Result<ToolDecision, ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        let decided = decision(&mut tx.rows(), request).await?;
        if uses && decided == ToolDecision::Approved {
            tx.rows().move_budget(&key(request, USED), 1, 0).await?;
        }
        tx.commit().await?;
        Ok(decided)
    }
}
