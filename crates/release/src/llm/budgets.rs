//! Budgets that nodes share.

use ashlar_model::{Right, TenantId};
use ashlar_store::sql::BudgetKey;
use async_trait::async_trait;
use serde_json::json;

use crate::{
    Engine, ReleaseError,
    engine::action::{Action, Record, Scope},
};

/// Bytes of the secret that end users are hashed with.
const SECRET_BYTES: usize = 32;

/// Tells everybody that a budget of model calls is nearly used.
#[derive(Debug, Clone)]
pub struct WarnBudget {
    /// The budget.
    pub budget: BudgetKey,
    /// How much is used, as far as a node knows.
    pub used: u64,
    /// The limit.
    pub limit: u64,
}

#[async_trait]
impl Action for WarnBudget {
    type Output = ();
    const NAME: &'static str = "llm.budget_warn";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let tx = scope.begin().await?;
        let BudgetKey { scope: of, period, unit } = &self.budget;
        let data = json!({"period": period, "unit": unit, "used": self.used, "limit": self.limit});
        scope.commit(tx, Record::one("llm.budget_soft", of, data)).await
    }
}

impl Engine {
    /// Gives back to budgets, and takes from others, in one transaction. `take` says for each of `asked`, from what is taken of it, how much
    /// is taken now. Returns what was taken of each before.
    ///
    /// # Errors
    /// When the database refuses. The transaction may have been committed all the same.
    pub async fn exchange_budgets(
        &self,
        tenant: &TenantId,
        returned: &[(BudgetKey, u64)],
        asked: &[BudgetKey],
        take: &(dyn Fn(usize, u64) -> u64 + Sync),
    ) -> Result<Vec<u64>, ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        for (key, amount) in returned {
            tx.rows().move_budget(key, 0, *amount).await?;
        }
        let mut before = Vec::with_capacity(asked.len());
        for (number, key) in asked.iter().enumerate() {
            let used = tx.rows().budget_used(key).await?;
            let more = take(number, used);
            if more > 0 {
                tx.rows().move_budget(key, more, 0).await?;
            }
            before.push(used);
        }
        tx.commit().await?;
        Ok(before)
    }

    /// What the end users of a tenant are hashed with. It is the same on all nodes.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn llm_secret(&self, tenant: &TenantId) -> Result<[u8; SECRET_BYTES], ReleaseError> {
        let mut offered = [0; SECRET_BYTES];
        getrandom::fill(&mut offered).map_err(|e| ReleaseError::Task(format!("no randomness: {e}")))?;
        let mut tx = self.db().write(tenant).await?;
        let stored = tx.rows().llm_secret(&hex::encode(offered)).await?;
        tx.commit().await?;
        let mut secret = [0; SECRET_BYTES];
        hex::decode_to_slice(&stored, &mut secret).map_err(|e| ReleaseError::Corrupt {
            what: "the secret that end users are hashed with".to_owned(),
            why: e.to_string(),
        })?;
        Ok(secret)
    }
}
