use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Positions by name, without a copy of the names: who asks says what stands at a position.
#[derive(Debug, Default, Clone)]
pub(crate) struct Index {
    /// Position + 1; 0 is free. The length is a power of two, and at least half of it is free.
    slots: Vec<u32>,
    len: usize,
}

fn hash(name: &str) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    hasher.finish() as usize
}

impl Index {
    pub(crate) fn get<'a>(&self, name: &str, at: impl Fn(u32) -> &'a str) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash(name) & mask;
        loop {
            match self.slots[slot] {
                0 => return None,
                found if at(found - 1) == name => return Some(found - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Adds a position whose name is not known yet; `at` knows it already.
    pub(crate) fn insert<'a>(&mut self, position: u32, at: impl Fn(u32) -> &'a str) {
        if self.len * 2 >= self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![0; (old.len() * 2).max(16)];
            for found in old.into_iter().filter(|f| *f != 0) {
                self.put(found, at(found - 1));
            }
        }
        self.put(position + 1, at(position));
        self.len += 1;
    }

    fn put(&mut self, found: u32, name: &str) {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = found;
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
            index.insert(n, at);
        }
        for n in 0..5_000 {
            assert_eq!(index.get(at(n), at), (n < 4_000).then_some(n));
        }
    }
}
