//! The form of the tree that says when each entry was last changed.
//!
//! Key: that of the entry; value: seconds since 1970 as eight bytes, big-endian. The key [`OTHERS`] contains the time of every
//! entry without one of its own, so that a first release of a million entries writes a single value.

/// The name of the tree among what is derived from a release.
pub const MODIFIED: &str = "modified";
/// The key of the time of all entries without one of their own; it sorts before the key of any entry.
pub const OTHERS: &[u8] = b"\0";

/// A time as it is stored: seconds since 1970.
pub fn modified_value(seconds: i64) -> Vec<u8> {
    seconds.to_be_bytes().to_vec()
}

/// Reads a stored time; `None` when it is not one.
pub fn read_modified(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}
