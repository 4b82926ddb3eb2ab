//! What reads of releases and channels return.

use ashlar_model::{CandidateId, ChannelName, Digest, EntryChange, ReleaseId};
use ashlar_store::sql::{ChannelRow, ReleaseRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseInfo {
    /// Its number.
    pub release: ReleaseId,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The candidate it was.
    pub candidate: CandidateId,
    /// The root of its entries.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// What the channel served before it.
    pub parent: Option<ReleaseId>,
    /// How many entries it has.
    pub entries: u64,
    /// Why it was made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// Who promoted it.
    pub created_by: String,
    /// Channels that serve it now.
    pub channels: Vec<ChannelName>,
}

impl ReleaseInfo {
    pub(crate) fn of(row: ReleaseRow, channels: &[ChannelRow]) -> Self {
        Self {
            channels: channels.iter().filter(|c| c.release == row.id).map(|c| c.channel.clone()).collect(),
            release: row.id,
            digest: row.manifest,
            candidate: row.candidate,
            snapshot: row.snapshot,
            definitions: row.definitions,
            parent: row.parent,
            entries: row.entries,
            note: row.note,
            created_at: row.created_at,
            created_by: row.created_by,
        }
    }
}

/// Where a channel points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelView {
    /// The channel.
    pub channel: ChannelName,
    /// What it serves.
    pub release: ReleaseId,
    /// How often it has moved.
    pub sequence: u64,
    /// When it moved, RFC 3339.
    pub moved_at: String,
    /// Who moved it.
    pub moved_by: String,
}

impl From<ChannelRow> for ChannelView {
    fn from(r: ChannelRow) -> Self {
        Self {
            channel: r.channel,
            release: r.release,
            sequence: r.sequence,
            moved_at: r.moved_at,
            moved_by: r.moved_by,
        }
    }
}

/// How two releases differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseDiff {
    /// The older.
    pub from: String,
    /// The newer.
    pub to: String,
    /// Entries that differ, in key order.
    pub entries: Vec<EntryChange>,
    /// How many entries differ, also beyond the list.
    pub entries_total: u64,
    /// Definition files that differ, in path order.
    pub definitions: Vec<DefinitionChange>,
}

/// A definition file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefinitionChange {
    /// The file.
    pub path: String,
    /// `added`, `changed` or `removed`.
    pub change: ashlar_model::EntryChangeKind,
}
