//! HTTP: delivery through the lane, the management API, auth, roles, following channels, schedules.
//!
//! Invariants: delivery touches no SQL; every handler of the management API is a thin door on one action or read; a release
//! that cannot be opened leaves the one before it in place.

mod access;
mod api;
mod app;
mod assist;
mod delivery;
pub mod endpoints;
mod evals;
mod front;
mod jobs;
mod llm;
mod mcp;
pub mod models;
mod outward;
mod pages;
mod registry;
pub mod reviews;
mod serve;
mod surface;
mod tools;

pub use delivery::lane::raise_open_files;
pub use front::{Asked, Proxies};
pub use jobs::{
    purge::{PurgeTarget, PurgeTargetError},
    spans::{Collector, CollectorError},
};
pub use serve::{Role, ServeOptions, ServerError, serve, stop_max};
pub use tools::ToolServers;

#[cfg(test)]
mod tests;
