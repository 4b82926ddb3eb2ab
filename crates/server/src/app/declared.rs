//! Every metric by name: what it counts, and by which labels.

use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Collector,
};

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process runs.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts in buckets.
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub struct Declared {
    pub kind: Kind,
    pub name: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub static $id: Declared =
            Declared { kind: Kind::$kind, name: $name, labels: &[$($label),*], help: $help };)*

        /// All of them, in the order of the documentation.
        #[cfg(test)]
        pub static ALL: &[&Declared] = &[$(&$id),*];
    };
}

metrics! {
    DELIVERY_RESPONSES = Counter "ashlar_delivery_responses_total" ["class"] "Answers of delivery by status class.";
    DELIVERY_BYTES = Counter "ashlar_delivery_bytes_total" [] "Bytes sent by delivery.";
    API_RESPONSES = Counter "ashlar_api_responses_total" ["class"] "Answers of the management API by status class.";
    API_SECONDS = Histogram "ashlar_api_seconds" [] "How long answers of the management API took.";
    ASSIST_TASKS = Counter "ashlar_assist_tasks_total" ["outcome"] "Tasks of models by outcome: `done`, `refused`, `stopped`, `capped`.";
    VIEW_READS = Counter "ashlar_view_reads_total" ["tenant", "view", "key"] "Answers to callers with a key, by view and key.";
    VIEW_FAILURES = Counter "ashlar_view_failures_total" [] "Releases that could not be opened.";
    CHANNEL_RELEASE = Gauge "ashlar_channel_release" ["tenant", "channel"] "The release a channel serves.";
    CHANNEL_MOVES = Counter "ashlar_channel_moves" ["tenant", "channel"] "How often a channel has moved.";
    CHANNELS_STRANDED = Gauge "ashlar_channels_stranded" [] "Channels whose release has objects that are missing here.";
    TENANTS_UNAVAILABLE = Gauge "ashlar_tenants_unavailable" [] "Tenants whose release cannot be opened.";
    POINTER_FENCES = Counter "ashlar_pointer_fences_total" [] "Times a channel pointer was ahead of the database and was overruled.";
    CACHE_HITS = Counter "ashlar_cache_hits_total" [] "Composed responses served from the cache.";
    CACHE_KEPT = Counter "ashlar_cache_kept_total" [] "Of these, responses of an earlier release that were still valid.";
    CACHE_MISSES = Counter "ashlar_cache_misses_total" [] "Composed responses that were not in the cache.";
    CACHE_STALE = Counter "ashlar_cache_stale_total" [] "Composed responses that were rebuilt after a release.";
    CACHE_OVERPURGED = Counter "ashlar_cache_overpurged_total" [] "Of these, responses that came out unchanged.";
    CACHE_BYTES = Gauge "ashlar_cache_bytes" [] "Bytes of cached composed responses.";
    SEARCHES = Counter "ashlar_searches_total" [] "Searches over HTTP and of pages.";
    SEARCHES_EMPTY = Counter "ashlar_searches_empty_total" [] "Of these, searches that found nothing.";
    SEARCH_HITS = Counter "ashlar_search_hits_total" [] "Hits that searches showed.";
    SEARCH_HITS_STALE = Counter "ashlar_search_hits_stale_total" [] "Hits that were left out because the release does not have their text.";
    SEARCHES_WITHOUT_VECTORS = Counter "ashlar_searches_without_vectors_total" [] "Times that an index was searched by words alone, because its model did not answer.";
    MODEL_TEXTS = Counter "ashlar_model_texts_total" [] "Texts that models embedded.";
    MODEL_CALLS = Counter "ashlar_model_calls_total" [] "Requests to endpoints of models.";
    MODEL_FAILURES = Counter "ashlar_model_failures_total" [] "Of these, requests that failed.";
    LLM_CALLS = Counter "ashlar_llm_calls_total" ["tenant", "feature", "route", "outcome"] "Calls of the gateway: `ok`, `refused` (nothing was wrong with the provider), `failed`, `client_gone`.";
    LLM_REFUSALS = Counter "ashlar_llm_refusals_total" ["rule"] "Of these, calls without an answer, by the code of the rule. Codes of providers are counted as `other`.";
    LLM_TOKENS = Counter "ashlar_llm_tokens_total" ["tenant", "feature", "route", "kind"] "Tokens that calls used: `input`, `cached_input` (of the input), `output`.";
    LLM_COST = Counter "ashlar_llm_cost_total" ["tenant", "feature", "route", "currency"] "Money that calls used. Rounded; `ashlar llm usage` has exact sums.";
    LLM_CACHE = Counter "ashlar_llm_cache_total" ["tenant", "feature", "route", "cache"] "Calls of features that keep answers: `hit` or `miss`.";
    LLM_FIRST_TOKEN_SECONDS = Histogram "ashlar_llm_first_token_seconds" ["tenant", "feature", "route"] "How long the first token of a stream took.";
    LLM_SECONDS = Histogram "ashlar_llm_seconds" ["tenant", "feature", "route"] "How long calls took.";
    LLM_CACHE_BYTES = Gauge "ashlar_llm_cache_bytes" [] "Bytes of kept answers.";
    LLM_PROVIDER_UP = Gauge "ashlar_llm_provider_up" ["tenant", "provider"] "Whether the probes of a provider succeed: 1 or 0. Absent for a provider that is not probed.";
    LLM_TARGETS_PAUSED = Gauge "ashlar_llm_targets_paused" ["tenant", "provider"] "Models of a provider that failed and are left alone for a moment.";
    LLM_RECORDS_DROPPED = Counter "ashlar_llm_records_dropped_total" [] "Records of calls that were dropped because too many waited.";
    LLM_REVIEWS = Counter "ashlar_llm_reviews_total" ["tenant", "feature", "reason"] "Calls that were chosen for review, by reason. A call can have several.";
    LLM_REVIEWS_LEFT_OUT = Counter "ashlar_llm_reviews_left_out_total" [] "Calls that were chosen for review and left out, because too many wait.";
    LLM_SPANS_SENT = Counter "ashlar_llm_spans_sent_total" [] "Spans of calls that a collector of OpenTelemetry took.";
    LLM_SPANS_DROPPED = Counter "ashlar_llm_spans_dropped_total" [] "Spans of calls that no collector took: too many waited, or it did not answer.";
    EVAL_CASES = Counter "ashlar_eval_cases_total" ["outcome"] "Cases of runs of eval suites that this node asked: `pass`, `fail`, `error`.";
    EVAL_RUNS = Counter "ashlar_eval_runs_total" ["verdict", "reason"] "Runs that this node ended: `pass`, `fail` or `incomplete`; `asked` or `schedule`.";
    EVAL_DRIFTS = Counter "ashlar_eval_drifts_total" ["tenant"] "Of these, scheduled runs that break a threshold or are worse than the run before by more than chance.";
    SEARCH_CLICKS = Counter "ashlar_search_clicks_total" [] "Clicks on hits that were reported.";
    SEARCH_UNLOGGED = Counter "ashlar_search_unlogged_total" [] "Searches and clicks that are missing in the log because too many waited.";
    SEARCH_LAG_SECONDS = Gauge "ashlar_search_lag_seconds" ["tenant", "index"] "How long after its release an index was searchable by words and vectors here, or how long vectors have been missing. Absent for a release that was served when the node started.";
    SEARCH_TARGET_SECONDS = Gauge "ashlar_search_target_seconds" ["tenant", "index"] "How soon after a release the index should be searchable: `freshness` in retrieval.toml.";
    QUESTIONS = Counter "ashlar_questions_total" [] "Questions to `/v1/answers`.";
    QUESTIONS_REFUSED = Counter "ashlar_questions_refused_total" [] "Of these, questions without an answer.";
    PURGES = Counter "ashlar_purges_total" [] "Purges that upstream caches acknowledged.";
    PURGE_FAILURES = Counter "ashlar_purge_failures_total" [] "Failed purges of upstream caches.";
    PURGE_PROBES = Counter "ashlar_purge_probes_total" [] "Reads through an upstream cache after a purge.";
    PURGE_STALE = Counter "ashlar_purge_stale_total" [] "Of these, reads that returned stale content.";
    WEBHOOKS_DELIVERED = Counter "ashlar_webhooks_delivered_total" [] "Deliveries that arrived at their webhook.";
    WEBHOOK_FAILURES = Counter "ashlar_webhook_failures_total" [] "Tries of deliveries that failed.";
    FOLLOWER_LAG_SECONDS = Gauge "ashlar_follower_lag_seconds" ["follower"] "The age of the oldest event that a follower of the event log has not handled.";
    FOLLOWER_FAILURES = Counter "ashlar_follower_failures_total" ["follower"] "Times the work of a follower failed and was put off.";
    CONNECTIONS = Gauge "ashlar_connections" [] "Open connections.";
    CONNECTIONS_REFUSED = Counter "ashlar_connections_refused_total" [] "Connections refused because their address had too many.";
    CONNECTIONS_LATE = Counter "ashlar_connections_late_total" [] "Connections closed because a deadline had passed.";
    CONNECTIONS_DISPLACED = Counter "ashlar_connections_displaced_total" [] "Idle connections closed to make room for new ones.";
    ANSWERS_REFUSED = Counter "ashlar_answers_refused_total" [] "Answers refused because too many waited to be read.";
    REQUESTS_LIMITED = Counter "ashlar_requests_limited_total" [] "Requests refused because their address had asked too often.";
    OBJECTS_DAMAGED = Gauge "ashlar_objects_damaged" [] "Objects that are known to be damaged.";
    PACKS_DAMAGED = Gauge "ashlar_packs_damaged" [] "Packs that cannot be opened.";
    OBJECTS_HEALED = Counter "ashlar_objects_healed_total" [] "Damaged objects that were repaired.";
    OBJECTS_SCRUBBED = Counter "ashlar_objects_scrubbed_total" [] "Objects that were checked in the background.";
    SCRUB_BYTES = Counter "ashlar_scrub_bytes_total" [] "Bytes that were checked in the background.";
    PACKS_OPEN = Gauge "ashlar_packs_open" [] "Packs with an open file.";
    TICKS = Counter "ashlar_ticks_total" [] "Rounds of schedules and upkeep.";
    TICK_FAILURES = Counter "ashlar_tick_failures_total" [] "Rounds that failed.";
    SCHEDULES_QUARANTINED = Counter "ashlar_schedules_quarantined_total" [] "Scheduled changesets that were given up because the server died while it worked on them.";
    SCHEDULES_AT_RISK = Gauge "ashlar_schedules_at_risk" [] "Tested schedules that gates would refuse.";
    SCHEDULES_OVERDUE = Gauge "ashlar_schedules_overdue" [] "Overdue schedules.";
    SCHEDULE_OVERDUE_SECONDS_MAX = Gauge "ashlar_schedule_overdue_seconds_max" [] "The delay of the most overdue schedule.";
    BUILD_INFO = Gauge "ashlar_build_info" ["version"] "The version of the server. The value is always 1.";
}

/// Registers a metric that its row describes.
#[allow(clippy::expect_used, reason = "constants: `every_metric_can_be_registered` makes all of them")]
fn made<M: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("a well-formed name and labels");
    registry.register(Box::new(metric.clone())).expect("a name of its own");
    metric
}

impl Declared {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    pub fn counter(&self, registry: &Registry) -> IntCounter {
        made(registry, IntCounter::with_opts(self.opts()))
    }

    pub fn counters(&self, registry: &Registry) -> IntCounterVec {
        made(registry, IntCounterVec::new(self.opts(), self.labels))
    }

    /// A counter for each value of the only label.
    pub fn by_label<const N: usize>(&self, registry: &Registry, values: [&str; N]) -> [IntCounter; N] {
        let counters = self.counters(registry);
        values.map(|value| counters.with_label_values(&[value]))
    }

    pub fn gauge(&self, registry: &Registry) -> IntGauge {
        made(registry, IntGauge::with_opts(self.opts()))
    }

    pub fn gauges(&self, registry: &Registry) -> IntGaugeVec {
        made(registry, IntGaugeVec::new(self.opts(), self.labels))
    }

    pub fn fractions(&self, registry: &Registry) -> GaugeVec {
        made(registry, GaugeVec::new(self.opts(), self.labels))
    }

    pub fn histogram(&self, registry: &Registry, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec());
        made(registry, Histogram::with_opts(opts))
    }

    pub fn histograms(&self, registry: &Registry, buckets: &[f64]) -> HistogramVec {
        let opts = HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec());
        made(registry, HistogramVec::new(opts, self.labels))
    }

    /// A counter of fractions for each combination of labels.
    pub fn sums(&self, registry: &Registry) -> CounterVec {
        made(registry, CounterVec::new(self.opts(), self.labels))
    }

    /// Shows a value that is known elsewhere.
    pub fn show(&self, registry: &Registry, value: u64) {
        match self.kind {
            Kind::Gauge => self.gauge(registry).set(i64::try_from(value).unwrap_or(i64::MAX)),
            _ => self.counter(registry).inc_by(value),
        }
    }
}
