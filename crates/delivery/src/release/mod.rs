//! An opened release with its definitions, and what differs between two.

pub(crate) mod definitions;
pub(crate) mod locales;
pub(crate) mod openapi;
pub(crate) mod purge;
pub(crate) mod release_view;
