//! The Merkle search tree: an ordered map from bytes to bytes whose root names its content.
//!
//! Nodes end where the hash of a key says so, and nothing else decides where they end. So the same entries make the same
//! tree whatever the order of edits, a change rewrites one path, and equal parts of two trees are equal nodes. The idea is
//! that of Auvolat and Taïani, "Merkle Search Trees" (2019), with chunks in the manner of prolly trees.

mod apply;
mod diff;
mod map;
mod node;
mod range;
mod slice;
mod verify;

pub use diff::{Diff, TreeChange};
pub use map::Tree;
pub(crate) use node::Node;
pub use node::tree_bytes;
pub use range::Range;
pub use verify::TreeStats;
