//! The line on which a value of a JSON text begins.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// Bytes of a text whose line breaks are counted once.
const BLOCK_BYTES: usize = 64 << 10;

/// The line (from 1) on which the value under `pointer` begins; that of the nearest ancestor when there is no such value.
/// The text is valid JSON. For several values of one text, [`Lines`] is faster.
pub fn line_of(text: &str, pointer: &str) -> usize {
    Lines::default().of(text, pointer)
}

/// Lines of many values of one text: each object and list on the way to them is read once.
#[derive(Debug, Default)]
pub struct Lines {
    /// Line breaks before each block, once one was asked for.
    breaks: Vec<usize>,
    /// What was looked into, by where it begins.
    known: HashMap<usize, Members>,
    hasher: RandomState,
}

#[derive(Debug)]
enum Members {
    /// Where each item begins.
    List(Vec<usize>),
    /// The hash of each key and where it begins, in this order.
    Object(Vec<(u32, usize)>),
    Neither,
}

impl Lines {
    /// The line of the value under `pointer`; see [`line_of`]. The text is the same each time.
    pub fn of(&mut self, text: &str, pointer: &str) -> usize {
        let bytes = text.as_bytes();
        let mut at = Scanner { bytes, at: 0 }.skip_space();
        let mut found = at;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let Some((key, value)) = self.enter(bytes, at, &step) else { break };
            (found, at) = (key, value);
        }
        1 + self.breaks_before(bytes, found.min(bytes.len()))
    }

    /// Where a member of what begins at `at` begins, and where its value does.
    fn enter(&mut self, bytes: &[u8], at: usize, step: &str) -> Option<(usize, usize)> {
        let hasher = &self.hasher;
        match self.known.entry(at).or_insert_with(|| Scanner { bytes, at }.members(hasher)) {
            Members::List(items) => items.get(step.parse::<usize>().ok()?).map(|item| (*item, *item)),
            Members::Object(keys) => {
                let hash = hasher.hash_one(step) as u32;
                let first = keys.partition_point(|(other, _)| *other < hash);
                keys[first..].iter().take_while(|(other, _)| *other == hash).find_map(|(_, key_at)| {
                    let mut scanner = Scanner { bytes, at: *key_at };
                    let same = scanner.key()? == step;
                    same.then(|| (*key_at, scanner.skip_space()))
                })
            }
            Members::Neither => None,
        }
    }

    fn breaks_before(&mut self, bytes: &[u8], at: usize) -> usize {
        let count = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
        if self.breaks.is_empty() {
            let mut before = 0;
            for block in bytes.chunks(BLOCK_BYTES) {
                self.breaks.push(before);
                before += count(block);
            }
        }
        let block = (at / BLOCK_BYTES).min(self.breaks.len().saturating_sub(1));
        self.breaks.get(block).map_or(0, |before| before + count(&bytes[block * BLOCK_BYTES..at]))
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) -> usize {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at
    }

    /// Everything in the object or list at the present place, up to where the text is broken.
    fn members(&mut self, hasher: &RandomState) -> Members {
        match self.peek() {
            Some(b'{') => {
                let mut keys = Vec::new();
                let _ = self.each(b'}', |scanner, key_at| {
                    if scanner.peek()? != b'"' {
                        return None;
                    }
                    let key = scanner.key()?;
                    keys.push((hasher.hash_one(&*key) as u32, key_at));
                    scanner.skip_value()
                });
                keys.sort_unstable();
                Members::Object(keys)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                let _ = self.each(b']', |scanner, at| {
                    items.push(at);
                    scanner.skip_value()
                });
                Members::List(items)
            }
            _ => Members::Neither,
        }
    }

    fn each(&mut self, end: u8, mut one: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        self.at += 1;
        loop {
            let at = self.skip_space();
            if self.peek()? == end {
                return Some(());
            }
            one(self, at)?;
            self.skip_space();
            if self.peek()? != b',' {
                return Some(());
            }
            self.at += 1;
        }
    }

    /// The key at the present place; behind it the value follows.
    fn key(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        self.skip_value()?;
        let quoted = &self.bytes[start..self.at];
        self.skip_space();
        self.at += 1;
        match quoted {
            [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => {
                str::from_utf8(plain).ok().map(Cow::Borrowed)
            }
            _ => serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned),
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        self.skip_space();
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    while self.peek()? != b'"' {
                        self.at += if self.peek()? == b'\\' { 2 } else { 1 };
                    }
                    self.at += 1;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                b if b.is_ascii_whitespace() => self.at += 1,
                _ => {
                    while self
                        .peek()
                        .is_some_and(|b| !matches!(b, b',' | b'}' | b']') && !b.is_ascii_whitespace())
                    {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_to_lines() {
        let text =
            "{\n  \"a\": {\n    \"b/c\": [1,\n      {\"x\": \"}\\\"\"},\n      3]\n  },\n  \"d\": true\n}";
        for (pointer, line) in [
            ("", 1),
            ("/a", 2),
            ("/a/b~1c", 3),
            ("/a/b~1c/1", 4),
            ("/a/b~1c/1/x", 4),
            ("/a/b~1c/2", 5),
            ("/d", 7),
            ("/a/no", 2),
            ("/zz", 1),
        ] {
            assert_eq!(line_of(text, pointer), line, "{pointer}");
        }
        assert_eq!(line_of("{\"a\\", "/b"), 1, "text that is cut off");
        assert_eq!(line_of("{\n\"a\": 1,\n\"b\": [2", "/b/0"), 3, "text that is cut off");
        let long = format!("[{}\n1]", "\n0,".repeat(50_000));
        let mut lines = Lines::default();
        for at in [0, 49_999, 7, 50_000] {
            assert_eq!(lines.of(&long, &format!("/{at}")), at + 2);
        }
        let mut lines = Lines::default();
        assert_eq!(lines.of("{\n\"a\\u0062\": 1}", "/ab"), 2);
        assert_eq!(lines.of("", "/ab"), 1);
    }
}
