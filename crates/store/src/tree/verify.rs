//! Reading a whole tree again and checking every law it must keep.

use std::sync::Arc;

use ashlar_model::Digest;

use super::{
    map::Tree,
    node::{Node, height},
};
use crate::{StoreError, TenantObjects};

/// What a verification looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// Nodes that were read and hashed.
    pub nodes: u64,
    /// Entries below them.
    pub entries: u64,
    /// Bytes of the nodes.
    pub bytes: u64,
}

struct Walk<'a> {
    objects: &'a TenantObjects,
    stats: TreeStats,
    last: Option<Vec<u8>>,
    each: &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
}

impl Walk<'_> {
    /// `rightmost`: nothing comes after this node on its level.
    fn node(&mut self, digest: &Digest, rightmost: bool) -> Result<Node, StoreError> {
        let damaged = |why: &str| StoreError::corrupt(format!("tree node {}", digest.short()), why);
        let bytes = self.objects.get(digest)?;
        if Digest::of(&bytes) != *digest {
            self.objects.check(digest);
            return Err(damaged("its bytes are not those of its digest"));
        }
        self.stats.nodes += 1;
        self.stats.bytes += bytes.len() as u64;
        let node = Node::parse(bytes).map_err(damaged)?;
        let level = node.level();
        for i in 0..node.count() {
            let (key, last) = (node.key(i), i + 1 == node.count());
            let ends = height(key) > level;
            if ends && !last {
                return Err(damaged("it goes on after a key that ends a node"));
            }
            if last && !ends && !rightmost {
                return Err(damaged("it ends after a key that does not end a node"));
            }
            if level == 0 {
                if self.last.as_deref().is_some_and(|l| l >= key) {
                    return Err(damaged("its keys are not in order"));
                }
                self.last = Some(key.to_vec());
                self.stats.entries += 1;
                (self.each)(key, node.value(i))?;
                continue;
            }
            let child = self.node(&node.child_digest(i), rightmost && last)?;
            if child.level() + 1 != level || child.total() != node.child_count(i) || child.last_key() != key {
                return Err(damaged("a child is not what the node says of it"));
            }
        }
        Ok(node)
    }
}

impl Tree {
    /// Reads every node from the store again and checks digests, order, boundaries, levels and counts; hands each entry to
    /// `each`.
    ///
    /// # Errors
    /// The first node that is missing or breaks a law, or what `each` returns.
    pub fn verify(
        &self,
        each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<TreeStats, StoreError> {
        if self.is_empty() {
            return Ok(TreeStats::default());
        }
        let Some(objects) = &self.objects else {
            return Err(StoreError::Usage("a tree that was never stored cannot be verified"));
        };
        let mut walk = Walk { objects, stats: TreeStats::default(), last: None, each };
        let root = walk.node(&self.digest, true)?;
        if root.level() > 0 && root.count() == 1 {
            let what = format!("tree node {}", self.digest.short());
            return Err(StoreError::corrupt(what, "a root with a single child"));
        }
        Ok(walk.stats)
    }

    /// Hands out the digest of every node, parents first. A subtree is left out when `each` says that its root is known.
    ///
    /// # Errors
    /// When a node is missing or damaged.
    pub fn reachable(&self, each: &mut dyn FnMut(Digest) -> bool) -> Result<(), StoreError> {
        if self.is_empty() || !each(self.digest) {
            return Ok(());
        }
        let mut waiting: Vec<Arc<Node>> = vec![self.root.clone()];
        while let Some(node) = waiting.pop() {
            if node.level() == 0 {
                continue;
            }
            for i in 0..node.count() {
                if each(node.child_digest(i)) && node.level() > 1 {
                    waiting.push(self.child(&node, i)?.clone());
                }
            }
        }
        Ok(())
    }
}
