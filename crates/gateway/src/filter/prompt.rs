//! Whether an answer repeats the system prompt.

use std::collections::{HashMap, VecDeque};

use super::leak::{LEAK_WORDS, Leak};

/// A system prompt with fewer words is not looked for.
const PROMPT_WORDS_MIN: usize = 8;
/// The most words of a system prompt that are looked for.
const PROMPT_WORDS_MAX: usize = 20_000;
/// From so many words on, a repetition is held back.
const HELD_WORDS: usize = 3;
/// The longest word, in bytes. What is longer is several words.
const WORD_BYTES_MAX: usize = 64;

/// The next word of a text from a place on: where it begins and ends. A character of a script without spaces is a word.
fn word(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut start = None;
    for (at, c) in text[from..].char_indices() {
        let at = from + at;
        if !c.is_alphanumeric() {
            if let Some(start) = start {
                return Some((start, at));
            }
            continue;
        }
        if ('\u{2e80}'..).contains(&c) {
            return Some(start.map_or((at, at + c.len_utf8()), |start| (start, at)));
        }
        match start {
            None => start = Some(at),
            Some(start) if at - start >= WORD_BYTES_MAX => return Some((start, at)),
            Some(_) => {}
        }
    }
    start.map(|start| (start, text.len()))
}

/// The places of each word in the system prompt.
#[derive(Debug)]
pub(super) struct Words {
    places: HashMap<String, Vec<u32>>,
    /// So many in their order are too many.
    most: usize,
}

impl Words {
    /// `None` when there are too few.
    pub fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Option<Self> {
        let (mut places, mut count) = (HashMap::<String, Vec<u32>>::new(), 0_u32);
        for text in texts {
            let mut at = 0;
            while let Some((start, end)) = word(text, at).filter(|_| (count as usize) < PROMPT_WORDS_MAX) {
                places.entry(text[start..end].to_lowercase()).or_default().push(count);
                count += 1;
                at = end;
            }
        }
        let count = count as usize;
        (count >= PROMPT_WORDS_MIN).then_some(Self { places, most: LEAK_WORDS.min(count) })
    }
}

/// How far an answer repeats the system prompt just now.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Where in the prompt the last word is, and how many words before it fit.
    runs: HashMap<u32, usize>,
    /// Where the last words begin, from the beginning of the answer.
    starts: VecDeque<usize>,
    /// Where the text that is held back begins, from the beginning of the answer.
    base: usize,
    /// Until where words were looked at, from the beginning of the answer.
    at: usize,
}

impl Trail {
    /// Looks at the words that are new in the text that is held back: how much of it can be passed on.
    pub fn follow(&mut self, words: &Words, held: &str, ends: bool) -> Result<usize, Leak> {
        let mut from = self.at - self.base;
        while let Some((start, end)) = word(held, from) {
            // A word at the end may go on.
            if end == held.len() && !ends && end - start < WORD_BYTES_MAX {
                return Ok(self.free().min(start));
            }
            self.step(words, &held[start..end], self.base + start)?;
            from = end;
            self.at = self.base + end;
        }
        Ok(if ends { held.len() } else { self.free().min(held.len()) })
    }

    fn step(&mut self, words: &Words, word: &str, start: usize) -> Result<(), Leak> {
        let places = words.places.get(&word.to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        let before = std::mem::take(&mut self.runs);
        let run =
            |place: &u32| 1 + place.checked_sub(1).and_then(|last| before.get(&last)).copied().unwrap_or(0);
        self.runs = places.iter().map(|place| (*place, run(place))).collect();
        self.starts.push_back(start);
        if self.starts.len() > LEAK_WORDS {
            self.starts.pop_front();
        }
        if self.longest() >= words.most { Err(Leak::SystemPrompt) } else { Ok(()) }
    }

    fn longest(&self) -> usize {
        self.runs.values().copied().max().unwrap_or(0)
    }

    /// How much of what is held back repeats nothing.
    fn free(&self) -> usize {
        let longest = self.longest();
        if longest < HELD_WORDS {
            return usize::MAX;
        }
        let first = self.starts.len().checked_sub(longest).and_then(|at| self.starts.get(at));
        first.map_or(0, |start| start.saturating_sub(self.base))
    }

    /// So many bytes are no longer held back.
    pub fn passed(&mut self, bytes: usize) {
        self.base += bytes;
        self.at = self.at.max(self.base);
    }
}
