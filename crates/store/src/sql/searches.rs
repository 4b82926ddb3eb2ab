//! The log of searches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{int, text, unsigned},
};

/// A search or a click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRow {
    /// Its name in the tenant. What has one that is there already counts once.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// A hash of the caller; empty when the caller is unknown.
    pub caller: String,
    /// The query, redacted.
    pub query: String,
    /// The language.
    pub locale: String,
    /// How many entries were found; `None` for a click.
    pub found: Option<u64>,
    /// The entry of a click; otherwise empty.
    pub entry: String,
    /// The place of its hit, from 1; otherwise 0.
    pub position: u64,
}

/// How often one query was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueryFigures {
    /// The query, redacted.
    pub query: String,
    /// The language.
    pub locale: String,
    /// How often it was searched for.
    pub searches: u64,
    /// Of these, how often nothing was found.
    pub without_results: u64,
    /// How often a hit was followed.
    pub clicks: u64,
    /// Different callers, each day and node apart.
    pub callers: u64,
}

/// All of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchSums {
    /// Searches.
    pub searches: u64,
    /// Of these, searches that found nothing.
    pub without_results: u64,
    /// Clicks.
    pub clicks: u64,
    /// Different callers, each day and node apart.
    pub callers: u64,
}

/// What is counted of some rows.
const SUMS: &str = "COUNT(CASE WHEN found >= 0 THEN 1 END) AS searches, \
    COUNT(CASE WHEN found = 0 THEN 1 END) AS without_results, \
    COUNT(CASE WHEN found < 0 THEN 1 END) AS clicks, \
    COUNT(DISTINCT CASE WHEN caller <> '' THEN caller END) AS callers";

fn sums(row: &AnyRow) -> Result<SearchSums, SqlError> {
    Ok(SearchSums {
        searches: unsigned(row, "searches")?,
        without_results: unsigned(row, "without_results")?,
        clicks: unsigned(row, "clicks")?,
        callers: unsigned(row, "callers")?,
    })
}

impl Rows<'_> {
    /// Adds to the log.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn log_searches(&mut self, rows: &[SearchRow]) -> Result<(), SqlError> {
        for row in rows {
            sqlx::query(
                "INSERT INTO search_log (tenant, id, at, caller, query, locale, found, entry, position) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, id) DO NOTHING",
            )
            .bind(self.t())
            .bind(row.id.clone())
            .bind(row.at.clone())
            .bind(row.caller.clone())
            .bind(row.query.clone())
            .bind(row.locale.clone())
            .bind(row.found.map_or(-1, int))
            .bind(row.entry.clone())
            .bind(int(row.position))
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// Removes what is older than a time (RFC 3339), and the oldest beyond so many rows. Returns how many were removed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_searches(&mut self, before: &str, rows_max: u64) -> Result<u64, SqlError> {
        let oldest =
            sqlx::query("SELECT at FROM search_log WHERE tenant = $1 ORDER BY at DESC LIMIT 1 OFFSET $2")
                .bind(self.t())
                .bind(int(rows_max))
                .fetch_optional(&mut *self.conn)
                .await?;
        let beyond = oldest.map(|row| text(&row, "at")).transpose()?.unwrap_or_default();
        let removed = sqlx::query("DELETE FROM search_log WHERE tenant = $1 AND (at < $2 OR at <= $3)")
            .bind(self.t())
            .bind(before.to_owned())
            .bind(beyond)
            .execute(&mut *self.conn)
            .await?;
        Ok(removed.rows_affected())
    }

    /// Sums of the log since a time (RFC 3339).
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn search_sums(&mut self, since: &str) -> Result<SearchSums, SqlError> {
        let sql = format!("SELECT {SUMS} FROM search_log WHERE tenant = $1 AND at >= $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(since.to_owned())
            .fetch_one(&mut *self.conn)
            .await?;
        sums(&row)
    }

    /// The queries that were searched for most since a time (RFC 3339); `failing`: those that most often found nothing.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn top_queries(
        &mut self,
        since: &str,
        failing: bool,
        limit: u32,
    ) -> Result<Vec<QueryFigures>, SqlError> {
        let (having, order) = match failing {
            true => ("HAVING COUNT(CASE WHEN found = 0 THEN 1 END) > 0", "without_results"),
            false => ("HAVING COUNT(CASE WHEN found >= 0 THEN 1 END) > 0", "searches"),
        };
        let sql = format!(
            "SELECT query, locale, {SUMS} FROM search_log WHERE tenant = $1 AND at >= $2 GROUP BY query, locale {having} \
             ORDER BY {order} DESC, query, locale LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(since.to_owned())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        let figures = |row: &AnyRow| {
            let SearchSums { searches, without_results, clicks, callers } = sums(row)?;
            let (query, locale) = (text(row, "query")?, text(row, "locale")?);
            Ok(QueryFigures { query, locale, searches, without_results, clicks, callers })
        };
        rows.iter().map(figures).collect()
    }
}
