//! The fast lane: plain reads over HTTP/1.1 are answered between one `read` and one `write`, without the machinery of
//! a general HTTP server. Everything else on the same port goes to hyper with the bytes that were read.
//!
//! Invariant: the lane is a shortcut and changes nothing. [`router`] answers the same requests through hyper from the
//! same function, and gives the same bytes.

mod accept;
mod bodies;
mod budget;
mod clock;
mod config;
mod connection;
mod descriptors;
mod door;
mod figures;
mod handover;
mod parse;
mod progress;
mod ranges;
mod shared;
mod source;

pub use accept::serve;
pub use bodies::stalled;
pub use config::LaneConfig;
pub use descriptors::{connections_within, raise_open_files};
pub use door::{deliver, router};
pub use figures::Figures;
pub(crate) use figures::count;
pub use source::{Caller, Resolved, Source};

#[cfg(test)]
mod tests;
