//! What this node knows of caches: its own of composed bodies, and those in front that it tells.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use ashlar_model::TenantId;
use schemars::JsonSchema;
use serde::Serialize;

/// Purges whose time is remembered for each cache.
const REMEMBERED: usize = 1_000;

/// A purge that a cache has acknowledged.
pub struct Purged {
    /// Keys that were named.
    pub keys: usize,
    /// Whether everything was forgotten.
    pub everything: bool,
    /// From the move of the channel to the acknowledgement, in milliseconds.
    pub ms: f64,
    /// The release that is served since.
    pub release: String,
}

#[derive(Default)]
struct OfTarget {
    purges: u64,
    keys: u64,
    everything: u64,
    failures: u64,
    last_error: String,
    release: String,
    probes: u64,
    stale: u64,
    ms: VecDeque<f64>,
}

/// Figures of all upstream caches, by tenant and cache.
#[derive(Default)]
pub struct CacheStats {
    targets: Mutex<BTreeMap<(TenantId, String), OfTarget>>,
}

/// What `/metrics` says of an upstream cache.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Totals {
    /// Purges that were acknowledged.
    pub purges: u64,
    /// Looks through a cache after a purge.
    pub probes: u64,
    /// Of these, how many found what was there before.
    pub stale: u64,
}

/// How long purges took, in milliseconds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "PurgeTimes")]
pub struct Spread {
    /// The median.
    pub p50: Option<f64>,
    /// Of 99 in 100.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

/// Figures of an upstream cache.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "FrontFigures")]
pub struct TargetFigures {
    /// The cache.
    pub target: String,
    /// The release of its last purge.
    pub release: String,
    /// Purges that were acknowledged.
    pub purges: u64,
    /// Keys that were named in them.
    pub keys: u64,
    /// Purges of everything.
    pub everything: u64,
    /// Purges that were not acknowledged.
    pub failures: u64,
    /// What was wrong the last time.
    pub last_error: String,
    /// From the move of the channel to the acknowledgement.
    pub purge_ms: Spread,
    /// Looks through the cache after a purge.
    pub probes: u64,
    /// Of these, how many found what was there before.
    pub stale_serves: u64,
}

impl CacheStats {
    fn change(&self, tenant: &TenantId, target: &str, how: impl FnOnce(&mut OfTarget)) {
        let mut all = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        how(all.entry((tenant.clone(), target.to_owned())).or_default());
    }

    pub fn purged(&self, tenant: &TenantId, target: &str, purged: Purged) {
        self.change(tenant, target, |t| {
            t.purges += 1;
            t.keys += purged.keys as u64;
            t.everything += u64::from(purged.everything);
            t.release = purged.release;
            t.last_error.clear();
            if t.ms.len() >= REMEMBERED {
                t.ms.pop_front();
            }
            t.ms.push_back(purged.ms);
        });
    }

    pub fn failed(&self, tenant: &TenantId, target: &str, error: &str) {
        self.change(tenant, target, |t| {
            t.failures += 1;
            t.last_error = error.chars().take(300).collect();
        });
    }

    /// A look through a cache after a purge.
    pub fn probed(&self, tenant: &TenantId, target: &str, stale: bool) {
        self.change(tenant, target, |t| {
            t.probes += 1;
            t.stale += u64::from(stale);
        });
    }

    /// All tenants together.
    pub fn totals(&self) -> Totals {
        let all = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().fold(Totals::default(), |sum, t| Totals {
            purges: sum.purges + t.purges,
            probes: sum.probes + t.probes,
            stale: sum.stale + t.stale,
        })
    }

    /// The upstream caches of one tenant.
    pub fn report(&self, tenant: &TenantId) -> Vec<TargetFigures> {
        let all = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|((of, _), _)| of == tenant)
            .map(|((_, target), t)| {
                let mut ms: Vec<f64> = t.ms.iter().copied().collect();
                ms.sort_by(f64::total_cmp);
                let at = |part: usize| ms.get((ms.len().saturating_sub(1)) * part / 100).copied();
                TargetFigures {
                    target: target.clone(),
                    release: t.release.clone(),
                    purges: t.purges,
                    keys: t.keys,
                    everything: t.everything,
                    failures: t.failures,
                    last_error: t.last_error.clone(),
                    purge_ms: Spread { p50: at(50), p99: at(99), max: ms.last().copied() },
                    probes: t.probes,
                    stale_serves: t.stale,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reports_each_tenant_its_own() {
        let stats = CacheStats::default();
        let (main, other) = (TenantId::main(), TenantId::new("other").unwrap());
        for ms in 1..=200 {
            let purged = Purged { keys: 2, everything: false, ms: f64::from(ms), release: "r1".to_owned() };
            stats.purged(&main, "varnish=http://a", purged);
        }
        stats.failed(&other, "varnish=http://a", "no answer");
        stats.probed(&main, "varnish=http://a", false);
        let report = serde_json::to_value(stats.report(&main)).unwrap();
        let report = report.as_array().unwrap();
        assert_eq!(report.len(), 1);
        assert_eq!((&report[0]["purges"], &report[0]["keys"]), (&json!(200), &json!(400)));
        assert_eq!(
            (&report[0]["purge_ms"]["p50"], &report[0]["purge_ms"]["p99"]),
            (&json!(100.0), &json!(198.0))
        );
        assert_eq!(stats.report(&other)[0].failures, 1);
        assert_eq!(stats.totals().probes, 1);
    }
}
