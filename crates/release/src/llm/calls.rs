//! Records and usage of model calls.

use std::{collections::BTreeSet, time::Duration};

use ashlar_model::{Right, TenantId};
use ashlar_store::sql::{CallFilter, CallRow, ReviewRow, UsageBy, UsageRow, stamp};
use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::{
    ids::{ID_BYTES_MAX, id_from},
    reviews::REVIEWS_WAITING_MAX,
};
use crate::{
    Ctx, Engine, Page, ReleaseError,
    engine::action::{Action, Record, Scope},
    page::{not_a_cursor, page_size, paged},
};

/// For how many days usage is kept.
const USAGE_DAYS: u32 = 800;
/// For how many days budgets of past periods are kept.
const BUDGET_DAYS: u32 = 62;
/// The most rows of a report of usage.
pub const USAGE_ROWS_MAX: u32 = 10_000;
/// Records that are deleted in one transaction.
const PRUNED_MAX: u32 = 5_000;

/// Which calls to list.
#[derive(Debug, Clone, Default)]
pub struct CallQuery {
    /// The feature.
    pub feature: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// The hash of the end user.
    pub user: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The moment before which calls began.
    pub to: Option<Timestamp>,
    /// Where the page starts.
    pub cursor: Option<String>,
    /// The most calls of the page.
    pub limit: Option<u32>,
}

/// What was deleted of an end user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedCalls {
    /// Records of calls.
    pub calls: u64,
    /// Reviews of calls.
    pub reviews: u64,
}

/// Deletes the records of an end user's calls, and what people said about them.
#[derive(Debug, Clone)]
pub struct EraseCalls {
    /// The hash of the end user.
    pub user: String,
}

#[async_trait]
impl Action for EraseCalls {
    type Output = ErasedCalls;
    const NAME: &'static str = "llm.erase";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<ErasedCalls, ReleaseError> {
        if self.user.is_empty() {
            return Err(ReleaseError::invalid("the end user is empty", "name the user as calls name it"));
        }
        let mut tx = scope.begin().await?;
        let calls = tx.rows().erase_calls(&self.user).await?;
        let reviews = tx.rows().erase_reviews(&self.user).await?;
        // Not even the hash is written down.
        scope
            .commit(tx, Record::one("llm.user_erased", "calls", json!({"calls": calls, "reviews": reviews})))
            .await?;
        Ok(ErasedCalls { calls, reviews })
    }
}

impl Engine {
    /// Stores records of calls and adds them to the usage: `usage` says what each of the rows used, in their order. A row that is stored
    /// already is not counted again. `reviews` are those of the calls that people look at. Returns how many of them were left out, because
    /// too many wait already.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn log_calls(
        &self,
        tenant: &TenantId,
        calls: &[CallRow],
        usage: &[UsageRow],
        reviews: &[ReviewRow],
    ) -> Result<usize, ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        let mut known = BTreeSet::new();
        if tx.rows().log_calls(calls).await? < calls.len() {
            // These came before, and nobody heard whether they were committed.
            drop(tx);
            tx = self.db().write(tenant).await?;
            known = tx.rows().known_calls(calls).await?;
            tx.rows().log_calls(calls).await?;
        }
        let mut sums: Vec<UsageRow> = Vec::new();
        for (_, row) in calls.iter().zip(usage).filter(|(call, _)| !known.contains(&call.id)) {
            let same = |sum: &&mut UsageRow| {
                (&sum.day, &sum.feature, &sum.key, &sum.model, &sum.currency)
                    == (&row.day, &row.feature, &row.key, &row.model, &row.currency)
            };
            match sums.iter_mut().find(same) {
                Some(sum) => {
                    sum.calls += row.calls;
                    sum.failed += row.failed;
                    sum.input_tokens = sum.input_tokens.saturating_add(row.input_tokens);
                    sum.cached_tokens = sum.cached_tokens.saturating_add(row.cached_tokens);
                    sum.output_tokens = sum.output_tokens.saturating_add(row.output_tokens);
                    sum.pico = sum.pico.saturating_add(row.pico);
                }
                None => sums.push(row.clone()),
            }
        }
        tx.rows().add_usage(&sums).await?;
        let mut room = reviews.len();
        if room > 0 {
            let waiting = tx.rows().reviews_waiting().await?;
            room =
                room.min(usize::try_from(REVIEWS_WAITING_MAX.saturating_sub(waiting)).unwrap_or(usize::MAX));
            tx.rows().add_reviews(&reviews[..room]).await?;
        }
        tx.commit().await?;
        Ok(reviews.len() - room)
    }

    /// Deletes records, texts, usage and budgets whose time is over. Returns how many records were deleted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_calls(&self, tenant: &TenantId, days: u32) -> Result<u64, ReleaseError> {
        let now = self.now();
        let ago = |days: u32| {
            let ago = Duration::from_secs(u64::from(days) * 86_400);
            now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date().to_string();
        let month = day(ago(BUDGET_DAYS)).get(..7).unwrap_or_default().to_owned();
        let mut removed = 0;
        loop {
            // A transaction holds up everybody else who writes.
            let mut tx = self.db().write(tenant).await?;
            let some = tx.rows().prune_calls(&id_from(ago(days)), PRUNED_MAX).await?;
            tx.commit().await?;
            removed += some;
            if some < u64::from(PRUNED_MAX) {
                break;
            }
        }
        let mut tx = self.db().write(tenant).await?;
        tx.rows().prune_usage(&stamp(now), &day(ago(USAGE_DAYS))).await?;
        tx.rows().prune_budgets(&month).await?;
        tx.rows().prune_assist(&month).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// Records of calls, newest first.
    ///
    /// # Errors
    /// When they cannot be read, or the caller may not see them.
    pub async fn calls(&self, ctx: &Ctx, query: &CallQuery) -> Result<Page<CallRow>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let is_id = |id: &&String| id.len() <= ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_hexdigit());
        if query.cursor.as_ref().is_some_and(|cursor| !is_id(&cursor)) {
            return Err(not_a_cursor());
        }
        let end = query.to.map_or_else(|| "g".to_owned(), id_from);
        let filter = CallFilter {
            feature: query.feature.clone(),
            key: query.key.clone(),
            user: query.user.clone(),
            outcome: query.outcome.clone(),
            from: query.from.map_or_else(String::new, id_from),
            before: query.cursor.clone().map_or(end.clone(), |cursor| cursor.min(end)),
        };
        let limit = page_size(query.limit);
        let mut conn = self.db().read(&ctx.tenant).await?;
        let rows = conn.rows().calls(&filter, limit + 1).await?;
        Ok(paged(rows, limit, |row| row.id.clone()))
    }

    /// The record of a call.
    ///
    /// # Errors
    /// When there is no such call, it cannot be read, or the caller may not see it.
    pub async fn call(&self, ctx: &Ctx, id: &str) -> Result<CallRow, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        // All ids are equally long, so nothing lies between an id and its continuation.
        let filter = CallFilter { from: id.to_owned(), before: format!("{id}0"), ..CallFilter::default() };
        let mut conn = self.db().read(&ctx.tenant).await?;
        let row = if id.len() <= ID_BYTES_MAX { conn.rows().calls(&filter, 1).await?.pop() } else { None };
        row.filter(|row| row.id == id).ok_or_else(|| {
            let shown: String = id.chars().take(ID_BYTES_MAX).collect();
            ReleaseError::not_found("model call", shown, "`ashlar llm calls` lists records of calls")
        })
    }

    /// What calls used from a day to another, both included (`2026-11-22`).
    ///
    /// # Errors
    /// When it cannot be read, or the caller may not see drafts.
    pub async fn usage(
        &self,
        ctx: &Ctx,
        days: (&str, &str),
        by: UsageBy,
    ) -> Result<Vec<UsageRow>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        Ok(conn.rows().usage(days, by, USAGE_ROWS_MAX).await?)
    }
}
