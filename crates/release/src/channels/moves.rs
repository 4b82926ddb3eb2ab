//! Moving a channel: its sequence, its pointer object, and those who serve it.

use std::time::Duration;

use ashlar_model::{ChannelName, Digest, TenantId, nearest_of};
use ashlar_store::{
    TenantObjects,
    sql::{ChannelRow, ReleaseRow, Rows, UnsettledRow},
};

use super::state::{read_pointer, state_of, write_pointer};
use crate::{
    ChannelState, Engine, ReleaseError, Scope,
    drafts::{ground::no_definitions, settle::settle},
};

/// How long a move of a channel waits for its pointer object to be written.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// How long a move of a channel waits for the pointer object to be read.
const READ_MAX: Duration = Duration::from_secs(2);

/// The counter of the moves of a channel.
pub(crate) fn counter(channel: &ChannelName) -> String {
    format!("channel/{channel}")
}

/// The sequence of the next move of a channel: above that of the last one, and above that of the pointer object. Runs in
/// the transaction that moves the channel, so nobody else can write the pointer of a later move meanwhile.
pub(crate) async fn next_sequence(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    channel: &ChannelName,
) -> Result<u64, ReleaseError> {
    let next = rows.next(&counter(channel)).await?;
    let objects = scope.objects();
    // When the object store does not answer, the next round of upkeep compares.
    let Ok(Ok(Some(pointer))) = tokio::time::timeout(READ_MAX, read_pointer(&objects, channel)).await else {
        return Ok(next);
    };
    if pointer.sequence < next {
        return Ok(next);
    }
    tell(scope.engine, &scope.ctx.tenant, channel, &pointer, next);
    Ok(rows.advance(&counter(channel), pointer.sequence + 1 - next).await?)
}

/// Records that a pointer object is ahead of the database.
pub(super) fn tell(
    engine: &Engine,
    tenant: &TenantId,
    channel: &ChannelName,
    pointer: &ChannelState,
    database: u64,
) {
    engine.health().fenced();
    tracing::warn!(%tenant, %channel, pointer = pointer.sequence, pointer_release = %pointer.release, database,
        "a channel pointer is ahead of the database, as after a restore of an older database; the database wins");
}

/// The channel that is asked for, or the public one, and whether it is that. `working`: the working definitions.
pub(super) async fn public_channel(
    scope: &Scope<'_>,
    asked: Option<ChannelName>,
    working: Option<Digest>,
    imported: Option<Digest>,
) -> Result<(ChannelName, bool), ReleaseError> {
    // The first release of an installation may be one from elsewhere.
    let definitions = working.or(imported).ok_or_else(no_definitions)?;
    let rules = scope.engine.rules(&scope.ctx.tenant, &definitions).await?;
    let channels = &rules.config.channels;
    let channel = asked.unwrap_or_else(|| channels.public.clone());
    if !channels.names.contains(&channel) {
        let names: Vec<_> = channels.names.iter().map(ChannelName::as_str).collect();
        let all = format!("ashlar.toml has: {}", names.join(", "));
        let help = nearest_of(channel.as_str(), names.iter().copied(), &all);
        return Err(ReleaseError::not_found("channel", channel, help));
    }
    let public = channel == channels.public;
    Ok((channel, public))
}

/// Notes that drafts are to be compared with what the channel serves now.
pub(super) async fn unsettle(
    rows: &mut Rows<'_>,
    head: Option<&ReleaseRow>,
    release: &ReleaseRow,
    adopt: bool,
) -> Result<(), ReleaseError> {
    let sequence = rows.next("unsettled").await?;
    let row = UnsettledRow {
        sequence,
        old_snapshot: head.map(|h| h.snapshot),
        new_snapshot: release.snapshot,
        adopt,
    };
    Ok(rows.insert_unsettled(&row).await?)
}

/// Points a channel at a release, in the present transaction.
pub(super) async fn move_to(
    scope: &Scope<'_>,
    rows: &mut Rows<'_>,
    channel: &ChannelName,
    release: &ReleaseRow,
    rolled_back: bool,
) -> Result<ChannelState, ReleaseError> {
    let sequence = next_sequence(scope, rows, channel).await?;
    rows.move_channel(&ChannelRow {
        channel: channel.clone(),
        release: release.id,
        sequence,
        moved_at: scope.at.clone(),
        moved_by: scope.actor().to_owned(),
    })
    .await?;
    let trace = Some(scope.ctx.trace.to_string());
    Ok(ChannelState {
        trace,
        rolled_back: Some(rolled_back),
        ..state_of(channel, release, sequence, &scope.at)
    })
}

/// How long a move waits for other processes that serve from the same directory.
const NODES_WAIT: Duration = Duration::from_secs(5);

/// Tells readers of this process and writes the pointer object for all others. The transaction has committed by now, so a
/// pointer that cannot be written is not an error of the action: the next tick writes it again.
pub(super) async fn publish_pointer(scope: &Scope<'_>, state: ChannelState) {
    let objects = scope.objects();
    scope.engine.announce(&scope.ctx.tenant, state.clone());
    match tokio::time::timeout(WRITE_MAX, write_pointer(&objects, &state)).await {
        Ok(Ok(_)) => served_here(&objects, &state).await,
        failed => {
            let error = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => format!("the object store did not answer within {} seconds", WRITE_MAX.as_secs()),
            };
            scope.engine.tear();
            scope.engine.mend_soon(&scope.ctx.tenant);
            tracing::warn!(channel = %state.channel, error, "the channel pointer could not be written; it will be tried again");
        }
    }
}

/// Waits until other processes that serve from the same directory answer with what a channel serves now.
async fn served_here(objects: &TenantObjects, state: &ChannelState) {
    let heard = objects.await_nodes(&state.channel, state.sequence, NODES_WAIT).await;
    if heard.refused > 0 {
        tracing::warn!(channel = %state.channel, release = %state.release, processes = heard.refused,
            "a process that serves from here cannot open the release and serves what it served before; its log says why");
    }
    if heard.silent > 0 {
        tracing::warn!(channel = %state.channel, release = %state.release, processes = heard.silent,
            "a process that serves from here has not taken over the release yet");
    }
}

/// Compares drafts with what is served now, after the pointer has moved; if this is interrupted, the next action does it.
pub(super) async fn settle_now(scope: &Scope<'_>) {
    if let Err(error) = settle(scope.engine, &scope.ctx.tenant).await {
        tracing::warn!(%error, "drafts could not be compared with the release yet; it will be tried again");
    }
}
