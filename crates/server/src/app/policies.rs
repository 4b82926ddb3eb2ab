//! The policies of tenants for model calls, and what they share with other nodes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use ashlar_gateway::{
    budget::{Granted, Returned, Row, Shared, SharedError, Wanted, grant},
    policy::{Policy, fresh_secret},
};
use ashlar_model::TenantId;
use ashlar_release::{Engine, ReleaseError};
use ashlar_store::sql::BudgetKey;
use async_trait::async_trait;

use super::tenants::lock;

/// The policy of a tenant.
#[derive(Clone)]
pub struct TenantPolicy {
    /// What calls may use.
    pub policy: Policy,
    /// What end users are hashed with; see `ashlar_gateway::policy::user_hash`.
    pub secret: [u8; 32],
}

/// The policies of this node, by tenant.
pub struct Policies {
    engine: Option<Engine>,
    known: Mutex<BTreeMap<TenantId, TenantPolicy>>,
    /// One tenant is looked up at a time, so that each has one policy.
    looking: tokio::sync::Mutex<()>,
}

/// The rows of a tenant. A node without a database has none, so calls with a budget are refused there.
struct Rows {
    engine: Option<Engine>,
    tenant: TenantId,
}

fn key(row: &Row) -> BudgetKey {
    BudgetKey { scope: row.scope.clone(), period: row.period.clone(), unit: row.unit.clone() }
}

#[async_trait]
impl Shared for Rows {
    async fn exchange(
        &self,
        returned: Vec<Returned>,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Granted>, SharedError> {
        let Some(engine) = &self.engine else {
            return Err(SharedError("this node has no database".to_owned()));
        };
        let back: Vec<(BudgetKey, u64)> = returned.iter().map(|back| (key(&back.row), back.amount)).collect();
        let asked: Vec<BudgetKey> = wanted.iter().map(|wanted| key(&wanted.row)).collect();
        let take = |number: usize, used: u64| {
            wanted.get(number).map_or(0, |wanted| grant(used, wanted).used.saturating_sub(used))
        };
        let before = engine.exchange_budgets(&self.tenant, &back, &asked, &take).await.map_err(|error| {
            tracing::warn!(tenant = %self.tenant, %error, "budgets of model calls cannot be asked");
            SharedError(error.to_string())
        })?;
        Ok(before.into_iter().zip(&wanted).map(|(used, wanted)| grant(used, wanted)).collect())
    }
}

impl Policies {
    /// None known yet.
    #[must_use]
    pub fn new(engine: Option<Engine>) -> Self {
        Self { engine, known: Mutex::default(), looking: tokio::sync::Mutex::default() }
    }

    /// The policy of a tenant. The first call of a tenant waits for the database.
    ///
    /// # Errors
    /// When the secret of the tenant cannot be read.
    pub async fn of(&self, tenant: &TenantId) -> Result<TenantPolicy, ReleaseError> {
        if let Some(known) = lock(&self.known).get(tenant) {
            return Ok(known.clone());
        }
        let _one = self.looking.lock().await;
        if let Some(known) = lock(&self.known).get(tenant) {
            return Ok(known.clone());
        }
        let secret = match &self.engine {
            Some(engine) => engine.llm_secret(tenant).await?,
            None => fresh_secret().ok_or_else(|| ReleaseError::Task("no randomness".to_owned()))?,
        };
        let rows = Rows { engine: self.engine.clone(), tenant: tenant.clone() };
        let made = TenantPolicy { policy: Policy::new(Arc::new(rows)), secret };
        lock(&self.known).insert(tenant.clone(), made.clone());
        Ok(made)
    }

    /// All that are known.
    pub fn all(&self) -> Vec<(TenantId, TenantPolicy)> {
        lock(&self.known).iter().map(|(tenant, known)| (tenant.clone(), known.clone())).collect()
    }
}
