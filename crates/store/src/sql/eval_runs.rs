//! Runs of eval suites by servers.

use ashlar_model::{Digest, EvalRunId, TenantId};
use sqlx::any::AnyRow;

use super::{
    db::{Db, Rows},
    error::SqlError,
    followers::Lease,
    values::{int, number, parsed, text, unsigned},
};

/// A run of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalRunRow {
    /// Its number in the tenant.
    pub id: EvalRunId,
    /// The suite.
    pub suite: String,
    /// The release or candidate that is asked: `r3`, `c4`.
    pub subject: String,
    /// The root of its definitions.
    pub definitions: Digest,
    /// `asked` or `schedule`.
    pub reason: String,
    /// The turn of its schedule; empty when somebody asked for it.
    pub slot: String,
    /// What the room that judges keeps of it, as JSON.
    pub settings: String,
    /// `running`, `ended` or `cancelled`.
    pub state: String,
    /// `pass`, `fail` or `incomplete`; empty before the end.
    pub verdict: String,
    /// Why it ended without a verdict; empty otherwise.
    pub why: String,
    /// When it was started, RFC 3339.
    pub created_at: String,
    /// Who started it.
    pub created_by: String,
    /// When it ended, RFC 3339; empty before.
    pub ended_at: String,
    /// Replies that are wanted.
    pub replies: u64,
    /// Replies that are there, those that could not be had included.
    pub done: u64,
    /// Of these, replies that meet all expectations.
    pub passed: u64,
    /// Of these, replies that could not be had.
    pub errors: u64,
    /// What they cost, in picounits.
    pub cost: u64,
    /// What it may cost, in picounits; 0 when nothing says.
    pub cost_max: u64,
    /// When it ends at the latest, RFC 3339; empty when nothing says.
    pub ends_by: String,
}

/// The columns of a run without its summary, which is large.
const RUN: &str = "id, suite, subject, definitions, reason, slot, settings, state, verdict, why, created_at, created_by, ended_at, \
    replies, done, passed, errors, cost, cost_max, ends_by";

fn run_of(row: &AnyRow) -> Result<EvalRunRow, SqlError> {
    Ok(EvalRunRow {
        id: EvalRunId(number(row, "id")?),
        suite: text(row, "suite")?,
        subject: text(row, "subject")?,
        definitions: parsed(row, "definitions")?,
        reason: text(row, "reason")?,
        slot: text(row, "slot")?,
        settings: text(row, "settings")?,
        state: text(row, "state")?,
        verdict: text(row, "verdict")?,
        why: text(row, "why")?,
        created_at: text(row, "created_at")?,
        created_by: text(row, "created_by")?,
        ended_at: text(row, "ended_at")?,
        replies: unsigned(row, "replies")?,
        done: unsigned(row, "done")?,
        passed: unsigned(row, "passed")?,
        errors: unsigned(row, "errors")?,
        cost: unsigned(row, "cost")?,
        cost_max: unsigned(row, "cost_max")?,
        ends_by: text(row, "ends_by")?,
    })
}

impl Db {
    /// Runs that have not ended, of all tenants, the oldest of each tenant first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn running_evals(&self, limit: u32) -> Result<Vec<(TenantId, EvalRunRow)>, SqlError> {
        let sql = format!(
            "SELECT tenant, {RUN} FROM eval_runs WHERE state = 'running' ORDER BY tenant, id LIMIT $1"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((parsed(row, "tenant")?, run_of(row)?))).collect()
    }
}

impl Rows<'_> {
    /// Stores a new run. `false` when its turn of the schedule has a run already.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_eval_run(&mut self, row: &EvalRunRow) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "INSERT INTO eval_runs (tenant, id, suite, subject, definitions, reason, slot, settings, state, verdict, why, \
             created_at, created_by, ended_at, replies, done, passed, errors, cost, cost_max, ends_by, owner, leased_until, summary) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', $10, $11, '', $12, 0, 0, 0, 0, $13, $14, '', '', '') \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.t())
        .bind(i64::from(row.id.0))
        .bind(row.suite.clone())
        .bind(row.subject.clone())
        .bind(row.definitions.to_string())
        .bind(row.reason.clone())
        .bind(row.slot.clone())
        .bind(row.settings.clone())
        .bind(row.state.clone())
        .bind(row.created_at.clone())
        .bind(row.created_by.clone())
        .bind(int(row.replies))
        .bind(int(row.cost_max))
        .bind(row.ends_by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes the right to end a run. `false` when another process has it, or the run has ended.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn lease_eval_end(&mut self, run: EvalRunId, lease: &Lease<'_>) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE eval_runs SET owner = $3, leased_until = $5 WHERE tenant = $1 AND id = $2 AND state = 'running' \
             AND (owner = '' OR owner = $3 OR leased_until < $4 OR leased_until > $6)",
        )
        .bind(self.t())
        .bind(i64::from(run.0))
        .bind(lease.owner.to_owned())
        .bind(lease.now.to_owned())
        .bind(lease.until.to_owned())
        .bind(lease.latest.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a run that has not ended: `ended` with a verdict and a summary, or `cancelled`. `false` when it had ended before.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_eval_run(
        &mut self,
        run: EvalRunId,
        (state, verdict, why): (&str, &str, &str),
        (ended_at, summary): (&str, &str),
    ) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE eval_runs SET state = $3, verdict = $4, why = $5, ended_at = $6, summary = $7, owner = '', leased_until = '' \
             WHERE tenant = $1 AND id = $2 AND state = 'running'",
        )
        .bind(self.t())
        .bind(i64::from(run.0))
        .bind(state.to_owned())
        .bind(verdict.to_owned())
        .bind(why.to_owned())
        .bind(ended_at.to_owned())
        .bind(summary.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// A run.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_run(&mut self, run: EvalRunId) -> Result<Option<EvalRunRow>, SqlError> {
        let sql = format!("SELECT {RUN} FROM eval_runs WHERE tenant = $1 AND id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(i64::from(run.0))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(run_of).transpose()
    }

    /// The summary of a run; empty before its end.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_summary(&mut self, run: EvalRunId) -> Result<Option<String>, SqlError> {
        let row = sqlx::query("SELECT summary FROM eval_runs WHERE tenant = $1 AND id = $2")
            .bind(self.t())
            .bind(i64::from(run.0))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map(|row| text(&row, "summary")).transpose()
    }

    /// Runs below a number, newest first; `suite` empty for all.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_runs(
        &mut self,
        suite: &str,
        below: u64,
        limit: u32,
    ) -> Result<Vec<EvalRunRow>, SqlError> {
        let sql = format!(
            "SELECT {RUN} FROM eval_runs WHERE tenant = $1 AND ($2 = '' OR suite = $2) AND id < $3 ORDER BY id DESC LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(suite.to_owned())
            .bind(int(below))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(run_of).collect()
    }

    /// Runs of the tenant that have not ended; `suite` empty for all suites.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn running_evals(&mut self, suite: &str) -> Result<u64, SqlError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS many FROM eval_runs WHERE tenant = $1 AND state = 'running' AND ($2 = '' OR suite = $2)",
        )
        .bind(self.t())
        .bind(suite.to_owned())
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned(&row, "many")
    }

    /// The newest run of a schedule below a number that has a verdict other than `incomplete`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn last_scheduled_eval(
        &mut self,
        suite: &str,
        below: EvalRunId,
    ) -> Result<Option<EvalRunRow>, SqlError> {
        let sql = format!(
            "SELECT {RUN} FROM eval_runs WHERE tenant = $1 AND suite = $2 AND slot <> '' AND verdict IN ('pass', 'fail') \
             AND id < $3 ORDER BY id DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(suite.to_owned())
            .bind(i64::from(below.0))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(run_of).transpose()
    }

    /// Whether a turn of a schedule has a run.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn has_eval_slot(&mut self, suite: &str, slot: &str) -> Result<bool, SqlError> {
        let row = sqlx::query(
            "SELECT 1 AS one FROM eval_runs WHERE tenant = $1 AND suite = $2 AND slot = $3 AND slot <> ''",
        )
        .bind(self.t())
        .bind(suite.to_owned())
        .bind(slot.to_owned())
        .fetch_optional(&mut *self.conn)
        .await?;
        Ok(row.is_some())
    }

    /// Deletes runs that ended before a time and have no cases any more, except the newest complete one of each schedule.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_eval_runs(&mut self, before: &str) -> Result<u64, SqlError> {
        let removed = sqlx::query(
            "DELETE FROM eval_runs WHERE tenant = $1 AND state <> 'running' AND ended_at < $2 \
             AND NOT EXISTS (SELECT 1 FROM eval_cases c WHERE c.tenant = $1 AND c.run = eval_runs.id) \
             AND id NOT IN (SELECT MAX(id) FROM eval_runs WHERE tenant = $1 AND slot <> '' AND verdict IN ('pass', 'fail') \
             GROUP BY suite)",
        )
        .bind(self.t())
        .bind(before.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(removed.rows_affected())
    }
}
