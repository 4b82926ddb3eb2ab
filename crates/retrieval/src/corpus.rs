//! Texts as counted terms: what is learned from.

use rustc_hash::FxHashMap;

use crate::sample::END;

/// Sentences of one text that are distinguished. Those after them count as one.
const SENTENCES_MAX: u32 = 64;

/// A term of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// The number of the term.
    pub term: u32,
    /// How often the text has it.
    pub count: u32,
    /// Which sentences have it: bit *n* is sentence *n*, the last bit all that follow.
    pub sentences: u64,
}

/// Texts as counted terms.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    texts: Vec<Vec<Occurrence>>,
    lengths: Vec<u32>,
    /// In how many texts each term is.
    found_in: Vec<u32>,
}

impl Corpus {
    /// Counts the terms of texts, which are numbered in their order. There are `terms` terms; [`END`] ends a sentence.
    pub fn of<'a>(terms: usize, texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut corpus = Self { found_in: vec![0; terms], ..Self::default() };
        let mut places: FxHashMap<u32, usize> = FxHashMap::default();
        for text in texts {
            places.clear();
            let mut occurrences: Vec<Occurrence> = Vec::new();
            let (mut length, mut sentence) = (0_u32, 0_u32);
            for term in text {
                if *term == END {
                    sentence += 1;
                    continue;
                }
                length = length.saturating_add(1);
                let place = *places.entry(*term).or_insert_with(|| {
                    occurrences.push(Occurrence { term: *term, count: 0, sentences: 0 });
                    occurrences.len() - 1
                });
                occurrences[place].count += 1;
                occurrences[place].sentences |= 1 << sentence.min(SENTENCES_MAX - 1);
            }
            for occurrence in &occurrences {
                corpus.found_in[occurrence.term as usize] += 1;
            }
            occurrences.sort_unstable_by_key(|occurrence| occurrence.term);
            corpus.texts.push(occurrences);
            corpus.lengths.push(length);
        }
        corpus
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// The number of different terms.
    pub fn terms(&self) -> usize {
        self.found_in.len()
    }

    /// In how many texts a term is.
    pub fn found_in(&self, term: u32) -> u32 {
        self.found_in[term as usize]
    }

    /// The terms of a text, by number.
    pub fn text(&self, text: usize) -> &[Occurrence] {
        &self.texts[text]
    }

    /// How many terms a text has, repetitions counted.
    pub fn length(&self, text: usize) -> u32 {
        self.lengths[text]
    }

    /// The terms of a query that some text has, with how often the query has each, by number.
    pub fn query(&self, terms: &[u32]) -> Vec<(u32, u32)> {
        let known = |term: &u32| *term != END && self.found_in[*term as usize] > 0;
        let mut terms: Vec<u32> = terms.iter().copied().filter(known).collect();
        terms.sort_unstable();
        let mut counted: Vec<(u32, u32)> = Vec::new();
        for term in terms {
            match counted.last_mut() {
                Some((last, count)) if *last == term => *count += 1,
                _ => counted.push((term, 1)),
            }
        }
        counted
    }
}
