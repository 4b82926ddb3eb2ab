//! The cases of runs of eval suites: who asks which, and what came back.

use ashlar_model::EvalRunId;
use sqlx::{Row, any::AnyRow};

use super::{
    db::{Db, Rows},
    error::SqlError,
    followers::Lease,
    values::{ROWS_MAX, int, number, text, unsigned},
};

/// A reply that a run wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvalCase {
    /// The case.
    pub case: String,
    /// The sample, from 0.
    pub sample: u32,
}

/// A reply that this process is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedCase {
    /// Its place in the run, from 0.
    pub number: u64,
    /// The case.
    pub case: String,
    /// The sample, from 0.
    pub sample: u32,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalOutcomeRow {
    /// The run.
    pub run: EvalRunId,
    /// Its place in the run, from 0.
    pub number: u64,
    /// What came back, as JSON.
    pub outcome: String,
    /// Whether it meets all expectations.
    pub passed: bool,
    /// Whether it could not be had.
    pub error: bool,
    /// What it cost, in picounits.
    pub cost: u64,
}

/// A case whose lease is over. `$3` is now, and `$4` the latest time that a lease of now can end: a later one is of a wrong clock.
const FREE: &str = "state = 'open' AND (owner = '' OR leased_until < $3 OR leased_until > $4)";

impl Db {
    /// Lets go of every case that a process asks: it stops in good order, and nobody has to wait for its leases to run out.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn release_evals(&self, owner: &str) -> Result<(), SqlError> {
        for statement in [
            "UPDATE eval_cases SET owner = '', leased_until = '', attempts = attempts - 1 \
             WHERE state = 'open' AND owner = $1",
            "UPDATE eval_runs SET owner = '', leased_until = '' WHERE state = 'running' AND owner = $1",
        ] {
            sqlx::query(statement).bind(owner.to_owned()).execute(&self.pool).await?;
        }
        Ok(())
    }
}

impl Rows<'_> {
    /// Stores the replies that a run wants, in their order.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_eval_cases(&mut self, run: EvalRunId, cases: &[NewEvalCase]) -> Result<(), SqlError> {
        for (chunk, some) in cases.chunks(ROWS_MAX).enumerate() {
            let row = |i: usize| {
                let n = i * 3 + 3;
                format!("($1, $2, ${n}, ${}, ${}, 'open', '', '', 0, '')", n + 1, n + 2)
            };
            let sql = format!(
                "INSERT INTO eval_cases (tenant, run, number, case_id, sample, state, owner, leased_until, attempts, outcome) \
                 VALUES {}",
                (0..some.len()).map(row).collect::<Vec<_>>().join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t()).bind(i64::from(run.0));
            for (i, case) in some.iter().enumerate() {
                query = query
                    .bind(int((chunk * ROWS_MAX + i) as u64))
                    .bind(case.case.clone())
                    .bind(i64::from(case.sample));
            }
            query.execute(&mut *self.conn).await?;
        }
        Ok(())
    }

    /// Takes replies of a run that nobody is getting, at most so many, in their order. One that was begun `attempts_max` times is not taken.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn lease_eval_cases(
        &mut self,
        run: EvalRunId,
        lease: &Lease<'_>,
        attempts_max: u64,
        limit: u32,
    ) -> Result<Vec<LeasedCase>, SqlError> {
        let sql = format!(
            "UPDATE eval_cases SET owner = $5, leased_until = $6, attempts = attempts + 1 \
             WHERE tenant = $1 AND run = $2 AND {FREE} AND number IN \
             (SELECT number FROM eval_cases WHERE tenant = $1 AND run = $2 AND {FREE} AND attempts < $7 ORDER BY number LIMIT $8) \
             AND EXISTS (SELECT 1 FROM eval_runs WHERE tenant = $1 AND id = $2 AND state = 'running') \
             RETURNING number, case_id, sample"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(i64::from(run.0))
            .bind(lease.now.to_owned())
            .bind(lease.latest.to_owned())
            .bind(lease.owner.to_owned())
            .bind(lease.until.to_owned())
            .bind(int(attempts_max))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        let leased = |row: &AnyRow| {
            Ok(LeasedCase {
                number: unsigned(row, "number")?,
                case: text(row, "case_id")?,
                sample: number(row, "sample")?,
            })
        };
        let mut leased: Vec<LeasedCase> = rows.iter().map(leased).collect::<Result<_, SqlError>>()?;
        leased.sort_by_key(|case| case.number);
        Ok(leased)
    }

    /// Keeps what a process is getting of the tenant for longer.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn renew_eval_cases(&mut self, owner: &str, until: &str) -> Result<u64, SqlError> {
        let done = sqlx::query(
            "UPDATE eval_cases SET leased_until = $3 WHERE tenant = $1 AND state = 'open' AND owner = $2",
        )
        .bind(self.t())
        .bind(owner.to_owned())
        .bind(until.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected())
    }

    /// How many replies of a run somebody is getting.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn leased_eval_cases(
        &mut self,
        run: EvalRunId,
        now: &str,
        latest: &str,
    ) -> Result<u64, SqlError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS many FROM eval_cases WHERE tenant = $1 AND run = $2 AND state = 'open' \
             AND owner <> '' AND leased_until >= $3 AND leased_until <= $4",
        )
        .bind(self.t())
        .bind(i64::from(run.0))
        .bind(now.to_owned())
        .bind(latest.to_owned())
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned(&row, "many")
    }

    /// Gives an outcome to replies that were begun `attempts_max` times and are with nobody. Returns how many there were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn give_up_eval_cases(
        &mut self,
        run: EvalRunId,
        (now, latest): (&str, &str),
        attempts_max: u64,
        outcome: &str,
    ) -> Result<u64, SqlError> {
        let sql = format!(
            "UPDATE eval_cases SET state = 'done', owner = '', leased_until = '', outcome = $6 \
             WHERE tenant = $1 AND run = $2 AND {FREE} AND attempts >= $5"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(i64::from(run.0))
            .bind(now.to_owned())
            .bind(latest.to_owned())
            .bind(int(attempts_max))
            .bind(outcome.to_owned())
            .execute(&mut *self.conn)
            .await?
            .rows_affected();
        if done > 0 {
            self.count_eval_cases(run, [done, 0, done], 0).await?;
        }
        Ok(done)
    }

    /// Writes what came back, unless it is there already or the run has ended. Returns how many were written.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_eval_outcomes(&mut self, outcomes: &[EvalOutcomeRow]) -> Result<u64, SqlError> {
        let mut written = 0;
        for run in outcomes.chunk_by(|a, b| a.run == b.run) {
            let (mut counts, mut cost) = ([0_u64; 3], 0_u64);
            for outcome in run {
                let done = sqlx::query(
                    "UPDATE eval_cases SET state = 'done', owner = '', leased_until = '', outcome = $4 \
                     WHERE tenant = $1 AND run = $2 AND number = $3 AND state = 'open' \
                     AND EXISTS (SELECT 1 FROM eval_runs WHERE tenant = $1 AND id = $2 AND state = 'running')",
                )
                .bind(self.t())
                .bind(i64::from(outcome.run.0))
                .bind(int(outcome.number))
                .bind(outcome.outcome.clone())
                .execute(&mut *self.conn)
                .await?
                .rows_affected();
                if done > 0 {
                    counts = [
                        counts[0] + 1,
                        counts[1] + u64::from(outcome.passed),
                        counts[2] + u64::from(outcome.error),
                    ];
                    cost = cost.saturating_add(outcome.cost);
                }
            }
            if let (Some(first), true) = (run.first(), counts[0] > 0) {
                self.count_eval_cases(first.run, counts, cost).await?;
                written += counts[0];
            }
        }
        Ok(written)
    }

    /// Adds to what a run counts: replies, those that pass, those that could not be had, and picounits.
    async fn count_eval_cases(
        &mut self,
        run: EvalRunId,
        [done, passed, errors]: [u64; 3],
        cost: u64,
    ) -> Result<(), SqlError> {
        // A sum that the column cannot have is its largest value.
        sqlx::query(
            "UPDATE eval_runs SET done = done + $3, passed = passed + $4, errors = errors + $5, \
             cost = CASE WHEN cost > $7 THEN 9223372036854775807 ELSE cost + $6 END WHERE tenant = $1 AND id = $2",
        )
        .bind(self.t())
        .bind(i64::from(run.0))
        .bind(int(done))
        .bind(int(passed))
        .bind(int(errors))
        .bind(int(cost))
        .bind(i64::MAX - int(cost))
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// What came back in a run, from a place on: the place and the outcome. At most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn eval_outcomes(
        &mut self,
        run: EvalRunId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, SqlError> {
        let rows = sqlx::query(
            "SELECT number, outcome FROM eval_cases WHERE tenant = $1 AND run = $2 AND number >= $3 AND state = 'done' \
             ORDER BY number LIMIT $4",
        )
        .bind(self.t())
        .bind(i64::from(run.0))
        .bind(int(from))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|row| Ok((unsigned(row, "number")?, text(row, "outcome")?))).collect()
    }

    /// Deletes cases of runs that ended before a time, at most so many. Returns how many were deleted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_eval_cases(&mut self, before: &str, most: u32) -> Result<u64, SqlError> {
        // The cases of the oldest such run that still has some.
        let oldest = sqlx::query(
            "SELECT id FROM eval_runs r WHERE r.tenant = $1 AND r.state <> 'running' AND r.ended_at < $2 \
             AND EXISTS (SELECT 1 FROM eval_cases c WHERE c.tenant = $1 AND c.run = r.id) ORDER BY r.id LIMIT 1",
        )
        .bind(self.t())
        .bind(before.to_owned())
        .fetch_optional(&mut *self.conn)
        .await?;
        let Some(oldest) = oldest else { return Ok(0) };
        let id: i64 =
            oldest.try_get("id").map_err(|e| SqlError::Damaged { column: "id", message: e.to_string() })?;
        let removed = sqlx::query(
            "DELETE FROM eval_cases WHERE tenant = $1 AND run = $2 AND number IN \
             (SELECT number FROM eval_cases WHERE tenant = $1 AND run = $2 ORDER BY number LIMIT $3)",
        )
        .bind(self.t())
        .bind(id)
        .bind(i64::from(most))
        .execute(&mut *self.conn)
        .await?;
        Ok(removed.rows_affected())
    }
}
