//! Figures for operators, in the Prometheus text format. Counting on the read path is one atomic addition.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ashlar_delivery::CacheCounts;

use crate::{app::cache_stats::Totals, delivery::lane::Figures};

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Figures of objects and channels, gathered when they are asked for.
#[derive(Default, Clone, Copy)]
pub struct Stored {
    pub damaged: u64,
    pub packs_damaged: u64,
    pub healed: u64,
    pub packs_open: u64,
    pub unavailable: u64,
    pub stranded: u64,
    pub fences: u64,
}

/// Counters of one process.
#[derive(Default)]
pub struct Metrics {
    delivery: [AtomicU64; 6],
    delivery_bytes: AtomicU64,
    api: [AtomicU64; 6],
    api_buckets: [AtomicU64; 10],
    api_micros: AtomicU64,
    view_failures: AtomicU64,
    ticks: AtomicU64,
    tick_failures: AtomicU64,
    overdue: AtomicU64,
    quarantined: AtomicU64,
    at_risk: AtomicU64,
    overdue_seconds_max: AtomicU64,
    purge_failures: AtomicU64,
    webhooks: [AtomicU64; 2],
    scrubbed: [AtomicU64; 2],
    reads: Mutex<Reads>,
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

/// Combinations of view and key that are counted apart.
const READS_MAX: usize = 10_000;

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Metrics {
    /// An answer of delivery.
    pub fn delivered(&self, status: u16, bytes: usize) {
        add(&self.delivery[usize::from(status / 100).min(5)], 1);
        add(&self.delivery_bytes, bytes as u64);
    }

    /// An answer of the management API.
    pub fn answered(&self, status: u16, seconds: f64) {
        add(&self.api[usize::from(status / 100).min(5)], 1);
        let bucket = BUCKETS.iter().position(|b| seconds <= *b).unwrap_or(BUCKETS.len());
        add(&self.api_buckets[bucket], 1);
        add(&self.api_micros, (seconds * 1e6) as u64);
    }

    /// A release that could not be opened.
    pub fn view_failed(&self) {
        add(&self.view_failures, 1);
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

    /// A failed purge of an upstream cache.
    pub fn purge_failed(&self) {
        add(&self.purge_failures, 1);
    }

    /// Tries of deliveries to webhooks.
    pub fn webhooks_sent(&self, arrived: u64, failed: u64) {
        add(&self.webhooks[0], arrived);
        add(&self.webhooks[1], failed);
    }

    /// Scheduled changesets that were quarantined.
    pub fn quarantined(&self, more: u64) {
        self.quarantined.fetch_add(more, Ordering::Relaxed);
    }

    /// Schedules that something would refuse.
    pub fn schedules_at_risk(&self, now: u64) {
        self.at_risk.store(now, Ordering::Relaxed);
    }

    /// Objects that were compared with their digests in the background.
    pub fn scrubbed(&self, objects: u64, bytes: u64) {
        add(&self.scrubbed[0], objects);
        add(&self.scrubbed[1], bytes);
    }

    /// A round of upkeep.
    pub fn ticked(&self, failed: bool, overdue: u64, overdue_seconds_max: u64) {
        add(&self.ticks, 1);
        add(&self.tick_failures, u64::from(failed));
        self.overdue.store(overdue, Ordering::Relaxed);
        self.overdue_seconds_max.store(overdue_seconds_max, Ordering::Relaxed);
    }

    /// Everything, as text. `channels`: tenant, channel, release number, sequence. `shown`: whose reads are shown.
    pub fn render(
        &self,
        channels: &[(String, String, u64, u64)],
        (composed, fronts, stored): (CacheCounts, Totals, Stored),
        shown: &dyn Fn(&str) -> bool,
    ) -> String {
        let mut out = String::new();
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        let head = |name: &str, kind: &str, help: &str, out: &mut String| {
            let _ = writeln!(out, "# HELP ashlar_{name} {help}\n# TYPE ashlar_{name} {kind}");
        };
        for (name, help, counters) in [
            ("delivery_responses_total", "Answers of delivery by status class.", &self.delivery),
            ("api_responses_total", "Answers of the management API by status class.", &self.api),
        ] {
            head(name, "counter", help, &mut out);
            for (class, counter) in counters.iter().enumerate().skip(2) {
                let _ = writeln!(out, "ashlar_{name}{{class=\"{class}xx\"}} {}", read(counter));
            }
        }
        head("api_seconds", "histogram", "How long answers of the management API took.", &mut out);
        let mut sum = 0;
        for (i, counter) in self.api_buckets.iter().enumerate() {
            sum += read(counter);
            let bound = BUCKETS.get(i).map_or("+Inf".to_owned(), ToString::to_string);
            let _ = writeln!(out, "ashlar_api_seconds_bucket{{le=\"{bound}\"}} {sum}");
        }
        let _ = writeln!(
            out,
            "ashlar_api_seconds_sum {}\nashlar_api_seconds_count {sum}",
            read(&self.api_micros) as f64 / 1e6
        );
        for (name, kind, help, value) in [
            ("delivery_bytes_total", "counter", "Bytes sent by delivery.", read(&self.delivery_bytes)),
            (
                "view_failures_total",
                "counter",
                "Releases that could not be opened.",
                read(&self.view_failures),
            ),
            (
                "purge_failures_total",
                "counter",
                "Failed purges of upstream caches.",
                read(&self.purge_failures),
            ),
            ("cache_hits_total", "counter", "Composed responses served from the cache.", composed.hits),
            (
                "cache_kept_total",
                "counter",
                "Of these, responses of an earlier release that were still valid.",
                composed.kept,
            ),
            (
                "cache_misses_total",
                "counter",
                "Composed responses that were not in the cache.",
                composed.misses,
            ),
            (
                "cache_stale_total",
                "counter",
                "Composed responses that were rebuilt after a release.",
                composed.stale,
            ),
            (
                "cache_overpurged_total",
                "counter",
                "Of these, responses that came out unchanged.",
                composed.same,
            ),
            ("cache_bytes", "gauge", "Bytes of cached composed responses.", composed.bytes),
            ("purges_total", "counter", "Purges that upstream caches acknowledged.", fronts.purges),
            (
                "purge_probes_total",
                "counter",
                "Reads through an upstream cache after a purge.",
                fronts.probes,
            ),
            ("purge_stale_total", "counter", "Of these, reads that returned stale content.", fronts.stale),
            (
                "webhooks_delivered_total",
                "counter",
                "Deliveries that arrived at their webhook.",
                read(&self.webhooks[0]),
            ),
            (
                "webhook_failures_total",
                "counter",
                "Tries of deliveries that failed.",
                read(&self.webhooks[1]),
            ),
            ("connections", "gauge", "Open connections.", read(&self.lane.open)),
            (
                "connections_refused_total",
                "counter",
                "Connections refused because their address had too many.",
                read(&self.lane.refused),
            ),
            (
                "connections_late_total",
                "counter",
                "Connections closed because a deadline had passed.",
                read(&self.lane.late),
            ),
            (
                "connections_displaced_total",
                "counter",
                "Idle connections closed to make room for new ones.",
                read(&self.lane.displaced),
            ),
            (
                "answers_refused_total",
                "counter",
                "Answers refused because too many waited to be read.",
                read(&self.lane.answers_refused),
            ),
            (
                "requests_limited_total",
                "counter",
                "Requests refused because their address had asked too often.",
                read(&self.lane.limited),
            ),
            ("objects_damaged", "gauge", "Objects that are known to be damaged.", stored.damaged),
            ("packs_damaged", "gauge", "Packs that cannot be opened.", stored.packs_damaged),
            ("objects_healed_total", "counter", "Damaged objects that were repaired.", stored.healed),
            (
                "objects_scrubbed_total",
                "counter",
                "Objects that were checked in the background.",
                read(&self.scrubbed[0]),
            ),
            (
                "scrub_bytes_total",
                "counter",
                "Bytes that were checked in the background.",
                read(&self.scrubbed[1]),
            ),
            ("packs_open", "gauge", "Packs with an open file.", stored.packs_open),
            ("tenants_unavailable", "gauge", "Tenants whose release cannot be opened.", stored.unavailable),
            (
                "channels_stranded",
                "gauge",
                "Channels whose release has objects that are missing here.",
                stored.stranded,
            ),
            (
                "pointer_fences_total",
                "counter",
                "Times a channel pointer was ahead of the database and was overruled.",
                stored.fences,
            ),
            ("ticks_total", "counter", "Rounds of schedules and upkeep.", read(&self.ticks)),
            ("tick_failures_total", "counter", "Rounds that failed.", read(&self.tick_failures)),
            (
                "schedules_quarantined_total",
                "counter",
                "Scheduled changesets that were given up because the server died while it worked on them.",
                read(&self.quarantined),
            ),
            ("schedules_at_risk", "gauge", "Tested schedules that gates would refuse.", read(&self.at_risk)),
            ("schedules_overdue", "gauge", "Overdue schedules.", read(&self.overdue)),
            (
                "schedule_overdue_seconds_max",
                "gauge",
                "The delay of the most overdue schedule.",
                read(&self.overdue_seconds_max),
            ),
        ] {
            head(name, kind, help, &mut out);
            let _ = writeln!(out, "ashlar_{name} {value}");
        }
        head("channel_release", "gauge", "The release a channel serves.", &mut out);
        for (tenant, channel, release, _) in channels {
            let _ = writeln!(
                out,
                "ashlar_channel_release{{tenant=\"{tenant}\",channel=\"{channel}\"}} {release}"
            );
        }
        head("channel_moves", "counter", "How often a channel has moved.", &mut out);
        for (tenant, channel, _, sequence) in channels {
            let _ =
                writeln!(out, "ashlar_channel_moves{{tenant=\"{tenant}\",channel=\"{channel}\"}} {sequence}");
        }
        head("view_reads_total", "counter", "Answers to callers with a key, by view and key.", &mut out);
        let label = |text: &str| text.replace(['\\', '"', '\n'], "_");
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, views) in reads.counts.iter().filter(|(tenant, _)| shown(tenant)) {
            let each = views.iter().flat_map(|(view, keys)| keys.iter().map(move |(key, n)| (view, key, n)));
            for (view, key, count) in each {
                let _ = writeln!(
                    out,
                    "ashlar_view_reads_total{{tenant=\"{tenant}\",view=\"{}\",key=\"{}\"}} {count}",
                    label(view),
                    label(key)
                );
            }
        }
        let _ = writeln!(out, "ashlar_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        out
    }
}
