//! HTTP: delivery through the lane, the management API, auth, roles, following channels, schedules.
//!
//! Invariants: delivery touches no SQL; every handler of the management API is a thin door on one action or read; a release
//! that cannot be opened leaves the one before it in place.

mod address;
mod api;
mod app;
mod auth;
mod cache_stats;
mod catalogue;
mod changes;
mod cors;
mod description;
mod descriptors;
pub mod endpoints;
mod follow;
mod front;
mod guard;
pub mod lane;
mod metrics;
mod pages;
mod places;
mod preview;
mod problem;
mod purge;
mod scrub;
mod serve;
mod source;
mod tokens;
mod webhooks;

pub use descriptors::raise_open_files;
pub use front::{Asked, Proxies};
pub use purge::{PurgeTarget, PurgeTargetError};
pub use serve::{Role, ServeOptions, ServerError, serve, stop_max};
