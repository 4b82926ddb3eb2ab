use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Positions by name, without a copy of the names: who asks says what is at a position. A part of each hash lies beside
/// its position, so that a search mostly looks at one name, and growing at none: with many names each look is a cache miss.
#[derive(Debug, Default, Clone)]
pub(crate) struct Index {
    /// Hash and position + 1; 0 is free. The length is a power of two, and at least half of it is free.
    slots: Vec<(u32, u32)>,
    len: usize,
}

fn hash(name: &str) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    hasher.finish() as u32
}

impl Index {
    /// With room for so many names.
    pub(crate) fn with_capacity(names: usize) -> Self {
        Self { slots: vec![(0, 0); (names * 2).next_power_of_two().max(16)], len: 0 }
    }

    pub(crate) fn get<'a>(&self, name: &str, at: impl Fn(u32) -> &'a str) -> Option<u32> {
        self.find(hash(name), name, at)
    }

    fn find<'a>(&self, hash: u32, name: &str, at: impl Fn(u32) -> &'a str) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                (_, 0) => return None,
                (other, found) if other == hash && at(found - 1) == name => return Some(found - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Adds a name at a position, unless it is known; then its position.
    pub(crate) fn insert<'a>(
        &mut self,
        name: &str,
        position: u32,
        at: impl Fn(u32) -> &'a str,
    ) -> Option<u32> {
        let hash = hash(name);
        let known = self.find(hash, name, at);
        if known.is_none() {
            if self.len * 2 >= self.slots.len() {
                let larger = vec![(0, 0); (self.slots.len() * 2).max(16)];
                for (hash, found) in std::mem::replace(&mut self.slots, larger) {
                    if found != 0 {
                        self.put(hash, found);
                    }
                }
            }
            self.put(hash, position + 1);
            self.len += 1;
        }
        known
    }

    fn put(&mut self, hash: u32, found: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot].1 != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = (hash, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_was_given_and_nothing_else() {
        let names: Vec<String> = (0..5_000).map(|n| format!("base.size.{n}")).collect();
        let at = |n: u32| names[n as usize].as_str();
        let mut index = Index::default();
        assert_eq!(index.get("base.size.0", at), None);
        for n in 0..4_000 {
            assert_eq!(index.insert(at(n), n, at), None);
        }
        assert_eq!(index.insert("base.size.7", 4_000, at), Some(7));
        for n in 0..5_000 {
            assert_eq!(index.get(at(n), at), (n < 4_000).then_some(n));
        }
    }
}
