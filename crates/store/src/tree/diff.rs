//! Comparing two trees: equal subtrees are skipped, so the cost follows the changes.

use std::{cmp::Ordering, sync::Arc};

use ashlar_model::Digest;
use bytes::Bytes;

use super::{map::Tree, node::Node};
use crate::StoreError;

/// A key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// The key.
    pub key: Bytes,
    /// Its value in the older tree.
    pub old: Option<Bytes>,
    /// Its value in the newer tree.
    pub new: Option<Bytes>,
}

/// The changes from one tree to another, in key order. After an error it ends.
pub struct Diff<'a> {
    old: Side<'a>,
    new: Side<'a>,
    done: bool,
}

impl Tree {
    /// The changes that lead from this tree to `newer`: O(changes · log n).
    pub fn diff<'a>(&'a self, newer: &'a Tree) -> Diff<'a> {
        Diff { old: Side::new(self), new: Side::new(newer), done: self.digest == newer.digest }
    }
}

/// A position in one tree: frames from the root down.
struct Side<'a> {
    tree: &'a Tree,
    path: Vec<(Arc<Node>, usize)>,
}

enum Front {
    Subtree(Digest, u8),
    Entry(Bytes),
    End,
}

impl<'a> Side<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self { tree, path: vec![(tree.root.clone(), 0)] }
    }

    fn front(&mut self) -> Front {
        while let Some((node, index)) = self.path.last() {
            if *index < node.count() {
                return match node.level() {
                    0 => Front::Entry(node.key_bytes(*index)),
                    level => Front::Subtree(node.child_digest(*index), level - 1),
                };
            }
            self.path.pop();
            self.skip();
        }
        Front::End
    }

    fn skip(&mut self) {
        if let Some((_, index)) = self.path.last_mut() {
            *index += 1;
        }
    }

    fn expand(&mut self) -> Result<(), StoreError> {
        if let Some((node, index)) = self.path.last() {
            let child = self.tree.child(node, *index)?.clone();
            self.path.push((child, 0));
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Bytes> {
        let value = self.path.last().map(|(node, index)| node.value_bytes(*index));
        self.skip();
        value
    }
}

impl Diff<'_> {
    fn step(&mut self) -> Result<Option<TreeChange>, StoreError> {
        loop {
            match (self.old.front(), self.new.front()) {
                (Front::End, Front::End) => return Ok(None),
                (Front::Subtree(a, _), Front::Subtree(b, _)) if a == b => {
                    self.old.skip();
                    self.new.skip();
                }
                (Front::Subtree(_, a), Front::Subtree(_, b)) => {
                    if a >= b {
                        self.old.expand()?;
                    }
                    if b >= a {
                        self.new.expand()?;
                    }
                }
                (Front::Subtree(..), _) => self.old.expand()?,
                (_, Front::Subtree(..)) => self.new.expand()?,
                (Front::Entry(key), Front::End) => {
                    return Ok(Some(TreeChange { key, old: self.old.take(), new: None }));
                }
                (Front::End, Front::Entry(key)) => {
                    return Ok(Some(TreeChange { key, old: None, new: self.new.take() }));
                }
                (Front::Entry(a), Front::Entry(b)) => match a.cmp(&b) {
                    Ordering::Less => {
                        return Ok(Some(TreeChange { key: a, old: self.old.take(), new: None }));
                    }
                    Ordering::Greater => {
                        return Ok(Some(TreeChange { key: b, old: None, new: self.new.take() }));
                    }
                    Ordering::Equal => {
                        let (old, new) = (self.old.take(), self.new.take());
                        if old != new {
                            return Ok(Some(TreeChange { key: a, old, new }));
                        }
                    }
                },
            }
        }
    }
}

impl Iterator for Diff<'_> {
    type Item = Result<TreeChange, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}
