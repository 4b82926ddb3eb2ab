//! Whether providers answer, asked before callers find out.

use std::time::Duration;

use tokio::time::Instant;

use super::case::Desk;
use crate::{
    routing::Standing,
    upstream::{Next, Provider},
};

/// How long a probe may take, and its connection.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// The wait after the first probe that failed. It doubles with each further one, up to the usual wait.
const AGAIN: Duration = Duration::from_secs(1);
/// Nodes and providers are not probed all at once: waits differ by this share, in thousandths.
const SPREAD: u64 = 200;

impl Desk {
    /// Probes a provider once. Returns how long to wait before the next probe; `every`: how long as long as all is well.
    ///
    /// A provider that cannot be reached, or that fails (5xx), twice in a row is left alone until a probe or a call succeeds. One that
    /// answers anything else works: it may have no list of models, or not for this credential.
    pub async fn probe(&self, provider: &Provider, every: Duration) -> Duration {
        let result = provider.probe(PROBE_TIME, Instant::now() + PROBE_TIME).await;
        let now = std::time::Instant::now();
        let failures = match &result {
            Ok(()) => self.breakers.probed(&provider.name, Ok(()), now),
            Err(failed) => {
                let code = failed.fault.code.as_ref();
                tracing::debug!(provider = provider.name, %code, "a probe failed");
                let works = !matches!(failed.next, Next::Again(_)) || code == "upstream_rate_limited";
                if works {
                    self.breakers.refused(&provider.name, code);
                }
                self.breakers.probed(&provider.name, if works { Ok(()) } else { Err(code) }, now)
            }
        };
        let wait = match failures.checked_sub(1) {
            None => every,
            Some(more) => AGAIN.saturating_mul(1 << more.min(16)).min(every),
        };
        // Without randomness, all waits are as long as they are.
        let mut random = [0; 8];
        let _ = getrandom::fill(&mut random);
        let share = 1_000 - SPREAD / 2 + u64::from_le_bytes(random) % SPREAD;
        wait.mul_f64(share as f64 / 1_000.0)
    }

    /// How a provider does on this node.
    #[must_use]
    pub fn standing(&self, provider: &str) -> Standing {
        self.breakers.standing(provider, std::time::Instant::now())
    }
}
