//! Where work on untrusted input runs.
//!
//! Two tools, for two kinds of work:
//!
//! - [`Workers`]: a bounded pool of threads with a low priority, shared fairly between tenants. It keeps CPU-heavy work
//!   off the threads that serve. Threads cannot be cancelled, so only work whose cost is bounded by its input runs here.
//! - [`Sandbox`]: child processes of the same binary with limits on memory, stack and time. A child that exceeds them is
//!   killed, and only the job it was working on fails. Code that a tenant writes (templates), and libraries whose cost
//!   cannot be bounded beforehand, run here.
//!
//! Invariant: this crate does not know what a job means. The parent and the child agree on bytes.

mod child;
mod failure;
mod sandbox;
mod wire;
mod workers;

pub use child::{COMMAND, Handler, Line, serve};
pub use failure::Failure;
pub use sandbox::{Call, Limits, Sandbox};
pub use workers::{Busy, Workers};
