//! The objects of a tenant: reading, writing, fetching, repairing, merging and collecting them.

pub(crate) mod batch;
pub mod bundle;
pub(crate) mod cache;
pub(crate) mod collect;
pub(crate) mod damage;
pub(crate) mod fetch;
pub(crate) mod lock;
pub(crate) mod merge;
mod rounds;
pub(crate) mod tenant;
