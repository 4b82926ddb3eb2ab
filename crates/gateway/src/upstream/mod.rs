//! Clients of providers: the only part of this crate that does I/O.

mod client;
mod failed;
mod key;
mod provider;
mod stream;

pub use client::{Client, Resolver};
pub use failed::{Failed, Next};
pub use key::{Key, KeySource};
pub use provider::{ANSWER_BYTES_MAX, Asked, Kind, MakeClient, Operation, Provider, Providers};
pub use stream::{EventStream, STREAM_BYTES_MAX};
