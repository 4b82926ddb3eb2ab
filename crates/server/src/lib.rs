//! HTTP: delivery through the lane, the management API, auth, roles, following channels, schedules.
//!
//! Invariants: delivery touches no SQL; every handler of the management API is a thin door on one action or read; a release
//! that cannot be opened leaves the one before it in place.

mod api;
mod app;
mod auth;
mod cache_stats;
mod catalogue;
mod changes;
mod follow;
pub mod lane;
mod metrics;
mod openapi;
mod pages;
mod preview;
mod problem;
mod purge;
mod scrub;
mod serve;
mod source;
mod tokens;
mod webhooks;

pub use purge::{PurgeTarget, PurgeTargetError};
pub use serve::{Role, ServeOptions, ServerError, serve};
