//! What reads return: plain, serializable, the same on the command line and over HTTP.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{
    CandidateId, ChannelName, ContractName, Digest, EntryChange, EntryKey, Fields, Finding, GateReport,
    ReleaseId,
};
use ashlar_store::sql::{
    CandidateRow, ChangesetRow, ChannelRow, DraftRow, KeyRow, MigrationRow, ReleaseRow, VersionRow,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Forecast;

/// A draft.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DraftView {
    /// What names it.
    #[serde(flatten)]
    pub key: EntryKey,
    /// The contract it follows.
    pub contract: ContractName,
    /// The newest version, from 1; send it back to write over exactly this version.
    pub version: u64,
    /// `live`, `unpublished` or `deleted`.
    pub state: String,
    /// Whether it differs from what the public channel serves.
    pub pending: bool,
    /// The changeset it ships with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changeset: Option<String>,
    /// When it was written, RFC 3339.
    pub updated_at: String,
    /// Who wrote it.
    pub updated_by: String,
    /// Its fields; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// What its contract will refuse in these fields; reported when they are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl DraftView {
    pub(crate) fn of(row: DraftRow, fields: Option<Fields>) -> Self {
        Self {
            contract: ContractName { name: row.key.type_name.clone(), major: row.major },
            key: row.key,
            version: row.version,
            state: row.state.to_string(),
            pending: row.pending,
            changeset: row.changeset,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
            fields,
            findings: Vec::new(),
        }
    }
}

/// One version in a draft's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// The version, from 1.
    pub version: u64,
    /// Top-level fields that differ from the version before.
    pub changed: BTreeSet<String>,
    /// `live`, `unpublished` or `deleted`.
    pub state: String,
    /// The major version of its contract.
    pub major: u32,
    /// Who wrote it.
    pub author: String,
    /// When, RFC 3339.
    pub at: String,
    /// The action it was part of.
    pub action: String,
    /// Why, when it was not the author's own edit of this locale.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Its fields.
    pub fields: Fields,
}

impl VersionView {
    pub(crate) fn of(row: VersionRow, fields: Fields) -> Self {
        Self {
            version: row.version,
            changed: row.changed,
            state: row.state.to_string(),
            major: row.major,
            author: row.author,
            at: row.at,
            action: row.action,
            note: row.note,
            fields,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    pub next_cursor: Option<String>,
}

/// A changeset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangesetView {
    /// Its name.
    pub changeset: String,
    /// What it is about.
    pub title: String,
    /// `open`, `scheduled`, `published`, `ended` or `failed`.
    pub state: String,
    /// When it is to be published, RFC 3339 in UTC.
    pub publish_at: Option<String>,
    /// When its entries are to be taken down, RFC 3339 in UTC.
    pub unpublish_at: Option<String>,
    /// The time zone the times were given in.
    pub zone: String,
    /// The channel it is published to.
    pub channel: ChannelName,
    /// Seconds since its time came and went; absent unless it is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_seconds: Option<u64>,
    /// The outcome of the last attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What trying it beforehand said; absent before it is scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// Its drafts; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drafts: Option<Vec<DraftView>>,
}

impl ChangesetView {
    pub(crate) fn of(row: ChangesetRow, now: jiff::Timestamp, drafts: Option<Vec<DraftView>>) -> Self {
        let due = row.due_at();
        let overdue_seconds = due
            .and_then(|d| d.parse::<jiff::Timestamp>().ok())
            .and_then(|d| u64::try_from(now.as_second() - d.as_second()).ok())
            .filter(|s| *s > 0);
        Self {
            forecast: serde_json::from_str(&row.forecast).ok(),
            changeset: row.name,
            title: row.title,
            state: row.state.to_string(),
            publish_at: row.publish_at,
            unpublish_at: row.unpublish_at,
            zone: row.zone,
            channel: row.channel,
            overdue_seconds,
            message: row.message,
            created_at: row.created_at,
            created_by: row.created_by,
            drafts,
        }
    }
}

/// Evidence is valid for every candidate with the same content, so it cannot name one; what people read does.
pub(crate) fn name_candidate(help: &mut String, id: CandidateId) {
    *help = help.replace("CANDIDATE", &id.to_string());
}

/// A candidate with its gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CandidateView {
    /// Its number.
    pub candidate: CandidateId,
    /// The root of its entries: the same content has the same root.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// `passed`, `failed`, `promoted`, `superseded` or `discarded`.
    pub status: String,
    /// The release its channel served when it was frozen.
    pub base: Option<ReleaseId>,
    /// The channel it is compared with.
    pub channel: ChannelName,
    /// The changeset it consists of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changeset: Option<String>,
    /// The release it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// How many entries it has.
    pub entries: u64,
    /// How many of them differ from the base.
    pub changed: u64,
    /// Why it was made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// Set when it is made: neither its entries nor its definitions differ from what its channel serves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nothing_to_release: bool,
    /// What the gates found; empty in lists.
    pub gates: Vec<GateReport>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_false(value: &bool) -> bool {
    !value
}

impl CandidateView {
    pub(crate) fn of(row: CandidateRow, mut gates: Vec<GateReport>) -> Self {
        gates = gates.into_iter().map(GateReport::regrouped).collect();
        for gate in &mut gates {
            gate.findings.iter_mut().for_each(|f| name_candidate(&mut f.help, row.id));
            gate.groups.iter_mut().for_each(|g| name_candidate(&mut g.help, row.id));
        }
        let f = row.frozen;
        Self {
            candidate: row.id,
            snapshot: f.snapshot,
            definitions: f.definitions,
            status: row.status.to_string(),
            base: f.base,
            channel: f.channel,
            changeset: f.changeset,
            release: row.release,
            entries: f.entries,
            changed: f.changed,
            note: f.note,
            created_at: f.created_at,
            created_by: f.created_by,
            nothing_to_release: false,
            gates,
        }
    }
}

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

/// What `release verify` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// The release.
    pub release: ReleaseId,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Tree nodes that were hashed again.
    pub nodes: u64,
    /// Entries whose fields were hashed again.
    pub entries: u64,
    /// Definition files that were hashed again.
    pub files: u64,
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// Its public part.
    pub id: String,
    /// Who or what uses it.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// The channel it reads; absent for the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
    /// When it was revoked, RFC 3339.
    pub revoked_at: Option<String>,
}

impl From<KeyRow> for KeyView {
    fn from(k: KeyRow) -> Self {
        Self {
            id: k.id,
            name: k.name,
            scopes: k.scopes,
            channel: Some(k.channel).filter(|c| !c.is_empty()),
            created_at: k.created_at,
            created_by: k.created_by,
            expires_at: k.expires_at,
            revoked_at: k.revoked_at,
        }
    }
}

/// A content migration that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MigrationView {
    /// Its number, from 1.
    pub migration: u64,
    /// Its name.
    pub name: String,
    /// How many drafts it rewrote.
    pub drafts: u64,
    /// When it was run, RFC 3339.
    pub at: String,
    /// Who ran it.
    pub by: String,
    /// When it was reverted, RFC 3339.
    pub reverted_at: Option<String>,
}

impl From<MigrationRow> for MigrationView {
    fn from(r: MigrationRow) -> Self {
        Self {
            migration: r.number,
            name: r.name,
            drafts: r.drafts,
            at: r.at,
            by: r.by,
            reverted_at: r.reverted_at,
        }
    }
}

/// A release manifest: every digest that a release binds. Stored as canonical JSON; its digest names the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format: 1.
    pub format: u32,
    /// The root of its entries.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// Every definition file with its digest, so that the manifest lists what it binds.
    pub files: BTreeMap<String, Digest>,
    /// Roots of what was derived from it, by name (`lookup`).
    pub derived: BTreeMap<String, Digest>,
    /// The digest of the gate reports it was promoted with.
    pub evidence: Digest,
    /// The manifest of the release before it.
    pub parent: Option<Digest>,
    /// How many entries it has.
    pub entries: u64,
}

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
