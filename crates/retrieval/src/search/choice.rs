//! Which chunks a search looks at.

use crate::segment::posting;

/// 64-bit words for the chunks of a segment.
const WORDS: usize = crate::segment::CHUNKS_MAX / 64;

/// A set of chunks of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits([u64; WORDS]);

impl Bits {
    pub const NONE: Self = Self([0; WORDS]);

    /// The first so many chunks.
    pub fn first(count: usize) -> Self {
        let mut bits = Self::NONE;
        for (word, number) in bits.0.iter_mut().zip(0_usize..) {
            *word = match count.saturating_sub(number * 64) {
                0 => 0,
                left if left >= 64 => u64::MAX,
                left => (1 << left) - 1,
            };
        }
        bits
    }

    /// Adds chunks that come as such bits.
    #[inline]
    pub fn add(&mut self, other: &[u64; WORDS]) {
        for (word, other) in self.0.iter_mut().zip(other) {
            *word |= other;
        }
    }

    #[inline]
    pub const fn insert(&mut self, chunk: usize) {
        if chunk < WORDS * 64 {
            self.0[chunk / 64] |= 1 << (chunk % 64);
        }
    }

    /// Adds the chunks of postings.
    #[inline]
    pub fn insert_all(&mut self, postings: &[u16]) {
        for found in postings {
            self.insert(posting(*found).0);
        }
    }

    #[inline]
    pub const fn contains(&self, chunk: usize) -> bool {
        chunk < WORDS * 64 && self.0[chunk / 64] >> (chunk % 64) & 1 == 1
    }

    #[inline]
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    #[inline]
    pub fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    #[inline]
    pub fn without(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    /// The chunks, in order.
    #[inline]
    pub fn each(&self, mut take: impl FnMut(usize)) {
        for (mut word, number) in self.0.into_iter().zip(0_usize..) {
            while word != 0 {
                take(number * 64 + word.trailing_zeros() as usize);
                word &= word - 1;
            }
        }
    }
}

/// The chunks of one segment that are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub bits: Bits,
    pub count: usize,
    /// All chunks of the segment.
    pub whole: bool,
}

impl Choice {
    pub fn of(bits: Bits, all: usize) -> Self {
        let count = bits.count();
        Self { bits, count, whole: count == all }
    }

    /// The chunks, in order.
    #[inline]
    pub fn each(&self, mut take: impl FnMut(usize)) {
        if self.whole { (0..self.count).for_each(take) } else { self.bits.each(&mut take) }
    }
}
