//! Budgets, records and usage of model calls.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{ROWS_MAX, int, text, unsigned},
};

/// The row of a budget in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetKey {
    /// Whose budget it is.
    pub scope: String,
    /// The day or month.
    pub period: String,
    /// What is counted.
    pub unit: String,
}

/// The record of a model call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    /// Its name in the tenant; later calls have greater ones.
    pub id: String,
    /// The feature.
    pub feature: String,
    /// The key.
    pub key: String,
    /// A hash of the end user; empty when the call named none.
    pub user: String,
    /// `ok`, or what went wrong.
    pub outcome: String,
    /// The record as JSON.
    pub data: String,
    /// The text of the call as JSON; empty when it is not kept.
    pub body: String,
    /// Until when the text is kept, RFC 3339; empty when it is not.
    pub body_until: String,
}

/// Which calls to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// The feature.
    pub feature: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// The hash of the end user.
    pub user: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// The least id.
    pub from: String,
    /// Ids are below this one.
    pub before: String,
}

/// What model calls used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageRow {
    /// The day; empty when days are summed.
    pub day: String,
    /// The feature; empty when features are summed.
    pub feature: String,
    /// The key; empty when keys are summed.
    pub key: String,
    /// `provider/model`; empty when models are summed.
    pub model: String,
    /// The currency.
    pub currency: String,
    /// Calls.
    pub calls: u64,
    /// Of these, calls that were not answered.
    pub failed: u64,
    /// Tokens of the input.
    pub input_tokens: u64,
    /// Of these, tokens from a cache of the provider.
    pub cached_tokens: u64,
    /// Tokens of the output.
    pub output_tokens: u64,
    /// Money in picounits.
    pub pico: u128,
}

/// Picounits in a millionth of a unit.
const MICRO: u128 = 1_000_000;

/// What usage is summed over. What is not named is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageBy {
    /// Each day apart.
    pub day: bool,
    /// Each feature apart.
    pub feature: bool,
    /// Each key apart.
    pub key: bool,
    /// Each model apart.
    pub model: bool,
}

fn call_of(row: &AnyRow) -> Result<CallRow, SqlError> {
    Ok(CallRow {
        id: text(row, "id")?,
        feature: text(row, "feature")?,
        key: text(row, "key_name")?,
        user: text(row, "user_hash")?,
        outcome: text(row, "outcome")?,
        data: text(row, "data")?,
        body: text(row, "body")?,
        body_until: text(row, "body_until")?,
    })
}

fn usage_of(row: &AnyRow) -> Result<UsageRow, SqlError> {
    Ok(UsageRow {
        day: text(row, "day")?,
        feature: text(row, "feature")?,
        key: text(row, "key_name")?,
        model: text(row, "model")?,
        currency: text(row, "currency")?,
        calls: unsigned(row, "calls")?,
        failed: unsigned(row, "failed")?,
        input_tokens: unsigned(row, "input_tokens")?,
        cached_tokens: unsigned(row, "cached_tokens")?,
        output_tokens: unsigned(row, "output_tokens")?,
        pico: u128::from(unsigned(row, "micros")?) * MICRO + u128::from(unsigned(row, "picos")?),
    })
}

impl Rows<'_> {
    /// How much of a budget is taken.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn budget_used(&mut self, key: &BudgetKey) -> Result<u64, SqlError> {
        let row = sqlx::query(
            "SELECT used FROM llm_budgets WHERE tenant = $1 AND scope = $2 AND period = $3 AND unit = $4",
        )
        .bind(self.t())
        .bind(key.scope.clone())
        .bind(key.period.clone())
        .bind(key.unit.clone())
        .fetch_optional(&mut *self.conn)
        .await?;
        row.map_or(Ok(0), |row| unsigned(&row, "used"))
    }

    /// Changes how much of a budget is taken by `more` and `less`, never below 0. Writers of a tenant follow one another, so what was read in
    /// the same transaction is still true.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn move_budget(&mut self, key: &BudgetKey, more: u64, less: u64) -> Result<(), SqlError> {
        let change = int(more).saturating_sub(int(less));
        // A sum that the column cannot have is its largest value: refusing it would refuse every later change too.
        let room = i64::MAX - change.max(0);
        sqlx::query(
            "INSERT INTO llm_budgets (tenant, scope, period, unit, used) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, scope, period, unit) DO UPDATE SET used = \
             CASE WHEN llm_budgets.used > $7 THEN 9223372036854775807 WHEN llm_budgets.used + $6 < 0 THEN 0 \
             ELSE llm_budgets.used + $6 END",
        )
        .bind(self.t())
        .bind(key.scope.clone())
        .bind(key.period.clone())
        .bind(key.unit.clone())
        .bind(change.max(0))
        .bind(change)
        .bind(room)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Deletes budgets of periods before one.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_budgets(&mut self, before: &str) -> Result<u64, SqlError> {
        let removed = sqlx::query("DELETE FROM llm_budgets WHERE tenant = $1 AND period < $2")
            .bind(self.t())
            .bind(before.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(removed.rows_affected())
    }

    /// Stores records. Returns the ids of those that were not there.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn log_calls(&mut self, calls: &[CallRow]) -> Result<BTreeSet<String>, SqlError> {
        let mut new = BTreeSet::new();
        for some in calls.chunks(ROWS_MAX) {
            let row = |i: usize| {
                let values: Vec<String> = (2..10).map(|n| format!("${}", i * 8 + n)).collect();
                format!("($1, {})", values.join(", "))
            };
            let sql = format!(
                "INSERT INTO llm_calls (tenant, id, feature, key_name, user_hash, outcome, data, body, body_until) \
                 VALUES {} ON CONFLICT (tenant, id) DO NOTHING RETURNING id",
                (0..some.len()).map(row).collect::<Vec<_>>().join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for call in some {
                query = query
                    .bind(call.id.clone())
                    .bind(call.feature.clone())
                    .bind(call.key.clone())
                    .bind(call.user.clone())
                    .bind(call.outcome.clone())
                    .bind(call.data.clone())
                    .bind(call.body.clone())
                    .bind(call.body_until.clone());
            }
            for row in query.fetch_all(&mut *self.conn).await? {
                new.insert(text(&row, "id")?);
            }
        }
        Ok(new)
    }

    /// Adds to what was used.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn add_usage(&mut self, usage: &[UsageRow]) -> Result<(), SqlError> {
        for row in usage {
            let part = |pico: u128| u64::try_from(pico).unwrap_or(u64::MAX);
            sqlx::query(
                "INSERT INTO llm_usage (tenant, day, feature, key_name, model, currency, calls, failed, input_tokens, \
                 cached_tokens, output_tokens, micros, picos) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                 ON CONFLICT (tenant, day, feature, key_name, model, currency) DO UPDATE SET \
                 calls = llm_usage.calls + excluded.calls, failed = llm_usage.failed + excluded.failed, \
                 input_tokens = llm_usage.input_tokens + excluded.input_tokens, \
                 cached_tokens = llm_usage.cached_tokens + excluded.cached_tokens, \
                 output_tokens = llm_usage.output_tokens + excluded.output_tokens, \
                 micros = llm_usage.micros + excluded.micros, picos = llm_usage.picos + excluded.picos",
            )
            .bind(self.t())
            .bind(row.day.clone())
            .bind(row.feature.clone())
            .bind(row.key.clone())
            .bind(row.model.clone())
            .bind(row.currency.clone())
            .bind(int(row.calls))
            .bind(int(row.failed))
            .bind(int(row.input_tokens))
            .bind(int(row.cached_tokens))
            .bind(int(row.output_tokens))
            .bind(int(part(row.pico / MICRO)))
            .bind(int(part(row.pico % MICRO)))
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// What was used from a day to another, both included.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn usage(
        &mut self,
        (from, to): (&str, &str),
        by: UsageBy,
        limit: u32,
    ) -> Result<Vec<UsageRow>, SqlError> {
        let columns = [(by.day, "day"), (by.feature, "feature"), (by.key, "key_name"), (by.model, "model")];
        let selected: Vec<String> = columns
            .into_iter()
            .map(|(named, column)| if named { column.to_owned() } else { format!("'' AS {column}") })
            .collect();
        let named = columns.into_iter().filter(|(named, _)| *named).map(|(_, column)| column);
        let groups = named.chain(["currency"]).collect::<Vec<_>>().join(", ");
        let sums = ["calls", "failed", "input_tokens", "cached_tokens", "output_tokens", "micros", "picos"]
            .map(|column| format!("CAST(SUM({column}) AS BIGINT) AS {column}"))
            .join(", ");
        let sql = format!(
            "SELECT {}, currency, {sums} FROM llm_usage WHERE tenant = $1 AND day >= $2 AND day <= $3 \
             GROUP BY {groups} ORDER BY {groups} LIMIT $4",
            selected.join(", ")
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(usage_of).collect()
    }

    /// Records of calls, newest first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn calls(&mut self, filter: &CallFilter, limit: u32) -> Result<Vec<CallRow>, SqlError> {
        let mut sql = "SELECT * FROM llm_calls WHERE tenant = $1 AND id >= $2 AND id < $3".to_owned();
        let named = [
            ("feature", &filter.feature),
            ("key_name", &filter.key),
            ("user_hash", &filter.user),
            ("outcome", &filter.outcome),
        ];
        let named: Vec<(&str, &String)> =
            named.into_iter().filter_map(|(column, value)| Some((column, value.as_ref()?))).collect();
        for (number, (column, _)) in named.iter().enumerate() {
            sql.push_str(&format!(" AND {column} = ${}", number + 4));
        }
        sql.push_str(&format!(" ORDER BY id DESC LIMIT ${}", named.len() + 4));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(filter.from.clone())
            .bind(filter.before.clone());
        for (_, value) in named {
            query = query.bind(value.clone());
        }
        let rows = query.bind(i64::from(limit)).fetch_all(&mut *self.conn).await?;
        rows.iter().map(call_of).collect()
    }

    /// Deletes records below an id, texts whose time (RFC 3339) is over, and usage before a day. Returns how many records were deleted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_calls(&mut self, below: &str, now: &str, day: &str) -> Result<u64, SqlError> {
        let removed = sqlx::query("DELETE FROM llm_calls WHERE tenant = $1 AND id < $2")
            .bind(self.t())
            .bind(below.to_owned())
            .execute(&mut *self.conn)
            .await?;
        sqlx::query(
            "UPDATE llm_calls SET body = '', body_until = '' WHERE tenant = $1 AND body_until > '' AND body_until < $2",
        )
        .bind(self.t())
        .bind(now.to_owned())
        .execute(&mut *self.conn)
        .await?;
        sqlx::query("DELETE FROM llm_usage WHERE tenant = $1 AND day < $2")
            .bind(self.t())
            .bind(day.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(removed.rows_affected())
    }

    /// Deletes the records of an end user. Returns how many there were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn erase_calls(&mut self, user: &str) -> Result<u64, SqlError> {
        let removed = sqlx::query("DELETE FROM llm_calls WHERE tenant = $1 AND user_hash = $2")
            .bind(self.t())
            .bind(user.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(removed.rows_affected())
    }

    /// What end users are hashed with. The first one that is offered stays.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn llm_secret(&mut self, offered: &str) -> Result<String, SqlError> {
        sqlx::query(
            "INSERT INTO llm_secrets (tenant, secret) VALUES ($1, $2) ON CONFLICT (tenant) DO NOTHING",
        )
        .bind(self.t())
        .bind(offered.to_owned())
        .execute(&mut *self.conn)
        .await?;
        let row = sqlx::query("SELECT secret FROM llm_secrets WHERE tenant = $1")
            .bind(self.t())
            .fetch_one(&mut *self.conn)
            .await?;
        text(&row, "secret")
    }
}
