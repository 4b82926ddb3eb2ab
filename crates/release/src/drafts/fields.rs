//! Fields of drafts, as text and as values.

use std::collections::BTreeSet;

use ashlar_model::{Digest, EntryKey, Fields, canonical_json, check_json};
use ashlar_store::sql::{DraftRow, Rows};
use serde_json::Value;

use crate::ReleaseError;

/// The most bytes the fields of one entry may have as canonical JSON.
pub const ENTRY_BYTES_MAX: usize = 2 << 20;

/// Canonical text and digest of fields, within bounds.
pub(crate) fn freeze_fields(key: &EntryKey, fields: &Fields) -> Result<(String, Digest), ReleaseError> {
    let wrong = |e: &dyn std::fmt::Display| {
        ReleaseError::invalid(format!("{key}{e}"), "fix the value and send it again")
    };
    let value = Value::Object(fields.clone());
    check_json(&value).map_err(|e| wrong(&e))?;
    let bytes = canonical_json(&value).map_err(|e| wrong(&format!(" {e}")))?;
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(wrong(&format!(
            ": its fields have {} bytes; {ENTRY_BYTES_MAX} are allowed",
            bytes.len()
        )));
    }
    let digest = Digest::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|e| wrong(&format!(" {e}")))?;
    Ok((text, digest))
}

/// Reads stored fields.
pub(crate) fn parse_fields(key: &EntryKey, text: &str) -> Result<Fields, ReleaseError> {
    serde_json::from_str(text)
        .map_err(|e| ReleaseError::Corrupt { what: format!("the draft {key}"), why: e.to_string() })
}

/// Top-level fields in which two values differ.
pub(crate) fn differing(old: &Fields, new: &Fields) -> BTreeSet<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|n| old.get(*n) != new.get(*n)).cloned().collect()
}

/// The fields of the newest version of a draft.
pub(crate) async fn fields_of(rows: &mut Rows<'_>, row: &DraftRow) -> Result<Fields, ReleaseError> {
    let version = rows.draft_version(&row.key, row.version).await?.ok_or_else(|| ReleaseError::Corrupt {
        what: format!("the draft {}", row.key),
        why: format!("its version {} is missing", row.version),
    })?;
    parse_fields(&row.key, &version.fields)
}
