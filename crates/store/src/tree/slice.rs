//! The digest of a part of a tree.

use ashlar_model::Digest;

use super::{map::Tree, node::Node};
use crate::StoreError;

/// What is hashed before everything else, so that a digest of a part is never that of something else.
const DOMAIN: &[u8] = b"ashlar tree slice 1";

/// The bounds of a part: its first and its last key.
struct Slice<'a> {
    tree: &'a Tree,
    first: &'a [u8],
    last: &'a [u8],
    hasher: blake3::Hasher,
}

impl Tree {
    /// A digest of the entries whose keys start with `prefix`: O(log n). It depends on these entries alone, so the same entries have the same
    /// digest in every tree.
    ///
    /// Nodes end where a key says so. So a node that has neither the first nor the last key of the part consists of entries of the part, and
    /// begins and ends in every tree where it does here: its digest is taken. The other nodes on the two edges are taken apart.
    ///
    /// # Errors
    /// When a node on the way is missing or damaged.
    pub fn prefix_digest(&self, prefix: &[u8]) -> Result<Digest, StoreError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        let mut range = self.prefix(prefix);
        if let Some(first) = range.next().transpose()? {
            let last = range.next_back().transpose()?.map_or_else(|| first.0.clone(), |(key, _)| key);
            let mut slice = Slice { tree: self, first: &first.0, last: &last, hasher };
            slice.add(&self.root, true, true)?;
            hasher = slice.hasher;
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }
}

impl Slice<'_> {
    /// Adds what a node has of the part. The node has the first key, the last key, or both.
    fn add(&mut self, node: &Node, has_first: bool, has_last: bool) -> Result<(), StoreError> {
        let start = if has_first { node.lower_bound(self.first) } else { 0 };
        let stop = if has_last { node.lower_bound(self.last) + 1 } else { node.count() };
        for index in start..stop.min(node.count()) {
            let (first, last) = (has_first && index == start, has_last && index + 1 == stop);
            if node.level() == 0 {
                self.part(0, node.key(index));
                self.part(1, node.value(index));
            } else if first || last {
                self.add(self.tree.child(node, index)?, first, last)?;
            } else {
                self.part(2, node.child_digest(index).as_bytes());
            }
        }
        Ok(())
    }

    fn part(&mut self, kind: u8, bytes: &[u8]) {
        self.hasher.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
}
