//! The log of searches: what it takes, what it keeps, and what it says.

use std::time::Duration;

use ashlar_model::{Digest, Right, TenantId};
use ashlar_store::sql::{QueryFigures, SearchRow, stamp};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Ctx, Engine, ReleaseError, new_id};

/// The most rows of the log of a tenant. Beyond them the oldest are deleted.
pub const SEARCH_LOG_ROWS_MAX: u64 = 100_000;
/// The most days that a report looks back.
const DAYS_MAX: u32 = 365;
/// The most queries of a list.
const QUERIES_MAX: u32 = 100;

/// A search or a click, as it is added to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedSearch {
    /// When.
    pub at: Timestamp,
    /// A hash of the caller; empty when the caller is unknown.
    pub caller: String,
    /// The query, redacted.
    pub query: String,
    /// The language.
    pub locale: String,
    /// How many entries were found; `None` for a click.
    pub found: Option<u64>,
    /// The entry of a click, and the place of its hit.
    pub clicked: (String, u64),
}

/// What the log of searches says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchStats {
    /// The first moment that counts, RFC 3339.
    pub since: String,
    /// Searches.
    pub searches: u64,
    /// Of these, searches that found nothing.
    pub without_results: u64,
    /// Hits that were followed.
    pub clicks: u64,
    /// Different callers, each day and node apart.
    pub callers: u64,
    /// Clicks for each search; absent without searches. It can be above 1: one search can lead to several clicks, and an upstream cache
    /// answers searches that are not counted.
    pub click_through: Option<f64>,
    /// The most frequent queries.
    pub queries: Vec<QueryFigures>,
    /// The queries that most often found nothing.
    pub failing: Vec<QueryFigures>,
}

/// The name of a click. Who follows a hit again on the same day is counted once.
fn click_id(logged: &LoggedSearch, at: &str) -> String {
    let day = at.get(..10).unwrap_or_default();
    let parts = [day, &logged.caller, &logged.query, &logged.locale, &logged.clicked.0];
    Digest::of(parts.join("\0").as_bytes()).to_string()
}

fn row(logged: LoggedSearch) -> Result<SearchRow, ReleaseError> {
    let at = stamp(logged.at);
    let id = if logged.found.is_some() { new_id()? } else { click_id(&logged, &at) };
    let LoggedSearch { caller, query, locale, found, clicked: (entry, position), .. } = logged;
    Ok(SearchRow { id, at, caller, query, locale, found, entry, position })
}

impl Engine {
    /// Adds to the log of searches of a tenant.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn log_searches(
        &self,
        tenant: &TenantId,
        searches: Vec<LoggedSearch>,
    ) -> Result<(), ReleaseError> {
        let rows = searches.into_iter().map(row).collect::<Result<Vec<SearchRow>, _>>()?;
        let mut tx = self.db().write(tenant).await?;
        tx.rows().log_searches(&rows).await?;
        Ok(tx.commit().await?)
    }

    /// Deletes what the log of searches of a tenant has beyond its time and its room. `days` of 0 deletes all of it. Returns how many
    /// rows were removed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_searches(&self, tenant: &TenantId, days: u32) -> Result<u64, ReleaseError> {
        let before = match days {
            0 => self.now().saturating_add(SignedDuration::from_hours(24)).unwrap_or(self.now()),
            days => self.ago(days),
        };
        let mut tx = self.db().write(tenant).await?;
        let removed = tx.rows().prune_searches(&stamp(before), SEARCH_LOG_ROWS_MAX).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// What the log of searches says of the last days.
    ///
    /// # Errors
    /// When it cannot be read, or the caller may not see drafts.
    pub async fn search_stats(&self, ctx: &Ctx, days: u32, limit: u32) -> Result<SearchStats, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let since = stamp(self.ago(days.clamp(1, DAYS_MAX)));
        let limit = limit.clamp(1, QUERIES_MAX);
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let sums = rows.search_sums(&since).await?;
        let queries = rows.top_queries(&since, false, limit).await?;
        let failing = rows.top_queries(&since, true, limit).await?;
        Ok(SearchStats {
            since,
            searches: sums.searches,
            without_results: sums.without_results,
            clicks: sums.clicks,
            callers: sums.callers,
            click_through: (sums.searches > 0).then(|| sums.clicks as f64 / sums.searches as f64),
            queries,
            failing,
        })
    }

    fn ago(&self, days: u32) -> Timestamp {
        let ago = Duration::from_secs(u64::from(days) * 86_400);
        self.now().checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}
