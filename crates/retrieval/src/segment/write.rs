//! Writing a segment.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{BREAK, CHUNK_TERMS_MAX, CHUNKS_MAX, HEADINGS_MAX, MARK, Segment, WORDS_MAX};
use crate::{
    access::Attributes,
    bytes::{put, put_bytes},
    chunk::Chunk,
    text::{Analyzer, sentences, words},
};

/// How large a segment may become, in bytes, unless one chunk alone is larger.
pub const SEGMENT_BYTES_MAX: usize = 256 * 1024;
/// What a chunk takes besides its terms and strings, at most.
const CHUNK_BYTES: usize = 112;
/// What two words share at their start and is stored once, in bytes.
const SHARED_MAX: usize = 255;
/// A word that is no term.
const STOP: u32 = u32::MAX;
/// A sentence ends here.
const END: u32 = u32::MAX;

/// A chunk with what is indexed of it.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// The key of the entry.
    pub entry: &'a [u8],
    /// The title of the entry, which is indexed with each of its chunks.
    pub title: &'a str,
    /// The chunk. Its headings are indexed with it.
    pub chunk: &'a Chunk,
    /// The text of the chunk, without markup.
    pub text: &'a str,
    /// Who may see the chunk.
    pub attributes: &'a Attributes,
}

struct Word {
    text: Box<str>,
    term: u32,
    /// Whether a chunk of this segment has it.
    used: bool,
}

struct Written {
    record: Vec<u8>,
    /// Words by number, with [`END`] after each sentence.
    tokens: Vec<u32>,
}

/// A segment that chunks are copied from, into one other.
#[derive(Debug)]
pub struct Copied<'a> {
    segment: &'a Segment,
    /// The number of each word in the other one; [`END`] while it has none.
    numbers: Vec<u32>,
}

impl<'a> Copied<'a> {
    /// Copies from a segment.
    #[must_use]
    pub fn of(segment: &'a Segment) -> Self {
        Self { segment, numbers: vec![END; segment.words()] }
    }
}

/// Collects chunks into a segment. The same chunks in the same order give the same bytes.
pub struct SegmentWriter<'a> {
    analyzer: &'a Analyzer,
    words: Vec<Word>,
    word_numbers: FxHashMap<Box<str>, u32>,
    /// How many of the words have a term.
    indexed_words: usize,
    terms: Vec<Box<str>>,
    term_numbers: FxHashMap<Box<str>, u32>,
    attributes: BTreeMap<Attributes, u32>,
    strings: BTreeMap<Box<str>, u32>,
    entries: Vec<(Box<[u8]>, Box<str>)>,
    chunks: Vec<Written>,
    bytes: usize,
    /// The words of the passage at hand.
    scratch: Vec<u32>,
}

impl std::fmt::Debug for SegmentWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentWriter")
            .field("chunks", &self.chunks.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl<'a> SegmentWriter<'a> {
    /// A writer without chunks.
    #[must_use]
    pub fn new(analyzer: &'a Analyzer) -> Self {
        Self {
            analyzer,
            words: Vec::new(),
            word_numbers: FxHashMap::default(),
            indexed_words: 0,
            terms: Vec::new(),
            term_numbers: FxHashMap::default(),
            attributes: BTreeMap::new(),
            strings: BTreeMap::new(),
            entries: Vec::new(),
            chunks: Vec::new(),
            bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// Adds a chunk, or returns `false` and leaves the segment as it was when it is full: then begin another. A segment without
    /// chunks takes any chunk, but only the first 50,000 terms of it.
    #[must_use]
    pub fn push(&mut self, passage: &Passage<'_>) -> bool {
        if self.chunks.len() >= CHUNKS_MAX {
            return false;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let before = (self.words.len(), self.terms.len());
        let headings = &passage.chunk.headings[..passage.chunk.headings.len().min(HEADINGS_MAX)];
        let mut room = CHUNK_TERMS_MAX;
        self.read(passage.title, &mut scratch, &mut room);
        let title = scratch.len();
        for heading in headings {
            self.read(heading, &mut scratch, &mut room);
        }
        let lead = scratch.len();
        self.read(passage.text, &mut scratch, &mut room);
        self.add(passage, before, (title, lead), scratch)
    }

    /// Adds a chunk of another segment of the same language: the same as to [`Self::push`] what it was made of, but nothing is read.
    /// `false` when this segment is full, or the other one has no such chunk.
    #[must_use]
    pub fn copy(&mut self, from: &mut Copied<'_>, chunk: usize) -> bool {
        let Some(found) = from.segment.chunk(chunk).filter(|_| self.chunks.len() < CHUNKS_MAX) else {
            return false;
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let before = (self.words.len(), self.terms.len());
        for word in from.segment.words_in(chunk) {
            if *word == BREAK {
                scratch.push(END);
                continue;
            }
            let Some(number) = from.numbers.get_mut(usize::from(*word)) else { return false };
            if *number == END {
                let text = from.segment.word(usize::from(*word));
                *number = match self.word_numbers.get(&*text) {
                    Some(number) => *number,
                    None => self.number(&text, Some(from.segment.term_of(*word))),
                };
            }
            scratch.push(*number);
        }
        let Some(attributes) = from.segment.attributes().get(found.attributes) else { return false };
        let passage = Passage {
            entry: found.entry,
            title: found.title,
            chunk: &Chunk {
                id: found.id,
                field: found.field.to_owned(),
                range: found.range.clone(),
                headings: found.headings.iter().map(|heading| (*heading).to_owned()).collect(),
                anchor: found.anchor.map(str::to_owned),
                boost: found.boost,
            },
            text: "",
            attributes,
        };
        self.add(&passage, before, from.segment.lead(chunk), scratch)
    }

    fn add(
        &mut self,
        passage: &Passage<'_>,
        (words_before, terms_before): (usize, usize),
        (title, lead): (usize, usize),
        scratch: Vec<u32>,
    ) -> bool {
        let headings = &passage.chunk.headings[..passage.chunk.headings.len().min(HEADINGS_MAX)];
        let strings = headings.iter().chain(passage.chunk.anchor.as_ref()).chain([&passage.chunk.field]);
        // Stop words are in no segment.
        let words = self.words[words_before..].iter().filter(|word| word.term != STOP);
        let new_entry = self.entries.last().is_none_or(|(key, _)| **key != *passage.entry);
        let cost = CHUNK_BYTES
            + scratch.len() * 2
            + words.map(|word| word.text.len() + 4).sum::<usize>()
            + self.terms[terms_before..].iter().map(|term| term.len() + 5).sum::<usize>()
            + strings.filter(|s| !self.strings.contains_key(s.as_str())).map(|s| s.len() + 8).sum::<usize>()
            + if new_entry { passage.entry.len() + passage.title.len() + 16 } else { 0 }
            + if self.attributes.contains_key(passage.attributes) { 0 } else { size(passage.attributes) };
        let fits = self.bytes + cost <= SEGMENT_BYTES_MAX && self.indexed_words <= WORDS_MAX;
        if !fits && !self.chunks.is_empty() {
            self.scratch = scratch;
            return false;
        }
        self.bytes += cost;
        if new_entry {
            self.entries.push((passage.entry.into(), passage.title.into()));
        }
        let record = self.record(passage, headings, title, lead);
        let tokens = scratch
            .iter()
            .map(|number| {
                let Some(word) = self.words.get_mut(*number as usize) else { return END };
                word.used = true;
                *number
            })
            .collect();
        self.chunks.push(Written { record, tokens });
        self.scratch = scratch;
        true
    }

    /// How large the segment is now: never less than what [`Self::finish`] gives, but for a few bytes.
    #[must_use]
    pub const fn bytes_so_far(&self) -> usize {
        self.bytes
    }

    /// How many chunks it has.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Adds the words of a text, with [`END`] after each sentence that has any.
    fn read(&mut self, text: &str, out: &mut Vec<u32>, room: &mut usize) {
        for sentence in sentences(text) {
            let begun = out.len();
            words(sentence, |word| {
                if *room == 0 {
                    return;
                }
                let number = self.word(word.text, word.dense);
                if self.words[number as usize].term != STOP {
                    out.push(number);
                    *room -= 1;
                }
            });
            if out.len() > begun {
                out.push(END);
            }
        }
    }

    fn word(&mut self, text: &str, dense: bool) -> u32 {
        if let Some(number) = self.word_numbers.get(text) {
            return *number;
        }
        let analyzer = self.analyzer;
        let term = if dense { Some(text.into()) } else { analyzer.term(text) };
        self.number(text, term.as_deref())
    }

    /// Adds a word that is not here yet. Stop words have no term.
    fn number(&mut self, text: &str, term: Option<&str>) -> u32 {
        let term = term.map_or(STOP, |term| {
            if let Some(number) = self.term_numbers.get(term) {
                return *number;
            }
            let number = u32::try_from(self.terms.len()).unwrap_or(STOP);
            self.term_numbers.insert(term.into(), number);
            self.terms.push(term.into());
            number
        });
        self.indexed_words += usize::from(term != STOP);
        let number = u32::try_from(self.words.len()).unwrap_or(END);
        self.word_numbers.insert(text.into(), number);
        self.words.push(Word { text: text.into(), term, used: false });
        number
    }

    fn string(&mut self, text: &str) -> u64 {
        let next = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        if let Some(number) = self.strings.get(text) {
            return u64::from(*number);
        }
        self.strings.insert(text.into(), next);
        u64::from(next)
    }

    /// What is stored of a chunk besides its terms.
    fn record(&mut self, passage: &Passage<'_>, headings: &[String], title: usize, lead: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let chunk = passage.chunk;
        out.extend_from_slice(chunk.id.as_bytes());
        put(&mut out, self.entries.len().saturating_sub(1) as u64);
        put(&mut out, self.string(&chunk.field));
        put(&mut out, u64::from(chunk.range.start));
        put(&mut out, u64::from(chunk.range.end.saturating_sub(chunk.range.start)));
        put(&mut out, headings.len() as u64);
        for heading in headings {
            let number = self.string(heading);
            put(&mut out, number);
        }
        let anchor = chunk.anchor.as_deref().map_or(0, |anchor| self.string(anchor) + 1);
        put(&mut out, anchor);
        let boost = if chunk.boost.is_finite() { chunk.boost.clamp(0.0, 1_000.0) } else { 1.0 };
        out.extend_from_slice(&boost.to_le_bytes());
        let next = u32::try_from(self.attributes.len()).unwrap_or(u32::MAX);
        let attributes = match self.attributes.get(passage.attributes) {
            Some(number) => *number,
            None => {
                self.attributes.insert(passage.attributes.clone(), next);
                next
            }
        };
        put(&mut out, u64::from(attributes));
        put(&mut out, title as u64);
        put(&mut out, lead as u64);
        out
    }

    /// The segment.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        // Words of a chunk that did not fit are left out, and so are terms that no other word has.
        let mut sorted: Vec<(&str, &str, u32)> = (0_u32..)
            .zip(&self.words)
            .filter(|(_, word)| word.used)
            .filter_map(|(number, word)| Some((&**self.terms.get(word.term as usize)?, &*word.text, number)))
            .collect();
        sorted.sort_unstable();
        let mut renumbered = vec![BREAK; self.words.len()];
        for (place, (.., number)) in (0_u16..).zip(&sorted) {
            renumbered[*number as usize] = place;
        }

        let mut out = Vec::with_capacity(self.bytes);
        out.extend_from_slice(MARK);
        let by_term = || sorted.chunk_by(|a, b| a.0 == b.0);
        put(&mut out, sorted.len() as u64);
        put(&mut out, by_term().count() as u64);
        let mut before = "";
        for words in by_term() {
            let term = words[0].0;
            put_ending(&mut out, before, term);
            put(&mut out, words.len() as u64);
            for (_, word, _) in words {
                put_ending(&mut out, term, word);
            }
            before = term;
        }
        let mut attributes: Vec<(&Attributes, &u32)> = self.attributes.iter().collect();
        attributes.sort_unstable_by_key(|(_, number)| **number);
        put(&mut out, attributes.len() as u64);
        for (attributes, _) in attributes {
            put_bytes(&mut out, &serde_json::to_vec(attributes).unwrap_or_default());
        }
        let mut strings: Vec<(&Box<str>, &u32)> = self.strings.iter().collect();
        strings.sort_unstable_by_key(|(_, number)| **number);
        put(&mut out, strings.len() as u64);
        for (string, _) in strings {
            put_bytes(&mut out, string.as_bytes());
        }
        put(&mut out, self.entries.len() as u64);
        for (key, title) in &self.entries {
            put_bytes(&mut out, key);
            put_bytes(&mut out, title.as_bytes());
        }
        put(&mut out, self.chunks.len() as u64);
        for Written { record, tokens } in &self.chunks {
            out.extend_from_slice(record);
            put(&mut out, tokens.len() as u64);
            for token in tokens {
                let token = if *token == END { BREAK } else { renumbered[*token as usize] };
                out.extend_from_slice(&token.to_le_bytes());
            }
        }
        out
    }
}

/// Adds a text as what it shares with another at the start, and the rest.
fn put_ending(out: &mut Vec<u8>, base: &str, text: &str) {
    let shared = shared(base, text);
    put(out, shared as u64);
    put_bytes(out, &text.as_bytes()[shared..]);
}

/// How many bytes two strings share at their start, up to a boundary of characters.
fn shared(a: &str, b: &str) -> usize {
    let mut count = a.bytes().zip(b.bytes()).take(SHARED_MAX).take_while(|(a, b)| a == b).count();
    while !a.is_char_boundary(count) || !b.is_char_boundary(count) {
        count -= 1;
    }
    count
}

fn size(attributes: &Attributes) -> usize {
    serde_json::to_vec(attributes).map_or(0, |bytes| bytes.len() + 8)
}
