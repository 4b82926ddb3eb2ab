use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ContractName, Digest, EntryId, Locale, TypeName};

/// The fields of an entry: a JSON object.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// What names one piece of content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct EntryKey {
    /// The content type, without its version.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The id within the type.
    pub id: EntryId,
    /// The language.
    pub locale: Locale,
}

impl EntryKey {
    /// The key in a snapshot: `type NUL id NUL locale`, so that a type, and an entry in all its locales, are ranges.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{}\0{}\0{}", self.type_name, self.id, self.locale).into_bytes()
    }

    /// Reads a key that [`EntryKey::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else, which means a damaged snapshot.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Key)?;
        let mut parts = text.split('\0');
        let (Some(t), Some(i), Some(l), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(RecordError::Key);
        };
        let err = |_| RecordError::Key;
        Ok(Self {
            type_name: TypeName::new(t).map_err(err)?,
            id: EntryId::new(i).map_err(err)?,
            locale: Locale::new(l).map_err(err)?,
        })
    }

    /// The prefix of all keys of a type.
    pub fn type_prefix(type_name: &TypeName) -> Vec<u8> {
        format!("{type_name}\0").into_bytes()
    }

    /// The prefix of all locales of one entry.
    pub fn entry_prefix(type_name: &TypeName, id: &EntryId) -> Vec<u8> {
        format!("{type_name}\0{id}\0").into_bytes()
    }
}

impl fmt::Display for EntryKey {
    /// `type/id (locale)`, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.type_name, self.id, self.locale)
    }
}

/// What a snapshot contains under an entry's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRecord {
    /// The object with the canonical JSON of the fields.
    pub digest: Digest,
    /// The major version of the contract the fields follow.
    pub major: u32,
    /// The length of the object in bytes.
    pub len: u32,
}

/// Stored bytes that are not a record or key of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not `type NUL id NUL locale`.
    #[error("a snapshot key does not name an entry; the snapshot is damaged")]
    Key,
    /// Not the 40 bytes of an [`EntryRecord`].
    #[error("a snapshot value is not an entry record; the snapshot is damaged")]
    Value,
}

impl EntryRecord {
    /// The length of the stored form in bytes.
    pub const LEN: usize = 40;

    /// 32 bytes digest, 4 bytes major, 4 bytes length, little-endian.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..32].copy_from_slice(self.digest.as_bytes());
        out[32..36].copy_from_slice(&self.major.to_le_bytes());
        out[36..].copy_from_slice(&self.len.to_le_bytes());
        out
    }

    /// Reads what [`EntryRecord::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the length is not [`EntryRecord::LEN`], which means a damaged snapshot.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| RecordError::Value)?;
        let (digest, rest) = bytes.split_at(32);
        let word = |b: &[u8]| b.iter().rev().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        let mut d = [0; 32];
        d.copy_from_slice(digest);
        Ok(Self { digest: Digest::from_bytes(d), major: word(&rest[..4]), len: word(&rest[4..]) })
    }
}

/// An entry with its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What names it.
    #[serde(flatten)]
    pub key: EntryKey,
    /// The contract its fields follow.
    pub contract: ContractName,
    /// Its content.
    pub fields: Fields,
}

/// How an entry differs between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntryChangeKind {
    /// Only in the newer.
    Added,
    /// In both, with other content or another contract version.
    Changed,
    /// Only in the older.
    Removed,
}

/// One entry that differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryChange {
    /// What names it.
    #[serde(flatten)]
    pub key: EntryKey,
    /// How it differs.
    pub change: EntryChangeKind,
    /// Top-level fields that differ, sorted; all of them for an added or removed entry.
    pub fields: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_and_keys_read_back(major: u32, len: u32, id in "[a-z0-9][a-zA-Z0-9._-]{0,20}") {
            let record = EntryRecord { digest: Digest::of(id.as_bytes()), major, len };
            prop_assert_eq!(EntryRecord::from_bytes(&record.to_bytes()).unwrap(), record);
            let key = EntryKey {
                type_name: TypeName::new("page").unwrap(),
                id: EntryId::new(&id).unwrap(),
                locale: Locale::new("en").unwrap(),
            };
            prop_assert_eq!(EntryKey::from_bytes(&key.to_bytes()).unwrap(), key);
        }
    }

    #[test]
    fn damaged_keys_and_records_are_errors() {
        for bad in [&b"page\0a"[..], b"page\0a\0en\0x", b"\xff\0a\0en", b""] {
            assert_eq!(EntryKey::from_bytes(bad), Err(RecordError::Key));
        }
        assert_eq!(EntryRecord::from_bytes(&[0; 39]), Err(RecordError::Value));
    }
}
