//! How well searches do.

use std::sync::Arc;

use ashlar_release::SearchStats;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Answer, answer};
use crate::{
    access::Caller,
    app::{freshness::IndexLag, tenants::Tenants},
    delivery::serving::Serving,
    endpoints::extract::Query,
};

#[derive(Deserialize, JsonSchema)]
pub struct StatsQuery {
    /// How many days count.
    #[serde(default = "week")]
    #[schemars(range(min = 1, max = 365))]
    days: u32,
    /// The most queries of a list.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
}

fn week() -> u32 {
    7
}

fn ten() -> u32 {
    10
}

/// Searches and questions of all tenants on this node since it started.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SearchNodeFigures")]
pub struct NodeFigures {
    /// Searches.
    searches: u64,
    /// Of these, searches that found nothing.
    without_results: u64,
    /// Hits that were shown.
    hits: u64,
    /// Hits that were left out, because the release does not have their text.
    stale_hits: u64,
    /// Their share; absent before the first hit.
    stale_ratio: Option<f64>,
    /// Clicks that were reported.
    clicks: u64,
    /// Questions.
    questions: u64,
    /// Of these, questions without an answer.
    refused: u64,
    /// Searches that are missing in the log, because too many waited to be stored.
    unlogged: u64,
}

/// How late an index of the public channel is on this node.
#[derive(Serialize, JsonSchema)]
pub struct IndexFreshness {
    /// The index.
    index: String,
    /// How soon after a release it should be searchable, in seconds.
    target_seconds: f64,
    /// How long it took until words were searchable; absent when this node served the release when it started.
    words_seconds: Option<f64>,
    /// How long it took until words and vectors were searchable, or how long vectors have been missing; absent as above.
    lag_seconds: Option<f64>,
    /// Whether it is searched by words and by vectors.
    complete: bool,
    /// Whether it is later than it should be.
    late: bool,
}

impl From<IndexLag> for IndexFreshness {
    fn from(lag: IndexLag) -> Self {
        Self {
            late: lag.is_late(),
            target_seconds: lag.target.as_secs_f64(),
            words_seconds: lag.words.map(|words| words.as_secs_f64()),
            lag_seconds: lag.lag.map(|lag| lag.as_secs_f64()),
            complete: lag.complete,
            index: lag.index,
        }
    }
}

/// How well searches do.
#[derive(Serialize, JsonSchema)]
pub struct SearchReport {
    /// For how many days searches are kept; absent when the project keeps none.
    log_days: Option<u32>,
    /// What the log says.
    log: SearchStats,
    /// The indexes of the public channel.
    indexes: Vec<IndexFreshness>,
    node: NodeFigures,
}

pub async fn stats(
    State(serving): State<Arc<Serving>>,
    State(tenants): State<Arc<Tenants>>,
    caller: Caller,
    Query(q): Query<StatsQuery>,
) -> Answer<SearchReport> {
    let tenant = &caller.ctx.tenant;
    let log = caller.engine.search_stats(&caller.ctx, q.days, q.limit).await?;
    let public = tenants.public(tenant);
    let lags = public.as_ref().map(|view| serving.freshness().of(tenant, view, Timestamp::now()));
    let counts = serving.search_counts();
    let seen = counts.hits + counts.stale;
    let node = NodeFigures {
        searches: counts.searches,
        without_results: counts.empty,
        hits: counts.hits,
        stale_hits: counts.stale,
        stale_ratio: (seen > 0).then(|| counts.stale as f64 / seen as f64),
        clicks: counts.clicks,
        questions: counts.questions,
        refused: counts.refused,
        unlogged: counts.unlogged,
    };
    answer(SearchReport {
        log_days: public.and_then(|view| view.log_days()),
        log,
        indexes: lags.into_iter().flatten().map(IndexFreshness::from).collect(),
        node,
    })
}
