//! Who asks which case: leases that run out with the process that has them, and outcomes that are written once.

use ashlar_model::{EvalRunId, TenantId};
use ashlar_store::sql::{EvalOutcomeRow, EvalRunRow, Lease, LeasedCase, stamp};
use jiff::{SignedDuration, Timestamp};

use crate::{Engine, ReleaseError};

/// How long a lease is good for; a process that works on renews it.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often a case is begun. A case at which processes died this often is given up.
const ATTEMPTS_MAX: u64 = 3;
/// The most runs that one round looks at.
const RUNNING_MAX: u32 = 2_000;
/// For how many days what came back is kept, and for how many days the figures are.
const OUTCOME_DAYS: i64 = 90;
const RUN_DAYS: i64 = 800;
/// Cases that are deleted in one transaction.
const PRUNED_MAX: u32 = 1_000;

/// The times of a lease.
struct Times {
    now: String,
    until: String,
}

impl Times {
    fn at(now: Timestamp) -> Self {
        Self { now: stamp(now), until: stamp(now.saturating_add(LEASE).unwrap_or(now)) }
    }

    fn lease<'a>(&'a self, owner: &'a str) -> Lease<'a> {
        Lease { owner, now: &self.now, until: &self.until, latest: &self.until }
    }
}

/// Whether a run has nothing left to ask, or must not ask. With its cap of money, replies under way are awaited.
fn is_over(row: &EvalRunRow, now: &str, leased: u64) -> bool {
    let spent = row.cost_max > 0 && row.cost >= row.cost_max;
    row.done >= row.replies
        || (!row.ends_by.is_empty() && row.ends_by.as_str() <= now)
        || (spent && leased == 0)
}

impl Engine {
    /// Runs that go on, of all tenants.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn running_evals(&self) -> Result<Vec<(TenantId, EvalRunRow)>, ReleaseError> {
        Ok(self.db().running_evals(RUNNING_MAX).await?)
    }

    /// Takes cases of a run that nobody asks, at most so many. Nothing is taken of a run that is over or has spent its money. `given_up` is the
    /// outcome of a case that ended every process that asked it.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn lease_eval_cases(
        &self,
        tenant: &TenantId,
        run: EvalRunId,
        limit: u32,
        given_up: &str,
    ) -> Result<Vec<LeasedCase>, ReleaseError> {
        let times = Times::at(self.now());
        let mut tx = self.db().write(tenant).await?;
        let mut rows = tx.rows();
        let row = rows.eval_run(run).await?;
        let open = row.is_some_and(|row| row.state == "running" && !is_over(&row, &times.now, 0));
        if !open {
            return Ok(Vec::new());
        }
        let leased = rows.lease_eval_cases(run, &times.lease(self.owner()), ATTEMPTS_MAX, limit).await?;
        if leased.len() < limit as usize {
            let given =
                rows.give_up_eval_cases(run, (&times.now, &times.until), ATTEMPTS_MAX, given_up).await?;
            if given > 0 {
                tracing::error!(%tenant, %run, given, "cases are given up: processes ended {ATTEMPTS_MAX} times while they asked them");
            }
        }
        tx.commit().await?;
        Ok(leased)
    }

    /// Keeps the cases that this process asks for a tenant.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn renew_eval_cases(&self, tenant: &TenantId) -> Result<(), ReleaseError> {
        let times = Times::at(self.now());
        let mut tx = self.db().write(tenant).await?;
        tx.rows().renew_eval_cases(self.owner(), &times.until).await?;
        Ok(tx.commit().await?)
    }

    /// Writes what came back. What is there already stays, and a run that has ended takes nothing. Returns how many were written.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_eval_outcomes(
        &self,
        tenant: &TenantId,
        outcomes: &mut [EvalOutcomeRow],
    ) -> Result<u64, ReleaseError> {
        outcomes.sort_by_key(|outcome| (outcome.run, outcome.number));
        let mut tx = self.db().write(tenant).await?;
        let written = tx.rows().put_eval_outcomes(outcomes).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Whether a run is over and this process is the one to end it.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn lease_eval_end(&self, tenant: &TenantId, seen: &EvalRunRow) -> Result<bool, ReleaseError> {
        let times = Times::at(self.now());
        // Most runs that are looked at go on: no transaction is needed to see that.
        if !is_over(seen, &times.now, 0) {
            return Ok(false);
        }
        let mut tx = self.db().write(tenant).await?;
        let mut rows = tx.rows();
        let leased = rows.leased_eval_cases(seen.id, &times.now, &times.until).await?;
        let row = rows.eval_run(seen.id).await?;
        if !row.is_some_and(|row| is_over(&row, &times.now, leased)) {
            return Ok(false);
        }
        let ours = rows.lease_eval_end(seen.id, &times.lease(self.owner())).await?;
        tx.commit().await?;
        Ok(ours)
    }

    /// What came back in a run, from a place on, at most so many.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn eval_outcomes(
        &self,
        tenant: &TenantId,
        run: EvalRunId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, ReleaseError> {
        let mut conn = self.db().read(tenant).await?;
        Ok(conn.rows().eval_outcomes(run, from, limit).await?)
    }

    /// Deletes what was kept long enough: answers first, figures later. The newest complete run of each schedule stays, since the next one is
    /// compared with it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_evals(&self, tenant: &TenantId) -> Result<u64, ReleaseError> {
        let now = self.now();
        let ago = |days: i64| {
            stamp(now.checked_sub(SignedDuration::from_hours(days * 24)).unwrap_or(Timestamp::UNIX_EPOCH))
        };
        let mut removed = 0;
        loop {
            // A transaction holds up everybody else who writes.
            let mut tx = self.db().write(tenant).await?;
            let some = tx.rows().prune_eval_cases(&ago(OUTCOME_DAYS), PRUNED_MAX).await?;
            tx.commit().await?;
            removed += some;
            if some == 0 {
                break;
            }
        }
        let mut tx = self.db().write(tenant).await?;
        tx.rows().prune_eval_runs(&ago(RUN_DAYS)).await?;
        tx.commit().await?;
        Ok(removed)
    }
}
