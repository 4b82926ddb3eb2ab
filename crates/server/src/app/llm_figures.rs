//! Figures of model calls, counted when their records are stored, so that no call waits for them.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use ashlar_gateway::{
    record::{OK, Record},
    review::Reason,
};
use ashlar_model::TenantId;
use prometheus::{CounterVec, HistogramVec, IntCounter, IntCounterVec, Registry};

use super::declared;

/// Combinations of tenant, feature and route that are counted apart. Further ones are counted together.
const PAIRS_MAX: usize = 2_000;
/// Upper bounds of the histograms, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// What stands for everything that is not counted apart.
const OTHER: &str = "other";
/// The outcome of a call whose client went away.
const GONE: &str = "client_gone";
/// The outcome of a call whose feature is not in the release. What it names is text of the client.
const UNKNOWN: &str = "unknown_feature";
/// Codes of the gateway itself. Others come from providers.
const RULES: [&str; 36] = [
    "invalid_request",
    "unknown_feature",
    "feature_unknown",
    "route_not_allowed",
    "prompt_not_allowed",
    "index_not_allowed",
    "tool_not_allowed",
    "model_not_found",
    "prompt_not_found",
    "prompt_version_not_found",
    "prompt_variable_invalid",
    "output_invalid",
    "output_not_json",
    "output_secret",
    "output_system_prompt",
    "rate_limited",
    "budget_exceeded",
    "budget_unavailable",
    "price_missing",
    "provider_unavailable",
    "context_length_exceeded",
    "unsupported_parameter",
    "unsupported_by_model",
    "upstream_rate_limited",
    "upstream_unreachable",
    "upstream_closed",
    "upstream_error",
    "upstream_incomplete",
    "upstream_malformed",
    "upstream_too_large",
    "upstream_not_found",
    "upstream_unauthorized",
    "upstream_overloaded",
    "upstream_paused",
    "upstream_timeout",
    "busy",
];

/// What calls used, by feature and route.
pub struct LlmFigures {
    pairs: Mutex<BTreeSet<(TenantId, String, String)>>,
    calls: IntCounterVec,
    refusals: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    cache: IntCounterVec,
    first_token: HistogramVec,
    total: HistogramVec,
    reviews: IntCounterVec,
    reviews_left_out: IntCounter,
    spans_sent: IntCounter,
    spans_dropped: IntCounter,
}

impl LlmFigures {
    pub fn new(registry: &Registry) -> Self {
        Self {
            pairs: Mutex::default(),
            calls: declared::LLM_CALLS.counters(registry),
            refusals: declared::LLM_REFUSALS.counters(registry),
            tokens: declared::LLM_TOKENS.counters(registry),
            cost: declared::LLM_COST.sums(registry),
            cache: declared::LLM_CACHE.counters(registry),
            first_token: declared::LLM_FIRST_TOKEN_SECONDS.histograms(registry, &BUCKETS),
            total: declared::LLM_SECONDS.histograms(registry, &BUCKETS),
            reviews: declared::LLM_REVIEWS.counters(registry),
            reviews_left_out: declared::LLM_REVIEWS_LEFT_OUT.counter(registry),
            spans_sent: declared::LLM_SPANS_SENT.counter(registry),
            spans_dropped: declared::LLM_SPANS_DROPPED.counter(registry),
        }
    }

    /// The labels of a call: names of the release alone, and not too many.
    fn labels<'r>(&self, tenant: &'r TenantId, record: &'r Record) -> [&'r str; 3] {
        if record.outcome == UNKNOWN {
            return [tenant.as_str(), OTHER, ""];
        }
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (tenant.clone(), record.feature.clone(), record.route.clone());
        if pairs.contains(&pair) || (pairs.len() < PAIRS_MAX && pairs.insert(pair)) {
            return [tenant.as_str(), &record.feature, &record.route];
        }
        ["-", OTHER, OTHER]
    }

    /// A call was chosen for review.
    pub fn chosen(&self, tenant: &TenantId, feature: &str, reasons: &[Reason]) {
        for reason in reasons {
            self.reviews.with_label_values(&[tenant.as_str(), feature, reason.name()]).inc();
        }
    }

    /// Calls were chosen for review, and too many wait already.
    pub fn not_chosen(&self, count: u64) {
        self.reviews_left_out.inc_by(count);
    }

    /// A collector took spans.
    pub fn spans_sent(&self, count: u64) {
        self.spans_sent.inc_by(count);
    }

    /// No collector took spans.
    pub fn spans_dropped(&self, count: u64) {
        self.spans_dropped.inc_by(count);
    }

    /// A call has ended.
    pub fn called(&self, tenant: &TenantId, record: &Record) {
        let [tenant, feature, route] = self.labels(tenant, record);
        let outcome = match record.outcome.as_str() {
            OK => "ok",
            GONE => GONE,
            _ if record.status >= 500 => "failed",
            _ => "refused",
        };
        self.calls.with_label_values(&[tenant, feature, route, outcome]).inc();
        if !matches!(record.outcome.as_str(), OK | GONE) {
            let rule = RULES.into_iter().find(|rule| *rule == record.outcome).unwrap_or(OTHER);
            self.refusals.with_label_values(&[rule]).inc();
        }
        let kinds = [
            ("input", record.input_tokens),
            ("cached_input", record.cached_input_tokens),
            ("output", record.output_tokens),
        ];
        for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            self.tokens.with_label_values(&[tenant, feature, route, kind]).inc_by(count);
        }
        if !record.currency.is_empty() {
            // A currency is three letters of the release.
            let cost = record.cost.pico() as f64 / 1e12;
            self.cost.with_label_values(&[tenant, feature, route, &record.currency]).inc_by(cost);
        }
        if !record.cache.is_empty() {
            self.cache.with_label_values(&[tenant, feature, route, &record.cache]).inc();
        }
        if let Some(first) = record.first_token_ms {
            self.first_token.with_label_values(&[tenant, feature, route]).observe(first as f64 / 1e3);
        }
        self.total.with_label_values(&[tenant, feature, route]).observe(record.total_ms as f64 / 1e3);
    }
}
