//! Reading all objects again, slowly, so that damage is found before a reader finds it.

use std::time::{Duration, Instant};

use ashlar_model::TenantId;
use ashlar_store::{Objects, ScrubPlace};

use crate::app::{metrics::Metrics, tenants::Tenants};

/// How long a node rests after it has read everything.
const REST: Duration = Duration::from_secs(24 * 3600);

/// Where the scrub of a node goes on.
#[derive(Default)]
pub struct Scrub {
    waiting: Vec<TenantId>,
    place: ScrubPlace,
    rest_until: Option<Instant>,
}

impl Scrub {
    /// Reads about `bytes_max` bytes more.
    pub async fn step(
        &mut self,
        (tenants, objects, metrics): (&Tenants, &Objects, &Metrics),
        bytes_max: u64,
    ) {
        if bytes_max == 0 || self.rest_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let Some(tenant) = self.waiting.last().cloned() else {
            self.waiting = tenants.names();
            return;
        };
        let (objects, mut place) = (objects.tenant(&tenant), self.place.clone());
        let read = tokio::task::spawn_blocking(move || (objects.scrub(&mut place, bytes_max), place)).await;
        let done = match read {
            Ok((Ok(done), place)) => {
                self.place = place;
                metrics.counted.objects_scrubbed.inc_by(done.objects);
                metrics.counted.scrub_bytes.inc_by(done.bytes);
                done.done
            }
            Ok((Err(error), _)) => {
                tracing::warn!(%tenant, %error, "the objects of a tenant cannot be checked; the next tenant follows");
                true
            }
            Err(_) => true,
        };
        if done {
            self.place = ScrubPlace::default();
            self.waiting.pop();
            if self.waiting.is_empty() {
                self.rest_until = Some(Instant::now() + REST);
            }
        }
    }
}
