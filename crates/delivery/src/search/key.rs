//! Keys and values of the trees.

use std::{collections::BTreeSet, ops::Bound};

use ashlar_model::Digest;
use ashlar_store::Tree;

use crate::error::DeliveryError;

/// The entry that names the rules a tree was built with.
pub(super) const RULES: &[u8] = b"\0rules";

/// What names the segments of a run: `s` index locale type start part, with a NUL byte between.
pub(super) struct SegmentKey<'a> {
    pub(super) index: &'a str,
    pub(super) locale: &'a str,
    pub(super) type_name: &'a str,
    pub(super) start: &'a str,
}

impl SegmentKey<'_> {
    /// The prefix of all parts.
    pub(super) fn prefix(&self) -> Vec<u8> {
        format!("s\0{}\0{}\0{}\0{}\0", self.index, self.locale, self.type_name, self.start).into_bytes()
    }

    /// The key of a part.
    pub(super) fn part(&self, part: usize) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(format!("{part:08x}").as_bytes());
        key
    }
}

/// The prefix of all segments of an index in a locale.
pub(super) fn shelf_prefix(index: &str, locale: &str) -> Vec<u8> {
    format!("s\0{index}\0{locale}\0").into_bytes()
}

/// Index and locale of a segment.
pub(super) fn shelf_of(key: &[u8]) -> Result<(&str, &str), DeliveryError> {
    let text = std::str::from_utf8(key).map_err(|_| DeliveryError::SearchTree("a key"))?;
    let mut parts = text.strip_prefix("s\0").unwrap_or_default().split('\0');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(index), Some(locale), Some(_)) => Ok((index, locale)),
        _ => Err(DeliveryError::SearchTree("a key")),
    }
}

/// The prefix of the pieces of a basis in the tree of meaning.
pub(super) fn basis_prefix(index: &str, locale: &str) -> Vec<u8> {
    format!("b\0{index}\0{locale}\0").into_bytes()
}

/// The prefix of the record of what a basis was learned from.
pub(super) fn taught_prefix(index: &str, locale: &str) -> Vec<u8> {
    format!("t\0{index}\0{locale}\0").into_bytes()
}

/// The prefix of the vectors of an index in a locale.
pub(super) fn vector_prefix(index: &str, locale: &str) -> Vec<u8> {
    format!("v\0{index}\0{locale}\0").into_bytes()
}

/// The key of the vectors of a segment.
pub(super) fn vector_key(index: &str, locale: &str, segment: &Digest) -> Vec<u8> {
    let mut key = vector_prefix(index, locale);
    key.extend_from_slice(segment.as_bytes());
    key
}

/// Index and locale.
pub(super) type ShelfName = (String, String);

/// The shelves of a search tree.
pub(super) fn names(search: &Tree) -> Result<BTreeSet<ShelfName>, DeliveryError> {
    let mut names = BTreeSet::new();
    let mut from = b"s\0".to_vec();
    while let Some(item) = search.range(Bound::Included(&from), Bound::Unbounded).next() {
        let (key, _) = item?;
        let (index, locale) = shelf_of(&key)?;
        from = shelf_prefix(index, locale);
        // Behind every key of this shelf: keys are text.
        from.push(0xff);
        names.insert((index.to_owned(), locale.to_owned()));
    }
    Ok(names)
}

/// What the search tree says of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentValue {
    pub(super) digest: Digest,
    pub(super) chunks: u32,
    /// Bytes of text of its entries that are not indexed, because the entries are too long.
    pub(super) left_out: u64,
}

impl SegmentValue {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [&self.digest.as_bytes()[..], &self.chunks.to_le_bytes(), &self.left_out.to_le_bytes()].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, DeliveryError> {
        let wrong = || DeliveryError::SearchTree("a value");
        let (digest, rest) = bytes.split_first_chunk::<32>().ok_or_else(wrong)?;
        let (chunks, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let left_out = rest.try_into().map_err(|_| wrong())?;
        Ok(Self {
            digest: Digest::from_bytes(*digest),
            chunks: u32::from_le_bytes(*chunks),
            left_out: u64::from_le_bytes(left_out),
        })
    }
}
