//! The stored form of a node, searched in place.
//!
//! `"AN"`, format 1, level, count (u32), then count key ends (u32), count value ends (u32), the keys, the values; all
//! numbers little-endian. A value of an inner node is the digest of a child (32 bytes) and how many entries lie below it
//! (u64); its key is the child's last key.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use ashlar_model::Digest;
use bytes::Bytes;

const HEADER: usize = 8;
pub(super) const CHILD_LEN: usize = 40;
/// No tree of fewer than 2^64 entries is higher.
const LEVEL_MAX: u8 = 32;
/// Bits of a key's hash per level: a node has 128 entries on average.
const BITS_PER_LEVEL: u32 = 7;

/// Up to which level a key ends its node: a node of level `l` ends after a key whose height is above `l`.
pub(super) fn height(key: &[u8]) -> u8 {
    let hash = blake3::hash(key);
    let mut zeros = 0;
    for byte in hash.as_bytes() {
        zeros += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    u8::try_from(zeros / BITS_PER_LEVEL).unwrap_or(LEVEL_MAX).min(LEVEL_MAX)
}

/// Bytes of all nodes in memory.
static WEIGHT: AtomicUsize = AtomicUsize::new(0);

/// Bytes that tree nodes in memory take, of all tenants of the process. Nodes stay as long as a tree that touched them is open.
pub fn tree_bytes() -> usize {
    WEIGHT.load(Ordering::Relaxed)
}

/// What one node adds to [`WEIGHT`].
#[derive(Default)]
struct Weight(usize);

impl Weight {
    fn new(bytes: usize) -> Self {
        WEIGHT.fetch_add(bytes, Ordering::Relaxed);
        Self(bytes)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        WEIGHT.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// An immutable node.
pub struct Node {
    bytes: Bytes,
    count: usize,
    keys: usize,
    values: usize,
    total: u64,
    pub(super) children: Box<[OnceLock<Arc<Node>>]>,
    /// One byte of a hash per key, in leaves only: a look-up reads two cache lines of these and then one key, where a
    /// binary search would touch a dozen.
    marks: Box<[u8]>,
    weight: Weight,
}

impl Node {
    /// Writes a node of entries that are in key order.
    pub(super) fn build(level: u8, entries: &[(Bytes, Bytes)]) -> Self {
        let keys_len: usize = entries.iter().map(|e| e.0.len()).sum();
        let values_len: usize = entries.iter().map(|e| e.1.len()).sum();
        let mut out = Vec::with_capacity(HEADER + entries.len() * 8 + keys_len + values_len);
        out.extend_from_slice(&[b'A', b'N', 1, level]);
        out.extend_from_slice(&word(entries.len()));
        let mut ends = |part: fn(&(Bytes, Bytes)) -> &Bytes| {
            let mut end = 0;
            for entry in entries {
                end += part(entry).len();
                out.extend_from_slice(&word(end));
            }
        };
        ends(|e| &e.0);
        ends(|e| &e.1);
        entries.iter().for_each(|e| out.extend_from_slice(&e.0));
        entries.iter().for_each(|e| out.extend_from_slice(&e.1));
        let count = entries.len();
        let keys = HEADER + count * 8;
        let mut node = Self {
            bytes: out.into(),
            count,
            keys,
            values: keys + keys_len,
            total: count as u64,
            children: Box::default(),
            marks: Box::default(),
            weight: Weight::default(),
        };
        if level > 0 {
            node.total = (0..count).map(|i| node.child_count(i)).sum();
        }
        node.prepare(level);
        node
    }

    /// Makes what is not stored: slots for the children, marks of the keys.
    fn prepare(&mut self, level: u8) {
        if level > 0 {
            self.children = (0..self.count).map(|_| OnceLock::new()).collect();
        } else {
            self.marks = (0..self.count).map(|i| mark(self.key(i))).collect();
        }
        let of_children = self.children.len() * size_of::<OnceLock<Arc<Node>>>();
        self.weight = Weight::new(size_of::<Self>() + self.bytes.len() + of_children + self.marks.len());
    }

    /// Reads a stored node and checks its form once, so that every later access is in bounds.
    pub(crate) fn parse(bytes: Bytes) -> Result<Self, &'static str> {
        if bytes.len() < HEADER || bytes[..3] != *b"AN\x01" {
            return Err("it does not start like a tree node");
        }
        let level = bytes[3];
        if level > LEVEL_MAX {
            return Err("its level is too high");
        }
        let count = read_word(&bytes, 4);
        let keys = count
            .checked_mul(8)
            .map(|n| n + HEADER)
            .filter(|n| *n <= bytes.len())
            .ok_or("it is cut short")?;
        let mut node = Self {
            count,
            keys,
            values: keys,
            total: count as u64,
            children: Box::default(),
            marks: Box::default(),
            weight: Weight::default(),
            bytes,
        };
        let ordered = |from: usize| -> Option<usize> {
            let mut end = 0;
            for i in 0..count {
                let next = read_word(&node.bytes, from + i * 4);
                if next < end {
                    return None;
                }
                end = next;
            }
            Some(end)
        };
        let key_end = ordered(HEADER).ok_or("its keys overlap")?;
        let value_end = ordered(HEADER + count * 4).ok_or("its values overlap")?;
        node.values = keys + key_end;
        if node.values.checked_add(value_end) != Some(node.bytes.len()) {
            return Err("its length is not what it says");
        }
        if level > 0 {
            if (0..count).any(|i| node.value(i).len() != CHILD_LEN) {
                return Err("a child reference has the wrong length");
            }
            if count == 0 {
                return Err("an inner node has no children");
            }
            node.total = (0..count).map(|i| node.child_count(i)).fold(0, u64::saturating_add);
        }
        node.prepare(level);
        Ok(node)
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn level(&self) -> u8 {
        self.bytes[3]
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many entries lie below this node.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    fn span(&self, table: usize, base: usize, index: usize) -> (usize, usize) {
        let start = if index == 0 { 0 } else { read_word(&self.bytes, table + (index - 1) * 4) };
        (base + start, base + read_word(&self.bytes, table + index * 4))
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        let (start, end) = self.span(HEADER, self.keys, index);
        &self.bytes[start..end]
    }

    pub(super) fn key_bytes(&self, index: usize) -> Bytes {
        let (start, end) = self.span(HEADER, self.keys, index);
        self.bytes.slice(start..end)
    }

    pub(crate) fn value(&self, index: usize) -> &[u8] {
        let (start, end) = self.span(HEADER + self.count * 4, self.values, index);
        &self.bytes[start..end]
    }

    pub(super) fn value_bytes(&self, index: usize) -> Bytes {
        let (start, end) = self.span(HEADER + self.count * 4, self.values, index);
        self.bytes.slice(start..end)
    }

    pub(super) fn last_key(&self) -> &[u8] {
        match self.count {
            0 => &[],
            n => self.key(n - 1),
        }
    }

    /// The first entry whose key is not below `key`; `count` when there is none.
    pub(super) fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The value under exactly this key, in a leaf.
    pub(super) fn exact(&self, key: &[u8]) -> Option<usize> {
        memchr::memchr_iter(mark(key), &self.marks).find(|i| self.key(*i) == key)
    }

    pub(crate) fn child_digest(&self, index: usize) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(&self.value(index)[..32]);
        Digest::from_bytes(digest)
    }

    pub(super) fn child_count(&self, index: usize) -> u64 {
        let mut count = [0; 8];
        count.copy_from_slice(&self.value(index)[32..CHILD_LEN]);
        u64::from_le_bytes(count)
    }

    /// Gives a child that is at hand, so that it need not be read.
    pub(super) fn set_child(&self, index: usize, node: Arc<Node>) {
        // A child that is known already is the same one.
        let _ = self.children[index].set(node);
    }
}

/// A byte that differs between most keys; keys of one leaf share their beginning, so every byte counts.
fn mark(key: &[u8]) -> u8 {
    let mut hash = 0_u64;
    for chunk in key.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (hash >> 56) as u8
}

fn word(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

fn read_word(bytes: &[u8], at: usize) -> usize {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word) as usize
}
