//! The pointer object of a channel, and what it says.

use std::collections::BTreeMap;

use ashlar_model::{ChannelName, Digest, ReleaseId};
use ashlar_store::{StoreError, TenantObjects, sql::ReleaseRow};
use serde::{Deserialize, Serialize};

use crate::ReleaseError;

/// The pointer object of a channel: everything delivery needs to follow it without SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// The channel.
    pub channel: ChannelName,
    /// What it serves.
    pub release: ReleaseId,
    /// The digest of the release's manifest.
    pub manifest: Digest,
    /// The root of its entries.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// Roots of what was derived from it, by name (`lookup`).
    pub derived: BTreeMap<String, Digest>,
    /// How often the channel has moved; a reader never goes back to a lower one.
    pub sequence: u64,
    /// When it moved, RFC 3339.
    pub moved_at: String,
    /// The trace of the request that moved it; absent when the pointer was written again later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Whether it moved by a rollback; absent when the pointer was written again later, or by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<bool>,
}

impl ChannelState {
    /// The name of the pointer object of a channel.
    pub fn pointer(channel: &ChannelName) -> String {
        format!("channels/{channel}.json")
    }
}

/// What a channel says while it serves a release.
pub(crate) fn state_of(channel: &ChannelName, release: &ReleaseRow, sequence: u64, at: &str) -> ChannelState {
    ChannelState {
        channel: channel.clone(),
        release: release.id,
        manifest: release.manifest,
        snapshot: release.snapshot,
        definitions: release.definitions,
        derived: release.derived.clone(),
        sequence,
        moved_at: at.to_owned(),
        trace: None,
        rolled_back: None,
    }
}

/// Reads the pointer of a channel; `None` when there is none that can be read.
pub(crate) async fn read_pointer(
    objects: &TenantObjects,
    channel: &ChannelName,
) -> Result<Option<ChannelState>, ReleaseError> {
    match objects.get_pointer(&ChannelState::pointer(channel), None).await {
        Ok(read) => Ok(read.body().and_then(|b| serde_json::from_slice(b).ok())),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the pointer of a move unless one of this or of a later move is there; says whether it wrote.
pub(crate) async fn write_pointer(
    objects: &TenantObjects,
    state: &ChannelState,
) -> Result<bool, ReleaseError> {
    let body = serde_json::to_vec(state).map_err(|e| ReleaseError::Task(e.to_string()))?;
    let sequence = state.sequence;
    let newer = move |now: &[u8]| {
        serde_json::from_slice::<ChannelState>(now).map_or(true, |now| now.sequence < sequence)
    };
    Ok(objects.advance_pointer(&ChannelState::pointer(&state.channel), body.into(), newer).await?)
}
