//! Entries as people write them, before they are frozen.

pub(crate) mod fields;
pub(crate) mod ground;
pub(crate) mod import;
pub(crate) mod migrate;
mod objections;
pub(crate) mod read;
pub(crate) mod settle;
pub(crate) mod view;
pub(crate) mod write;
