//! Versions of tokens: what differs, what that asks of the version, and the package of one.

pub(crate) mod diff;
pub(crate) mod package;
pub(crate) mod version;
