//! The tree as a map: opening it, looking keys up, counting.

use std::{fmt, ops::Bound, sync::Arc};

use ashlar_model::Digest;
use bytes::Bytes;

use super::node::Node;
use crate::{StoreError, TenantObjects};

/// An immutable ordered map. Cheap to clone; nodes are read when they are first touched and shared between trees.
#[derive(Clone)]
pub struct Tree {
    pub(super) objects: Option<TenantObjects>,
    pub(super) root: Arc<Node>,
    pub(super) digest: Digest,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({}, {} entries)", self.digest.short(), self.len())
    }
}

impl PartialEq for Tree {
    /// Root equality is content equality.
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Tree {}

impl Tree {
    /// The tree without entries. Its root is a constant and need not be stored.
    pub fn empty() -> Self {
        let root = Arc::new(Node::build(0, &[]));
        Self { objects: None, digest: Digest::of(root.bytes()), root }
    }

    /// The tree under `root`; only the root node is read.
    ///
    /// # Errors
    /// When the root node is missing or is not a tree node.
    pub fn open(objects: &TenantObjects, root: &Digest) -> Result<Self, StoreError> {
        let empty = Self::empty();
        let node = if *root == empty.digest { empty.root } else { objects.node(root)? };
        Ok(Self { objects: Some(objects.clone()), root: node, digest: *root })
    }

    /// The same tree without the nodes that were touched: their memory goes when nobody else uses them.
    ///
    /// # Errors
    /// When the root node is missing or is not a tree node.
    pub fn anew(&self) -> Result<Self, StoreError> {
        let Some(objects) = self.objects.as_ref().filter(|_| self.root.level() > 0) else {
            return Ok(self.clone());
        };
        let why = |why| StoreError::corrupt(format!("tree node {}", self.digest.short()), why);
        let root = Arc::new(Node::parse(objects.get(&self.digest)?).map_err(why)?);
        // Trees that are opened from now on share this one.
        objects.keep_node(&self.digest, &root);
        Ok(Self { objects: Some(objects.clone()), root, digest: self.digest })
    }

    /// The digest of the root node: equal roots mean equal content.
    pub fn root(&self) -> Digest {
        self.digest
    }

    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.root.total()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A child of a node, read when it is first touched.
    pub(super) fn child<'a>(&self, node: &'a Node, index: usize) -> Result<&'a Arc<Node>, StoreError> {
        let slot = &node.children[index];
        if let Some(child) = slot.get() {
            return Ok(child);
        }
        let digest = node.child_digest(index);
        let child = self.objects.as_ref().ok_or(StoreError::Missing { digest })?.node(&digest)?;
        if child.level() + 1 != node.level() || child.total() != node.child_count(index) {
            return Err(StoreError::corrupt(
                format!("tree node {}", digest.short()),
                "it is not the child its parent says",
            ));
        }
        Ok(slot.get_or_init(|| child))
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When a node on the way is missing or damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.position(key)?.map(|(node, index)| node.value_bytes(index)))
    }

    /// The value under a key where it lies. This is the read path of delivery.
    ///
    /// # Errors
    /// When a node on the way is missing or damaged.
    pub fn get_ref(&self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.position(key)?.map(|(node, index)| node.value(index)))
    }

    /// The first entry whose key is not below `key`, where it lies.
    ///
    /// # Errors
    /// When a node on the way is missing or damaged.
    pub fn first_from(&self, key: &[u8]) -> Result<Option<(&[u8], &[u8])>, StoreError> {
        let mut node = &self.root;
        loop {
            let index = node.lower_bound(key);
            if index == node.count() {
                return Ok(None);
            }
            if node.level() == 0 {
                return Ok(Some((node.key(index), node.value(index))));
            }
            node = self.child(node, index)?;
        }
    }

    /// The leaf that has a key, and where in it.
    fn position(&self, key: &[u8]) -> Result<Option<(&Node, usize)>, StoreError> {
        let mut node = &self.root;
        while node.level() > 0 {
            let index = node.lower_bound(key);
            if index == node.count() {
                return Ok(None);
            }
            node = self.child(node, index)?;
        }
        Ok(node.exact(key).map(|index| (node.as_ref(), index)))
    }

    /// How many entries lie between two bounds: O(log n).
    ///
    /// # Errors
    /// When a node on the way is missing or damaged.
    pub fn count_range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<u64, StoreError> {
        let below = match from {
            Bound::Unbounded => 0,
            Bound::Included(key) => self.rank(key, false)?,
            Bound::Excluded(key) => self.rank(key, true)?,
        };
        let above = match to {
            Bound::Unbounded => self.len(),
            Bound::Included(key) => self.rank(key, true)?,
            Bound::Excluded(key) => self.rank(key, false)?,
        };
        Ok(above.saturating_sub(below))
    }

    /// How many entries have keys below `key`, or up to and with it.
    fn rank(&self, key: &[u8], with: bool) -> Result<u64, StoreError> {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            let index = node.lower_bound(key);
            if node.level() == 0 {
                let same = index < node.count() && node.key(index) == key;
                return Ok(rank + index as u64 + u64::from(same && with));
            }
            rank += (0..index).map(|i| node.child_count(i)).sum::<u64>();
            if index == node.count() {
                return Ok(rank);
            }
            node = self.child(node, index)?;
        }
    }
}
