//! What reads of drafts return: plain, serializable, the same on the command line and over HTTP.

use std::collections::BTreeSet;

use ashlar_model::{ContractName, EntryKey, Fields, Finding};
use ashlar_store::sql::{DraftRow, MigrationRow, VersionRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Made;

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
    /// What a model wrote of it; absent when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
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
            made: None,
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
