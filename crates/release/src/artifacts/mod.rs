//! The objects of a release: what binds them, checks them, carries them and deletes them.

pub(crate) mod bundles;
pub(crate) mod collect;
pub mod derived;
pub(crate) mod kinds;
pub(crate) mod late;
pub(crate) mod manifest;
pub(crate) mod modified;
pub(crate) mod verify;
