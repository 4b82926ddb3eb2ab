//! Where Ashlar keeps things: packed objects, the Merkle search tree over them, and SQL for what changes.
//!
//! Invariants:
//! - An object is named by the digest of its bytes; writing it twice changes nothing.
//! - What [`TenantObjects::commit`] has acknowledged survives a crash; what it has not is never seen.
//! - Every read and write goes through the handle of one tenant.

mod error;
mod files;
mod limits;
mod objects;
mod packs;
mod private;
mod shared;
pub mod sql;
mod tree;

pub use error::StoreError;
pub use limits::StoreLimits;
pub use objects::batch::Batch;
pub use objects::bundle;
pub use objects::collect::{Collected, Collection, Doomed, Walk};
pub use objects::damage::{ScrubPlace, Scrubbed};
pub use objects::lock::Hold;
pub use objects::merge::PACKS_SMALL_MAX;
pub use objects::tenant::{Objects, ReadObjects, TenantObjects};
pub use private::{own_dir, private_dir, private_file, tighten};
pub use shared::nodes::{Heard, Node};
pub use shared::pointer_file::{PointerRead, PointerVersion};
pub use shared::remote::Remote;
pub use tree::{Diff, Range, Tree, TreeChange, TreeStats, tree_bytes};
