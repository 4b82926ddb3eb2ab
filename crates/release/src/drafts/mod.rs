//! Entries as people write them, before they are frozen.

pub(crate) mod import;
pub(crate) mod migrate;
mod objections;
pub(crate) mod settle;
pub(crate) mod write;
