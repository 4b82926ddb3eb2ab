//! Pointing a channel at an earlier release.

use std::time::Instant;

use ashlar_model::{ChannelName, ReleaseId, Right};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::moves::{move_to, public_channel, publish_pointer, settle_now, unsettle};
use crate::{
    Action, ReleaseError, Scope, artifacts::manifest, candidates::docket::head_of, engine::action::Record,
};

/// Points a channel at an earlier release, definitions and all.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// The release.
    pub release: ReleaseId,
    /// The channel; the public one when absent.
    pub channel: Option<ChannelName>,
    /// Why.
    pub note: String,
}

/// The outcome of a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolledBack {
    /// What the channel serves now.
    pub release: ReleaseId,
    /// What it served before.
    pub from: Option<ReleaseId>,
    /// The channel.
    pub channel: ChannelName,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
}

#[async_trait]
impl Action for Rollback {
    type Output = RolledBack;
    const NAME: &'static str = "release.rollback";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<RolledBack, ReleaseError> {
        let started = Instant::now();
        let objects = scope.objects();
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let working = rows.working_definitions().await?.map(|d| d.digest);
        let (channel, public) = public_channel(scope, self.channel, working, None).await?;
        let release = rows.release(self.release).await?.ok_or_else(|| {
            ReleaseError::not_found("release", self.release, "`ashlar release list` shows all releases")
        })?;
        let head = head_of(&mut rows, &channel).await?;
        if head.as_ref().is_some_and(|h| h.id == release.id) {
            let message = format!("{channel} serves {} already", release.id);
            return Err(ReleaseError::refused("already-promoted", message, "there is nothing to do"));
        }
        let Some(head) = head else {
            let message = format!("{channel} serves nothing yet");
            let help = format!(
                "promote a candidate to it: `ashlar release promote {} --channel {channel}`",
                release.candidate
            );
            return Err(ReleaseError::refused("nothing-to-roll-back", message, help));
        };
        // Refuse before the pointer moves if what it would point at is not there.
        manifest::read(&objects, &release.manifest)?;
        objects
            .get(&release.snapshot)
            .map(drop)
            .or_else(|e| if release.entries == 0 { Ok(()) } else { Err(e) })?;
        if public {
            unsettle(&mut rows, Some(&head), &release, false).await?;
        }
        let state = move_to(scope, &mut rows, &channel, &release, true).await?;
        let data = json!({
            "release": release.id, "digest": release.manifest, "channel": channel, "from": head.id,
            "note": self.note.chars().take(2000).collect::<String>(),
        });
        scope.commit(tx, Record::one("release.rolled_back", release.id.to_string(), data)).await?;
        publish_pointer(scope, state).await;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0;
        settle_now(scope).await;
        Ok(RolledBack { release: release.id, from: Some(head.id), channel, took_ms })
    }
}

/// Records that a cache was purged of what a move of the public channel changed.
#[derive(Debug, Clone)]
pub struct RecordPurge {
    /// The release that is served now.
    pub subject: String,
    /// The target, how many keys, how long it took.
    pub data: serde_json::Value,
}

#[async_trait]
impl Action for RecordPurge {
    type Output = ();
    const NAME: &'static str = "cache.purge";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let tx = scope.begin().await?;
        scope.commit(tx, Record::one("cache.purged", self.subject, self.data)).await
    }
}
