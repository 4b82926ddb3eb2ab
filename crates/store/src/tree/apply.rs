//! Editing: level by level, only the nodes that an edit touches are cut again, and cutting stops where an old boundary is
//! met again.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_model::Digest;
use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::{
    map::Tree,
    node::{CHILD_LEN, Node, height},
};
use crate::{Batch, StoreError};

/// Edits of one level: key → new value, `None` to delete.
type Edits = Vec<(Bytes, Option<Bytes>)>;
/// New nodes of this edit by digest.
type Fresh = FxHashMap<Digest, Arc<Node>>;

/// The most bytes a key or value may have.
const PART_BYTES_MAX: usize = 64 << 10;

impl Tree {
    /// The tree after `edits`, which are sorted by key and name each key once; `None` deletes. New nodes go into `batch`:
    /// O(edits · log n) of them.
    ///
    /// # Errors
    /// When the edits are not sorted or a part is too long, or a node on the way is missing or damaged.
    pub fn apply(&self, edits: &[(Vec<u8>, Option<Vec<u8>>)], batch: &mut Batch) -> Result<Self, StoreError> {
        let too_long = |e: &(Vec<u8>, Option<Vec<u8>>)| {
            e.0.len() > PART_BYTES_MAX || e.1.as_ref().is_some_and(|v| v.len() > PART_BYTES_MAX)
        };
        if edits.iter().any(too_long) {
            return Err(StoreError::Usage("a tree key or value is longer than 64 KiB"));
        }
        if edits.windows(2).any(|w| w[0].0 >= w[1].0) {
            return Err(StoreError::Usage("tree edits are not sorted by key, or name a key twice"));
        }
        let base = Self { objects: Some(batch.objects().clone()), ..self.clone() };
        let mut level_edits: Edits = edits
            .iter()
            .map(|(k, v)| (Bytes::copy_from_slice(k), v.as_deref().map(Bytes::copy_from_slice)))
            .collect();
        let mut fresh = Fresh::default();
        let top = base.root.level();
        for level in 0..=top {
            if level_edits.is_empty() {
                return Ok(base);
            }
            let rechunked = Level { tree: &base, level, fresh: &mut fresh, batch }.apply(&level_edits)?;
            if level == top {
                let nodes = rechunked.into_iter().filter_map(|(k, v)| v.map(|v| (k, v))).collect();
                return base.grow(level, nodes, &mut fresh, batch);
            }
            level_edits = rechunked;
        }
        Ok(base)
    }

    /// Builds upwards from the nodes of `level` until one is left, then drops levels with a single child.
    fn grow(
        &self,
        mut level: u8,
        mut nodes: Vec<(Bytes, Bytes)>,
        fresh: &mut Fresh,
        batch: &mut Batch,
    ) -> Result<Self, StoreError> {
        while nodes.len() > 1 {
            level += 1;
            let mut out = Vec::new();
            let mut chunk = Vec::new();
            for (key, value) in nodes {
                let ends = height(&key) > level;
                chunk.push((key, value));
                if ends {
                    out.push(finish(level, &mut chunk, fresh, batch));
                }
            }
            if !chunk.is_empty() {
                out.push(finish(level, &mut chunk, fresh, batch));
            }
            nodes = out;
        }
        let Some((_, value)) = nodes.pop() else {
            return Ok(Self { objects: self.objects.clone(), ..Self::empty() });
        };
        let digest = digest_of(&value);
        let mut root = match fresh.get(&digest) {
            Some(node) => node.clone(),
            None => batch.objects().node(&digest)?,
        };
        let mut digest = digest;
        while root.level() > 0 && root.count() == 1 {
            digest = root.child_digest(0);
            let only = self.child(&root, 0)?.clone();
            root = only;
        }
        Ok(Self { objects: self.objects.clone(), root, digest })
    }

    /// The node of `level` that contains the first key not below `key`; the last one when all keys are below; `None` in an
    /// empty tree.
    fn node_at(&self, level: u8, key: &[u8]) -> Result<Option<Arc<Node>>, StoreError> {
        let mut node = &self.root;
        while node.level() > level {
            let index = node.lower_bound(key).min(node.count() - 1);
            node = self.child(node, index)?;
        }
        Ok((node.count() > 0).then(|| node.clone()))
    }

    /// The node of `level` after the one that ends with `last`.
    fn node_after(&self, level: u8, last: &[u8]) -> Result<Option<Arc<Node>>, StoreError> {
        let mut after = last.to_vec();
        after.push(0);
        if self.root.level() < level || self.root.last_key() < after.as_slice() {
            return Ok(None);
        }
        let mut node = &self.root;
        while node.level() > level {
            let index = node.lower_bound(&after);
            if index == node.count() {
                return Ok(None);
            }
            node = self.child(node, index)?;
        }
        Ok(Some(node.clone()))
    }
}

fn digest_of(child: &Bytes) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(&child[..32]);
    Digest::from_bytes(digest)
}

/// Writes a node and returns what its parent keeps of it: last key and reference.
fn finish(
    level: u8,
    chunk: &mut Vec<(Bytes, Bytes)>,
    fresh: &mut Fresh,
    batch: &mut Batch,
) -> (Bytes, Bytes) {
    let node = Arc::new(Node::build(level, chunk));
    if level > 0 {
        for index in 0..node.count() {
            // Children that an earlier edit made may not be stored yet: they are carried over, not read again.
            let digest = node.child_digest(index);
            if let Some(child) = fresh.get(&digest).cloned().or_else(|| batch.objects().held_node(&digest)) {
                node.set_child(index, child);
            }
        }
    }
    let digest = batch.put(node.bytes().clone());
    let mut reference = Vec::with_capacity(CHILD_LEN);
    reference.extend_from_slice(digest.as_bytes());
    reference.extend_from_slice(&node.total().to_le_bytes());
    let last = Bytes::copy_from_slice(node.last_key());
    batch.objects().keep_node(&digest, &node);
    fresh.insert(digest, node);
    chunk.clear();
    (last, reference.into())
}

/// One level of an edit.
struct Level<'a, 'b> {
    tree: &'a Tree,
    level: u8,
    fresh: &'a mut Fresh,
    batch: &'b mut Batch,
}

impl Level<'_, '_> {
    /// Cuts the touched nodes again; returns the edits this means for the level above.
    fn apply(&mut self, edits: &Edits) -> Result<Edits, StoreError> {
        let mut above: BTreeMap<Bytes, Option<Bytes>> = BTreeMap::new();
        let mut edits = edits.as_slice();
        while let Some((key, _)) = edits.first() {
            let mut chunk = Vec::new();
            let mut new = Vec::new();
            let mut current = self.tree.node_at(self.level, key)?;
            loop {
                let next = match &current {
                    Some(node) => self.tree.node_after(self.level, node.last_key())?,
                    None => None,
                };
                // The last node of a level takes everything that comes after it, too.
                let here = match (&current, &next) {
                    (Some(node), Some(_)) => edits.partition_point(|e| e.0[..] <= *node.last_key()),
                    _ => edits.len(),
                };
                let (now, later) = edits.split_at(here);
                edits = later;
                self.merge(current.as_deref(), now, &mut chunk, &mut new);
                if let Some(node) = &current {
                    above.insert(Bytes::copy_from_slice(node.last_key()), None);
                }
                if chunk.is_empty() || next.is_none() {
                    break;
                }
                current = next;
            }
            if !chunk.is_empty() {
                new.push(finish(self.level, &mut chunk, self.fresh, self.batch));
            }
            above.extend(new.into_iter().map(|(k, v)| (k, Some(v))));
        }
        Ok(above.into_iter().collect())
    }

    /// Merges a node's entries with its edits and cuts nodes off `chunk` wherever a key ends one.
    fn merge(
        &mut self,
        node: Option<&Node>,
        edits: &[(Bytes, Option<Bytes>)],
        chunk: &mut Vec<(Bytes, Bytes)>,
        new: &mut Vec<(Bytes, Bytes)>,
    ) {
        let mut push = |key: Bytes, value: Bytes, this: &mut Self| {
            let ends = height(&key) > this.level;
            chunk.push((key, value));
            if ends {
                new.push(finish(this.level, chunk, this.fresh, this.batch));
            }
        };
        let count = node.map_or(0, Node::count);
        let (mut i, mut edits) = (0, edits.iter().peekable());
        while let Some(old) = node.filter(|_| i < count) {
            let key = old.key(i);
            match edits.peek() {
                Some((edit, value)) if edit[..] <= *key => {
                    i += usize::from(edit[..] == *key);
                    if let Some(value) = value {
                        push(edit.clone(), value.clone(), self);
                    }
                    edits.next();
                }
                _ => {
                    push(old.key_bytes(i), old.value_bytes(i), self);
                    i += 1;
                }
            }
        }
        for (key, value) in edits {
            if let Some(value) = value {
                push(key.clone(), value.clone(), self);
            }
        }
    }
}
