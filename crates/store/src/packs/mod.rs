//! Pack files: their stored form, the index over them, and which of them are open.

pub(crate) mod format;
pub(crate) mod index;
pub(crate) mod pack;
