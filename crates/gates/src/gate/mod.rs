//! The gates. Each takes what it judges from a [`crate::Site`] and hands back findings.

pub(crate) mod approvals;
pub(crate) mod compatibility;
pub(crate) mod components;
pub(crate) mod consumers;
pub(crate) mod lifecycle;
pub(crate) mod links;
pub(crate) mod queries;
pub(crate) mod references;
pub(crate) mod routes;
pub(crate) mod shared;
pub(crate) mod tokens;
pub(crate) mod validity;
