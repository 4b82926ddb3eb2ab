//! Pointer objects that are behind or ahead of the database.

use std::time::Duration;

use ashlar_model::{Actor, ChannelName, ReleaseId, Right, TenantId};
use ashlar_store::{
    TenantObjects, Tree,
    sql::{ChannelRow, ReleaseRow},
};
use async_trait::async_trait;
use serde_json::json;

use super::{
    moves::{counter, tell},
    state::{read_pointer, state_of, write_pointer},
};
use crate::{
    Action, ChannelState, Ctx, Engine, ReleaseError, Scope, artifacts::manifest, engine::action::Record,
};

/// When pointers that could not be written are tried again, one after the other. Upkeep goes on after that.
const TRY_AGAIN: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Kinds of events of which each is one move of a channel.
const MOVES: [&str; 2] = ["release.promoted", "release.rolled_back"];
/// Moves that are looked back upon.
const MOVES_MAX: u32 = 200;

/// What the pointer object of a channel says; `None` when there is none or it is not one.
/// Gives a channel a sequence above that of a pointer object from another history.
struct Fence {
    channel: ChannelName,
    pointer: ChannelState,
}

#[async_trait]
impl Action for Fence {
    type Output = Option<ChannelRow>;
    const NAME: &'static str = "channel.fence";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Option<ChannelRow>, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let Some(mut row) = rows.channel(&self.channel).await? else { return Ok(None) };
        // Another node may have done it, or the channel has moved on.
        if row.sequence > self.pointer.sequence {
            return Ok(None);
        }
        let counted = rows.counter(&counter(&self.channel)).await?;
        tell(scope.engine, &scope.ctx.tenant, &self.channel, &self.pointer, row.sequence);
        let by = self.pointer.sequence.saturating_sub(counted) + 1;
        row.sequence = rows.advance(&counter(&self.channel), by).await?;
        rows.move_channel(&row).await?;
        let data = json!({
            "release": row.release, "sequence": row.sequence, "pointer_sequence": self.pointer.sequence,
            "pointer_release": self.pointer.release,
        });
        // What is served does not change for anybody who followed the database: an audit row, and no event.
        let record = Record { subject: self.channel.to_string(), data, events: Vec::new() };
        scope.commit(tx, record).await?;
        Ok(Some(row))
    }
}

/// Whether what delivery opens first is there.
fn can_be_opened(objects: &TenantObjects, release: &ReleaseRow) -> Result<(), ReleaseError> {
    manifest::read(objects, &release.manifest)?;
    for root in [&release.snapshot, &release.definitions].into_iter().chain(release.derived.values()) {
        Tree::open(objects, root)?;
    }
    Ok(())
}

impl Engine {
    /// Repairs the pointers of a tenant in the background, a few times until it succeeds: a node that only takes requests has
    /// no upkeep of its own.
    pub(crate) fn mend_soon(&self, tenant: &TenantId) {
        if !self.mending().insert(tenant.clone()) {
            return;
        }
        let (engine, tenant) = (self.clone(), tenant.clone());
        tokio::spawn(async move {
            for wait in TRY_AGAIN {
                tokio::time::sleep(wait).await;
                match engine.repair_pointers(&tenant).await {
                    Ok(_) => break,
                    Err(error) => tracing::warn!(%tenant, %error, "pointers cannot be repaired yet"),
                }
            }
            engine.mending().remove(&tenant);
        });
    }

    /// Writes the pointer objects of a tenant that differ from the database. One that is ahead of it is overruled. One
    /// whose release has objects that are missing stays: what it names can still be served.
    ///
    /// # Errors
    /// When the database or the objects cannot be read.
    pub async fn repair_pointers(&self, tenant: &TenantId) -> Result<usize, ReleaseError> {
        let objects = self.tenant_objects(tenant);
        let mut repaired = 0;
        let channels = self.db().read(tenant).await?.rows().channels().await?;
        for ChannelRow { channel, .. } in channels {
            // The pointer first: moves that happen between the two reads make the database newer, never the pointer.
            let written = read_pointer(&objects, &channel).await?;
            let (mut row, release) = {
                let mut conn = self.db().read(tenant).await?;
                let mut rows = conn.rows();
                let Some(row) = rows.channel(&channel).await? else { continue };
                let Some(release) = rows.release(row.release).await? else { continue };
                (row, release)
            };
            let same = |w: &ChannelState| w.sequence == row.sequence && w.manifest == release.manifest;
            if written.as_ref().is_some_and(same) {
                self.health().strand(tenant, &channel, None);
                continue;
            }
            if let Some(written) = &written {
                let opened = match can_be_opened(&objects, &release) {
                    Ok(()) => Ok(()),
                    Err(_) => objects
                        .refresh()
                        .await
                        .map_err(ReleaseError::from)
                        .and_then(|_| can_be_opened(&objects, &release)),
                };
                if let Err(error) = opened {
                    tracing::error!(%tenant, %channel, release = %release.id, served = %written.release, %error,
                        "the objects of a release are missing, as after a restore of older objects; what was served stays");
                    self.health().strand(tenant, &channel, Some(release.id));
                    continue;
                }
            }
            self.health().strand(tenant, &channel, None);
            if let Some(written) = written.filter(|w| w.sequence >= row.sequence) {
                let ctx = Ctx::new(tenant.clone(), Actor::local("upkeep"))?;
                let fence = Fence { channel: channel.clone(), pointer: written };
                match self.run(&ctx, fence).await? {
                    Some(fenced) => row = fenced,
                    None => continue,
                }
            }
            let state = state_of(&channel, &release, row.sequence, &row.moved_at);
            write_pointer(&objects, &state).await?;
            self.announce(tenant, state);
            repaired += 1;
        }
        Ok(repaired + usize::from(self.repair_keys(tenant).await?))
    }
}

impl Engine {
    /// What the public channel points at; `None` before the first release. A move of this process counts before its pointer
    /// object is written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn public_state(&self, ctx: &Ctx) -> Result<Option<ChannelState>, ReleaseError> {
        let Some((digest, _)) = self.working_definitions(ctx).await? else { return Ok(None) };
        let channel = self.rules(&ctx.tenant, &digest).await?.config.channels.public.clone();
        let pointed = read_pointer(&self.tenant_objects(&ctx.tenant), &channel).await?;
        let moved = self.moved(&ctx.tenant, &channel);
        Ok(moved.into_iter().chain(pointed).max_by_key(|state| state.sequence))
    }

    /// The releases that a channel served after one of its moves, oldest first, the current one included. `None` when there were
    /// too many to look at, or they are not all known any more.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn served_since(
        &self,
        tenant: &TenantId,
        channel: &ChannelName,
        sequence: u64,
    ) -> Result<Option<Vec<ReleaseRow>>, ReleaseError> {
        let mut conn = self.db().read(tenant).await?;
        let mut rows = conn.rows();
        // Moves are counted after their events are read, so none of them is left out.
        let events = rows.newest_events(MOVES, MOVES_MAX).await?;
        let Some(now) = rows.channel(channel).await? else { return Ok(None) };
        let of_channel = events.iter().filter(|event| event.data["channel"] == channel.as_str());
        let count = usize::try_from(now.sequence.saturating_sub(sequence)).unwrap_or(usize::MAX);
        let moves: Vec<_> = of_channel.take(count).collect();
        if moves.len() < count {
            return Ok(None);
        }
        let mut served = Vec::with_capacity(count);
        for event in moves.into_iter().rev() {
            let id = event.data["release"].as_str().and_then(|id| id.parse::<ReleaseId>().ok());
            let Some(id) = id else { return Ok(None) };
            let Some(release) = rows.release(id).await? else { return Ok(None) };
            served.push(release);
        }
        Ok(Some(served))
    }
}
