//! Whether this node can write.

use std::time::{Duration, Instant};

use ashlar_model::{ChannelName, ReleaseId, TenantId};
use ashlar_store::sql::SqlError;

use crate::{Engine, ReleaseError};

/// The outcome of a probe is believed for this long.
const BELIEVED: Duration = Duration::from_secs(1);
/// How long the database may take to answer a probe.
const PROBE_MAX: Duration = Duration::from_secs(2);
/// The pointer object that shows whether objects can be written.
const PROBE: &str = "probe";

impl Engine {
    /// Whether writes work: the database answers, a small file can be written, and the last write succeeded. After a write
    /// that failed, a small one is tried, so that this recovers by itself. Asked often, it costs little.
    ///
    /// # Errors
    /// Why not, in words without paths or addresses.
    pub async fn check_writes(&self) -> Result<(), String> {
        let health = self.health();
        let _one = health.probing.lock().await;
        if let Some((at, outcome)) = &health.state().probed
            && at.elapsed() < BELIEVED
        {
            return outcome.clone();
        }
        let outcome = self.probe().await;
        health.state().probed = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn probe(&self) -> Result<(), String> {
        let answers = tokio::time::timeout(PROBE_MAX, self.db().ping()).await;
        match answers {
            // All connections are busy: that is load, not a fault.
            Ok(Ok(()) | Err(SqlError::Busy(_))) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready");
                return Err("the database does not answer".to_owned());
            }
            Err(_) => return Err("the database does not answer".to_owned()),
        }
        let objects = self.objects().clone();
        let written = tokio::task::spawn_blocking(move || objects.probe()).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "not ready");
            return Err(error.public());
        }
        let Some(failed) = self.health().state().failed.clone() else { return Ok(()) };
        let main = TenantId::main();
        let tried = async {
            self.tenant_objects(&main).put_pointer(PROBE, "ready".into()).await?;
            let mut tx = self.db().write(&main).await?;
            tx.rows().next(PROBE).await?;
            Ok::<_, ReleaseError>(tx.commit().await?)
        };
        match tokio::time::timeout(PROBE_MAX, tried).await {
            Ok(Ok(())) => {
                self.health().wrote();
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready");
                Err(error.public())
            }
            Err(_) => Err(failed),
        }
    }

    /// Channels that the database moved to a release whose objects are missing here; what was served before stays.
    pub fn stranded(&self) -> Vec<(TenantId, ChannelName, ReleaseId)> {
        let state = self.health().state();
        state.stranded.iter().map(|((t, c), r)| (t.clone(), c.clone(), *r)).collect()
    }

    /// How often a pointer object was found ahead of the database, as after a restore, and was overruled.
    pub fn fences(&self) -> u64 {
        self.health().state().fences
    }
}
