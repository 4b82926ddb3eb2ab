//! Records and usage of model calls.

use std::sync::Arc;

use ashlar_gateway::{
    call::Desk,
    policy::user_hash,
    price::decimal,
    record::{Record, Records, Text},
};
use ashlar_release::{CallQuery, EraseCalls, Page, ReleaseError, USAGE_ROWS_MAX};
use ashlar_store::sql::{CallRow, UsageBy, UsageRow};
use axum::{
    body::{Body as HttpBody, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Answer, answer};
use crate::{
    access::Caller,
    app::policies::Policies,
    endpoints::extract::{Path, Query},
    front::ApiError,
    models::Standings,
};

/// Records of one page of an export.
const EXPORT_PAGE: u32 = 500;
/// The days that a report of usage covers when it names none.
const USAGE_DAYS: i64 = 30;

#[derive(Deserialize, JsonSchema)]
pub struct CallsQuery {
    /// Calls of this feature.
    feature: Option<String>,
    /// Calls with this key: its public part.
    key: Option<String>,
    /// Calls of this end user, as calls name the user.
    user: Option<String>,
    /// Calls with this outcome: `ok`, or the code of what went wrong.
    outcome: Option<String>,
    /// Calls that began at this time (RFC 3339) or later.
    from: Option<String>,
    /// Calls that began before this time (RFC 3339).
    to: Option<String>,
    /// Where the page starts.
    cursor: Option<String>,
    /// The most calls of the page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

/// A record with the text of the call, if that is kept.
#[derive(Serialize, JsonSchema)]
pub struct RecordedCall {
    #[serde(flatten)]
    record: Record,
    /// What was sent and answered, redacted; absent unless the feature keeps text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
}

fn read(row: CallRow) -> Result<RecordedCall, ReleaseError> {
    let corrupt = |e: serde_json::Error| ReleaseError::Corrupt {
        what: format!("the record of the call {}", row.id),
        why: e.to_string(),
    };
    let text = match row.body.is_empty() {
        true => None,
        false => Some(serde_json::from_str(&row.body).map_err(corrupt)?),
    };
    Ok(RecordedCall { record: serde_json::from_str(&row.data).map_err(corrupt)?, text })
}

pub(super) fn time(name: &str, text: Option<&String>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        ApiError::invalid(format!("`{name}={shown}` is not a time"), "write it like 2026-11-22T10:00:00Z")
    })
}

async fn query(caller: &Caller, policies: &Policies, q: CallsQuery) -> Result<CallQuery, ApiError> {
    let user = match &q.user {
        Some(user) => Some(user_hash(&policies.of(&caller.ctx.tenant).await?.secret, user)),
        None => None,
    };
    Ok(CallQuery {
        from: time("from", q.from.as_ref())?,
        to: time("to", q.to.as_ref())?,
        feature: q.feature,
        key: q.key,
        user,
        outcome: q.outcome,
        cursor: q.cursor,
        limit: q.limit,
    })
}

pub async fn calls(
    State(policies): State<Arc<Policies>>,
    caller: Caller,
    Query(q): Query<CallsQuery>,
) -> Answer<Page<RecordedCall>> {
    let query = query(&caller, &policies, q).await?;
    let Page { items, next_cursor } = caller.engine.calls(&caller.ctx, &query).await?;
    let items = items.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    answer(Page { items, next_cursor })
}

/// A page as lines.
fn lines(rows: Vec<CallRow>) -> Result<Bytes, ReleaseError> {
    let mut out = String::new();
    for row in rows {
        out.push_str(&read(row)?.record.span().to_string());
        out.push('\n');
    }
    Ok(out.into())
}

pub async fn export(
    State(policies): State<Arc<Policies>>,
    caller: Caller,
    Query(q): Query<CallsQuery>,
) -> Result<Response, ApiError> {
    let mut query = query(&caller, &policies, q).await?;
    query.limit = Some(EXPORT_PAGE);
    // The first page is read before the answer begins, so that what is wrong is a problem and not a cut.
    let first = caller.engine.calls(&caller.ctx, &query).await?;
    let stream = futures::stream::unfold(Some((first, query, caller)), |state| async {
        let (page, mut query, caller) = state?;
        let piece = lines(page.items).map_err(|e| std::io::Error::other(e.to_string()));
        let Some(cursor) = page.next_cursor.filter(|_| piece.is_ok()) else { return Some((piece, None)) };
        query.cursor = Some(cursor);
        match caller.engine.calls(&caller.ctx, &query).await {
            Ok(next) => Some((piece, Some((next, query, caller)))),
            Err(error) => Some((Err(std::io::Error::other(error.to_string())), None)),
        }
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, HttpBody::from_stream(stream)).into_response())
}

#[derive(Deserialize, JsonSchema)]
pub struct UsageQuery {
    /// The first day, such as `2026-11-01`; 30 days ago when absent.
    from: Option<String>,
    /// The last day; today (UTC) when absent.
    to: Option<String>,
    /// What is counted apart, separated by commas: `day`, `feature`, `key`, `model`. `feature` when absent.
    by: Option<String>,
}

/// What some calls used.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelUsageRow")]
pub struct UsageItem {
    /// The day (UTC); absent when days are summed.
    #[serde(skip_serializing_if = "String::is_empty")]
    day: String,
    /// The feature; absent when features are summed.
    #[serde(skip_serializing_if = "String::is_empty")]
    feature: String,
    /// The public part of the key; absent when keys are summed.
    #[serde(skip_serializing_if = "String::is_empty")]
    key: String,
    /// The provider and its model; absent when models are summed, and for calls that reached none.
    #[serde(skip_serializing_if = "String::is_empty")]
    model: String,
    /// Calls.
    calls: u64,
    /// Of these, calls that were not answered.
    failed: u64,
    /// Tokens of the input.
    input_tokens: u64,
    /// Of these, tokens from a cache of the provider.
    cached_input_tokens: u64,
    /// Tokens of the output.
    output_tokens: u64,
    /// Money, as a decimal number. It is exact.
    cost: String,
    /// The currency; empty when nothing has a price.
    currency: String,
}

impl From<UsageRow> for UsageItem {
    fn from(row: UsageRow) -> Self {
        Self {
            day: row.day,
            feature: row.feature,
            key: row.key,
            model: row.model,
            calls: row.calls,
            failed: row.failed,
            input_tokens: row.input_tokens,
            cached_input_tokens: row.cached_tokens,
            output_tokens: row.output_tokens,
            cost: decimal(row.pico),
            currency: row.currency,
        }
    }
}

/// What model calls used.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelUsage")]
pub struct Usage {
    /// The first day.
    from: String,
    /// The last day.
    to: String,
    /// What was used.
    items: Vec<UsageItem>,
    /// Whether there are more rows than are listed; name a shorter time or count less apart.
    truncated: bool,
    /// Records that wait to be stored on this node.
    waiting: u64,
    /// Records that this node dropped since it started, because too many waited.
    dropped: u64,
}

fn day(name: &str, text: Option<&String>, usual: Date) -> Result<Date, ApiError> {
    let Some(text) = text else { return Ok(usual) };
    text.parse().ok().filter(|_| text.len() == 10).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        ApiError::invalid(format!("`{name}={shown}` is not a day"), "write it like 2026-11-22")
    })
}

fn by(text: Option<&String>) -> Result<UsageBy, ApiError> {
    let mut by = UsageBy::default();
    for name in text.map_or("feature", String::as_str).split(',').map(str::trim).filter(|n| !n.is_empty()) {
        match name {
            "day" => by.day = true,
            "feature" => by.feature = true,
            "key" => by.key = true,
            "model" => by.model = true,
            other => {
                let shown: String = other.chars().take(40).collect();
                let help = "name day, feature, key or model, separated by commas";
                return Err(ApiError::invalid(format!("usage cannot be counted by `{shown}`"), help));
            }
        }
    }
    Ok(by)
}

pub async fn usage(
    State(records): State<Arc<Records>>,
    caller: Caller,
    Query(q): Query<UsageQuery>,
) -> Answer<Usage> {
    let today = caller.engine.now().to_zoned(TimeZone::UTC).date();
    let to = day("to", q.to.as_ref(), today)?;
    let from = day("from", q.from.as_ref(), to.checked_sub(USAGE_DAYS.days()).unwrap_or(to))?;
    let (from, to) = (from.to_string(), to.to_string());
    let rows = caller.engine.usage(&caller.ctx, (&from, &to), by(q.by.as_ref())?).await?;
    let truncated = rows.len() >= USAGE_ROWS_MAX as usize;
    let items = rows.into_iter().map(UsageItem::from).collect();
    let waiting = records.waiting() as u64;
    answer(Usage { from, to, items, truncated, waiting, dropped: records.dropped() })
}

pub async fn providers(State(desk): State<Arc<Desk>>, caller: Caller) -> Answer<Standings> {
    answer(Standings::of(&desk, &caller.ctx.tenant))
}

/// What was deleted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelCallsErased")]
pub struct Erased {
    /// How many records.
    calls: u64,
    /// How many reviews of calls.
    reviews: u64,
}

pub async fn erase(
    State(policies): State<Arc<Policies>>,
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path(user): Path<String>,
) -> Answer<Erased> {
    let secret = policies.of(&caller.ctx.tenant).await?.secret;
    // Kept answers name nobody, but may be about the user.
    desk.cache.clear(&caller.ctx.tenant);
    let erased = caller.engine.run(&caller.ctx, EraseCalls { user: user_hash(&secret, &user) }).await?;
    answer(Erased { calls: erased.calls, reviews: erased.reviews })
}
