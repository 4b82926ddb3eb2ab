//! Walking entries in key order, from either end.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

use super::{map::Tree, node::Node};
use crate::StoreError;

/// Entries between two bounds. After an error it ends.
pub struct Range {
    tree: Tree,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    front: Option<Vec<(Arc<Node>, usize)>>,
    back: Option<Vec<(Arc<Node>, usize)>>,
    first: Option<Bytes>,
    last: Option<Bytes>,
    done: bool,
}

impl Tree {
    /// Entries between two bounds, in key order; also from the back.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range {
        Range::new(self.clone(), from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec))
    }

    /// Entries whose keys start with `prefix`, in key order; also from the back.
    pub fn prefix(&self, prefix: &[u8]) -> Range {
        let to = match after_prefix(prefix) {
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        Range::new(self.clone(), Bound::Included(prefix.to_vec()), to)
    }
}

/// The smallest key above all keys with this prefix; `None` when there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

impl Range {
    fn new(tree: Tree, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Self {
        Self { tree, from, to, front: None, back: None, first: None, last: None, done: false }
    }

    /// The way to the first entry at or after `key` (or strictly after).
    fn seek(&self, key: &[u8], strictly: bool) -> Result<Vec<(Arc<Node>, usize)>, StoreError> {
        let mut path = Vec::new();
        let mut node = self.tree.root.clone();
        loop {
            let mut index = node.lower_bound(key);
            if strictly && index < node.count() && node.key(index) == key {
                index += 1;
            }
            if node.level() == 0 || index == node.count() {
                path.push((node, index));
                return Ok(path);
            }
            let child = self.tree.child(&node, index)?.clone();
            path.push((node, index));
            node = child;
        }
    }

    /// The entry a path points at; moves the path up and down where a node is exhausted.
    fn entry_at(&self, path: &mut Vec<(Arc<Node>, usize)>) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        while let Some((node, index)) = path.last() {
            if *index >= node.count() {
                path.pop();
                if let Some((_, parent)) = path.last_mut() {
                    *parent += 1;
                }
                continue;
            }
            if node.level() == 0 {
                return Ok(Some((node.key_bytes(*index), node.value_bytes(*index))));
            }
            let child = self.tree.child(node, *index)?.clone();
            path.push((child, 0));
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let mut path = match self.front.take() {
            Some(mut path) => {
                if let Some((_, index)) = path.last_mut() {
                    *index += 1;
                }
                path
            }
            None => match &self.from {
                Bound::Unbounded => vec![(self.tree.root.clone(), 0)],
                Bound::Included(key) => self.seek(key, false)?,
                Bound::Excluded(key) => self.seek(key, true)?,
            },
        };
        let entry = self.entry_at(&mut path)?;
        self.front = Some(path);
        let Some((key, value)) = entry else { return Ok(None) };
        let inside = match &self.to {
            Bound::Unbounded => true,
            Bound::Included(to) => key[..] <= to[..],
            Bound::Excluded(to) => key[..] < to[..],
        };
        if !inside || self.last.as_ref().is_some_and(|last| key >= *last) {
            return Ok(None);
        }
        self.first = Some(key.clone());
        Ok(Some((key, value)))
    }

    /// The way to just after the last entry at or before the upper bound; an index points one past its entry.
    fn seek_back(&self) -> Result<Vec<(Arc<Node>, usize)>, StoreError> {
        let mut path = Vec::new();
        let mut node = self.tree.root.clone();
        loop {
            let index = match &self.to {
                Bound::Unbounded => node.count(),
                Bound::Excluded(to) => node.lower_bound(to),
                Bound::Included(to) => {
                    let index = node.lower_bound(to);
                    index + usize::from(index < node.count() && node.key(index) == &to[..])
                }
            };
            if node.level() == 0 {
                path.push((node, index));
                return Ok(path);
            }
            // The child that the bound falls into may hold entries below it, unless the bound is past the whole node.
            if index == node.count() {
                path.push((node, index));
                return Ok(path);
            }
            let child = self.tree.child(&node, index)?.clone();
            path.push((node, index));
            node = child;
        }
    }

    fn entry_before(&self, path: &mut Vec<(Arc<Node>, usize)>) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        while let Some((node, index)) = path.last_mut() {
            if *index == 0 {
                path.pop();
                continue;
            }
            *index -= 1;
            if node.level() == 0 {
                return Ok(Some((node.key_bytes(*index), node.value_bytes(*index))));
            }
            let child = self.tree.child(node, *index)?.clone();
            let count = child.count();
            path.push((child, count));
        }
        Ok(None)
    }

    fn step_back(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let mut path = match self.back.take() {
            Some(path) => path,
            None => self.seek_back()?,
        };
        let entry = self.entry_before(&mut path)?;
        self.back = Some(path);
        let Some((key, value)) = entry else { return Ok(None) };
        let inside = match &self.from {
            Bound::Unbounded => true,
            Bound::Included(from) => key[..] >= from[..],
            Bound::Excluded(from) => key[..] > from[..],
        };
        if !inside || self.first.as_ref().is_some_and(|first| key <= *first) {
            return Ok(None);
        }
        self.last = Some(key.clone());
        Ok(Some((key, value)))
    }

    fn yielded(
        &mut self,
        step: Result<Option<(Bytes, Bytes)>, StoreError>,
    ) -> Option<Result<(Bytes, Bytes), StoreError>> {
        let item = step.transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl Iterator for Range {
    type Item = Result<(Bytes, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.yielded(step)
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step_back();
        self.yielded(step)
    }
}
