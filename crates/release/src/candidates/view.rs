//! What reads of candidates return.

use ashlar_model::{CandidateId, ChannelName, Digest, GateReport, ReleaseId};
use ashlar_store::sql::CandidateRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
