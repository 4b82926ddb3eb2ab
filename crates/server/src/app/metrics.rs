//! Figures for operators, in the Prometheus text format. Counting on the read path is one atomic addition.
//!
//! [`declared`] names every metric; `docs/metrics.md` is written from it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use ashlar_delivery::{CacheCounts, search::SearchCounts};
use ashlar_gateway::routing::ProviderState;
use ashlar_release::FollowerFigures;
use ashlar_retrieval::models::ModelCounts;
use prometheus::{Histogram, IntCounter, IntGauge, Registry, TextEncoder, proto::LabelPair};

use super::{
    cache_stats::Totals, declared, eval_figures::EvalFigures, freshness::IndexLag, llm_figures::LlmFigures,
};
use crate::{delivery::lane::Figures, models::ProviderStanding};

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Classes of statuses.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// What became of tasks of models.
const OUTCOMES: [&str; 4] = ["done", "refused", "stopped", "capped"];
/// Combinations of view and key that are counted apart.
const READS_MAX: usize = 10_000;

/// What others know and `/metrics` shows, gathered when it is asked for.
#[derive(Default)]
pub struct Gathered {
    pub damaged: u64,
    pub packs_damaged: u64,
    pub healed: u64,
    pub packs_open: u64,
    pub unavailable: u64,
    pub stranded: u64,
    pub fences: u64,
    pub composed: CacheCounts,
    pub searches: SearchCounts,
    pub models: ModelCounts,
    pub upstream: Totals,
    /// Bytes of kept answers of models, and records of calls that were dropped.
    pub llm: (u64, u64),
    /// Tenant, and how a provider that it may use does.
    pub providers: Vec<(String, ProviderStanding)>,
    /// Tenant, channel, release number, sequence.
    pub channels: Vec<(String, String, u64, u64)>,
    /// Tenant, and how late an index of its public channel is.
    pub indexes: Vec<(String, IndexLag)>,
}

macro_rules! counted {
    ($($(#[$about:meta])* $name:ident: $of:ty = $declared:ident.$made:ident($($more:expr),*);)*) => {
        /// What this process counts.
        pub struct Counted {
            $($(#[$about])* pub $name: $of,)*
        }

        impl Counted {
            fn new(registry: &Registry) -> Self {
                Self { $($name: declared::$declared.$made(registry $(, $more)*),)* }
            }
        }
    };
}

counted! {
    delivery: [IntCounter; 4] = DELIVERY_RESPONSES.by_label(CLASSES);
    delivery_bytes: IntCounter = DELIVERY_BYTES.counter();
    api: [IntCounter; 4] = API_RESPONSES.by_label(CLASSES);
    api_seconds: Histogram = API_SECONDS.histogram(&BUCKETS);
    /// Tasks of models: done, refused, stopped, capped.
    assist_tasks: [IntCounter; 4] = ASSIST_TASKS.by_label(OUTCOMES);
    view_failures: IntCounter = VIEW_FAILURES.counter();
    purge_failures: IntCounter = PURGE_FAILURES.counter();
    webhooks_delivered: IntCounter = WEBHOOKS_DELIVERED.counter();
    webhook_failures: IntCounter = WEBHOOK_FAILURES.counter();
    objects_scrubbed: IntCounter = OBJECTS_SCRUBBED.counter();
    scrub_bytes: IntCounter = SCRUB_BYTES.counter();
    ticks: IntCounter = TICKS.counter();
    tick_failures: IntCounter = TICK_FAILURES.counter();
    schedules_quarantined: IntCounter = SCHEDULES_QUARANTINED.counter();
    schedules_at_risk: IntGauge = SCHEDULES_AT_RISK.gauge();
    schedules_overdue: IntGauge = SCHEDULES_OVERDUE.gauge();
    schedule_overdue_seconds_max: IntGauge = SCHEDULE_OVERDUE_SECONDS_MAX.gauge();
}

/// The figures of one process.
pub struct Metrics {
    registry: Registry,
    pub counted: Counted,
    /// Model calls.
    pub llm: LlmFigures,
    /// Runs of eval suites.
    pub evals: EvalFigures,
    reads: Mutex<Reads>,
    followers: Mutex<BTreeMap<&'static str, Arc<FollowerFigures>>>,
    /// Connections.
    pub lane: Arc<Figures>,
}

/// Tenant → view → key → answers; nested, so that counting makes no text.
#[derive(Default)]
struct Reads {
    counts: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
    /// How many combinations there are.
    known: usize,
}

/// The counter of the class of a status.
fn of_class(counters: &[IntCounter; 4], status: u16) -> &IntCounter {
    &counters[usize::from(status / 100).clamp(2, 5) - 2]
}

/// A number as a gauge shows it.
pub fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        Self {
            counted: Counted::new(&registry),
            llm: LlmFigures::new(&registry),
            evals: EvalFigures::new(&registry),
            registry,
            reads: Mutex::default(),
            followers: Mutex::default(),
            lane: Arc::default(),
        }
    }
}

impl Metrics {
    /// An answer of delivery.
    pub fn delivered(&self, status: u16, bytes: usize) {
        of_class(&self.counted.delivery, status).inc();
        self.counted.delivery_bytes.inc_by(bytes as u64);
    }

    /// An answer of the management API.
    pub fn answered(&self, status: u16, seconds: f64) {
        of_class(&self.counted.api, status).inc();
        self.counted.api_seconds.observe(seconds);
    }

    /// An answer to a caller with a key: owners see who still reads which version of a view.
    pub fn read(&self, tenant: &str, view: &str, key: &str) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let known = reads.counts.get_mut(tenant).and_then(|t| t.get_mut(view)?.get_mut(key));
        if let Some(count) = known {
            *count += 1;
        } else if reads.known < READS_MAX {
            reads.known += 1;
            let of_tenant = reads.counts.entry(tenant.to_owned()).or_default();
            of_tenant.entry(view.to_owned()).or_default().insert(key.to_owned(), 1);
        }
    }

    /// The figures of a follower, which are shown from now on.
    pub fn follower(&self, name: &'static str) -> Arc<FollowerFigures> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
    }

    /// Everything, as text. `shown`: the tenants whose reads are shown.
    pub fn render(&self, gathered: &Gathered, shown: &dyn Fn(&str) -> bool) -> String {
        let mut families = self.registry.gather();
        for family in &mut families {
            let hidden = |label: &LabelPair| label.name() == "tenant" && !shown(label.value());
            family.mut_metric().retain(|metric| !metric.get_label().iter().any(hidden));
        }
        families.retain(|family| !family.get_metric().is_empty());
        let now = Registry::new();
        self.show_lane(&now);
        self.show_followers(&now);
        gathered.show(&now);
        let reads = declared::VIEW_READS.counters(&now);
        let counted = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, views) in counted.counts.iter().filter(|(tenant, _)| shown(tenant)) {
            for (view, keys) in views {
                for (key, count) in keys {
                    reads.with_label_values(&[tenant, view, key]).inc_by(*count);
                }
            }
        }
        drop(counted);
        families.extend(now.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be written");
            String::new()
        })
    }

    fn show_followers(&self, now: &Registry) {
        let (lag, failures) =
            (declared::FOLLOWER_LAG_SECONDS.gauges(now), declared::FOLLOWER_FAILURES.counters(now));
        let at = jiff::Timestamp::now();
        for (name, figures) in self.followers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            lag.with_label_values(&[name]).set(gauge(figures.lag_seconds(at)));
            failures.with_label_values(&[name]).inc_by(figures.failures());
        }
    }

    fn show_lane(&self, now: &Registry) {
        for (metric, counted) in [
            (&declared::CONNECTIONS, &self.lane.open),
            (&declared::CONNECTIONS_REFUSED, &self.lane.refused),
            (&declared::CONNECTIONS_LATE, &self.lane.late),
            (&declared::CONNECTIONS_DISPLACED, &self.lane.displaced),
            (&declared::ANSWERS_REFUSED, &self.lane.answers_refused),
            (&declared::REQUESTS_LIMITED, &self.lane.limited),
        ] {
            metric.show(now, counted.load(Ordering::Relaxed));
        }
    }
}

impl Gathered {
    fn show(&self, now: &Registry) {
        for (metric, value) in [
            (&declared::CACHE_HITS, self.composed.hits),
            (&declared::CACHE_KEPT, self.composed.kept),
            (&declared::CACHE_MISSES, self.composed.misses),
            (&declared::CACHE_STALE, self.composed.stale),
            (&declared::CACHE_OVERPURGED, self.composed.same),
            (&declared::CACHE_BYTES, self.composed.bytes),
            (&declared::SEARCHES, self.searches.searches),
            (&declared::SEARCHES_EMPTY, self.searches.empty),
            (&declared::SEARCH_HITS, self.searches.hits),
            (&declared::SEARCH_HITS_STALE, self.searches.stale),
            (&declared::SEARCHES_WITHOUT_VECTORS, self.searches.not_embedded),
            (&declared::MODEL_TEXTS, self.models.texts),
            (&declared::MODEL_CALLS, self.models.calls),
            (&declared::MODEL_FAILURES, self.models.failures),
            (&declared::LLM_CACHE_BYTES, self.llm.0),
            (&declared::LLM_RECORDS_DROPPED, self.llm.1),
            (&declared::SEARCH_CLICKS, self.searches.clicks),
            (&declared::SEARCH_UNLOGGED, self.searches.unlogged),
            (&declared::QUESTIONS, self.searches.questions),
            (&declared::QUESTIONS_REFUSED, self.searches.refused),
            (&declared::PURGES, self.upstream.purges),
            (&declared::PURGE_PROBES, self.upstream.probes),
            (&declared::PURGE_STALE, self.upstream.stale),
            (&declared::OBJECTS_DAMAGED, self.damaged),
            (&declared::PACKS_DAMAGED, self.packs_damaged),
            (&declared::OBJECTS_HEALED, self.healed),
            (&declared::PACKS_OPEN, self.packs_open),
            (&declared::TENANTS_UNAVAILABLE, self.unavailable),
            (&declared::CHANNELS_STRANDED, self.stranded),
            (&declared::POINTER_FENCES, self.fences),
        ] {
            metric.show(now, value);
        }
        let (releases, moves) =
            (declared::CHANNEL_RELEASE.gauges(now), declared::CHANNEL_MOVES.counters(now));
        for (tenant, channel, release, sequence) in &self.channels {
            releases.with_label_values(&[tenant, channel]).set(gauge(*release));
            moves.with_label_values(&[tenant, channel]).inc_by(*sequence);
        }
        let (lags, targets) =
            (declared::SEARCH_LAG_SECONDS.fractions(now), declared::SEARCH_TARGET_SECONDS.fractions(now));
        for (tenant, index) in &self.indexes {
            let labels = [tenant.as_str(), index.index.as_str()];
            targets.with_label_values(&labels).set(index.target.as_secs_f64());
            if let Some(lag) = index.lag {
                lags.with_label_values(&labels).set(lag.as_secs_f64());
            }
        }
        let (ups, paused) = (declared::LLM_PROVIDER_UP.gauges(now), declared::LLM_TARGETS_PAUSED.gauges(now));
        for (tenant, provider) in &self.providers {
            let labels = [tenant.as_str(), provider.name.as_str()];
            paused.with_label_values(&labels).set(gauge(provider.paused));
            if provider.probe_seconds.is_some() {
                ups.with_label_values(&labels).set(i64::from(provider.state != ProviderState::Down));
            }
        }
        declared::BUILD_INFO.gauges(now).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write as _, path::Path};

    use ashlar_gateway::record::Record;
    use ashlar_model::TenantId;

    use super::*;

    /// Everything, with a sample of what has labels.
    fn rendered() -> String {
        let metrics = Metrics::default();
        metrics.delivered(200, 10);
        metrics.answered(404, 0.02);
        metrics.read("main", "pages.v1", "a \"quoted\" key");
        metrics.read("other", "pages.v1", "hidden");
        metrics.follower("webhooks");
        let call = Record {
            feature: "support".to_owned(),
            route: "fast".to_owned(),
            outcome: "ok".to_owned(),
            status: 200,
            input_tokens: 12,
            cost: "0.25".parse().unwrap_or_default(),
            currency: "USD".to_owned(),
            first_token_ms: Some(300),
            total_ms: 1_200,
            cache: "miss".to_owned(),
            ..Record::default()
        };
        metrics.llm.called(&TenantId::main(), &call);
        if let Ok(hidden) = TenantId::new("hidden") {
            metrics.llm.called(&hidden, &call);
        }
        let refused = |feature: &str, outcome: &str| Record {
            feature: feature.to_owned(),
            outcome: outcome.to_owned(),
            status: 403,
            ..Record::default()
        };
        metrics.llm.chosen(&TenantId::main(), "support", &[ashlar_gateway::review::Reason::Random]);
        metrics.llm.called(&TenantId::main(), &refused("made up by a client", "unknown_feature"));
        metrics.llm.called(&TenantId::main(), &refused("support", "made up by a provider"));
        metrics.evals.case(true, false);
        metrics.evals.ended(&TenantId::main(), "fail", "schedule", true);
        let channels = vec![("main".to_owned(), "production".to_owned(), 4, 7)];
        let second = std::time::Duration::from_secs(1);
        let lag = IndexLag {
            index: "product".to_owned(),
            target: second * 2,
            words: Some(second / 10),
            lag: Some(second / 2),
            complete: true,
        };
        let indexes = vec![("main".to_owned(), lag)];
        let provider = ProviderStanding {
            name: "openai".to_owned(),
            kind: "openai".to_owned(),
            state: ProviderState::Down,
            since: None,
            paused: 2,
            probe_seconds: Some(30),
            last_failure: None,
            last_failure_at: None,
        };
        let providers = vec![("main".to_owned(), provider)];
        metrics.render(&Gathered { channels, indexes, providers, ..Gathered::default() }, &|tenant| {
            tenant == "main"
        })
    }

    #[test]
    fn metrics_are_written_as_prometheus_reads_them() {
        let text = rendered();
        for line in [
            "# TYPE ashlar_delivery_responses_total counter",
            "ashlar_delivery_responses_total{class=\"2xx\"} 1",
            "ashlar_delivery_responses_total{class=\"5xx\"} 0",
            "ashlar_delivery_bytes_total 10",
            "ashlar_api_seconds_bucket{le=\"0.01\"} 0",
            "ashlar_api_seconds_bucket{le=\"0.05\"} 1",
            "ashlar_api_seconds_bucket{le=\"+Inf\"} 1",
            "ashlar_api_seconds_count 1",
            "ashlar_channel_release{channel=\"production\",tenant=\"main\"} 4",
            "ashlar_channel_moves{channel=\"production\",tenant=\"main\"} 7",
            "ashlar_view_reads_total{key=\"a \\\"quoted\\\" key\",tenant=\"main\",view=\"pages.v1\"} 1",
            "ashlar_llm_calls_total{feature=\"support\",outcome=\"ok\",route=\"fast\",tenant=\"main\"} 1",
            "ashlar_llm_calls_total{feature=\"other\",outcome=\"refused\",route=\"\",tenant=\"main\"} 1",
            "ashlar_llm_refusals_total{rule=\"unknown_feature\"} 1",
            "ashlar_llm_refusals_total{rule=\"other\"} 1",
            "ashlar_llm_tokens_total{feature=\"support\",kind=\"input\",route=\"fast\",tenant=\"main\"} 12",
            "ashlar_llm_cost_total{currency=\"USD\",feature=\"support\",route=\"fast\",tenant=\"main\"} 0.25",
            "ashlar_llm_cache_total{cache=\"miss\",feature=\"support\",route=\"fast\",tenant=\"main\"} 1",
            "ashlar_llm_first_token_seconds_bucket{feature=\"support\",route=\"fast\",tenant=\"main\",le=\"0.5\"} 1",
            "ashlar_llm_seconds_count{feature=\"support\",route=\"fast\",tenant=\"main\"} 1",
            "ashlar_llm_provider_up{provider=\"openai\",tenant=\"main\"} 0",
            "ashlar_llm_targets_paused{provider=\"openai\",tenant=\"main\"} 2",
            "# HELP ashlar_schedules_overdue Overdue schedules.",
            "ashlar_search_lag_seconds{index=\"product\",tenant=\"main\"} 0.5",
            "ashlar_search_target_seconds{index=\"product\",tenant=\"main\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("hidden") && !text.contains("made up"), "{text}");
    }

    #[test]
    fn every_metric_is_declared_and_written() {
        let text = rendered();
        let written: BTreeSet<&str> =
            text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let declared: BTreeSet<&str> = declared::ALL.iter().map(|m| m.name).collect();
        assert_eq!(written, declared);
    }

    /// `ASHLAR_WRITE_DOCS=1 cargo test -p ashlar-server metrics` writes the page.
    #[test]
    fn the_documentation_lists_every_metric() {
        let mut page = "# Metrics\n\n`GET /metrics` returns these metrics in the Prometheus text format. Metrics with the label `tenant` need a key with the scope `admin`, \
            and show the tenant of that key.\nA key of the tenant `main` shows all tenants. [Operations](operations.md) describes which metrics to set alarms on.\n\n\
            | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
            .to_owned();
        for metric in declared::ALL {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = format!("{:?}", metric.kind).to_lowercase();
            writeln!(page, "| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help)
                .unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("ASHLAR_WRITE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page,
            "docs/metrics.md is out of date. Run ASHLAR_WRITE_DOCS=1 cargo test -p ashlar-server metrics"
        );
    }
}
