//! Where Ashlar keeps things: packed objects, the Merkle search tree over them, and SQL for what changes.
//!
//! Invariants:
//! - An object is named by the digest of its bytes; writing it twice changes nothing.
//! - What [`TenantObjects::commit`] has acknowledged survives a crash; what it has not is never seen.
//! - Every read and write goes through the handle of one tenant.

mod batch;
pub mod bundle;
mod cache;
mod damage;
mod error;
mod fetch;
mod gc;
mod handles;
mod index;
mod lock;
mod merge;
mod nodes;
mod objects;
mod pack;
mod pointer;
mod private;
mod remote;
pub mod sql;
mod tree;

pub use batch::Batch;
pub use cache::StoreLimits;
pub use damage::{ScrubPlace, Scrubbed};
pub use error::StoreError;
pub use gc::{Collected, Collection, Doomed, Walk};
pub use lock::Hold;
pub use merge::PACKS_SMALL_MAX;
pub use nodes::{Heard, Node};
pub use objects::{Objects, ReadObjects, TenantObjects};
pub use pointer::{PointerRead, PointerVersion};
pub use private::{own_dir, private_dir, private_file, tighten};
pub use remote::Remote;
pub use tree::{Diff, Range, Tree, TreeChange, TreeStats, tree_bytes};
