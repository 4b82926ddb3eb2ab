//! Texts as terms: what every index is made of.

use rustc_hash::FxHashMap;

use crate::text::{Analyzer, sentences};

/// Sentences of one text that are distinguished. Those after them count as one.
const SENTENCES_MAX: u32 = 64;

/// A term of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// The number of the term.
    pub term: u32,
    /// How often the text has it.
    pub count: u32,
    /// Which sentences have it: bit *n* is sentence *n*, the last bit all that follow.
    pub sentences: u64,
}

/// Texts as terms with numbers.
#[derive(Debug, Default)]
pub struct Corpus {
    numbers: FxHashMap<Box<str>, u32>,
    texts: Vec<Vec<Occurrence>>,
    lengths: Vec<u32>,
    /// In how many texts each term is.
    found_in: Vec<u32>,
}

impl Corpus {
    /// Reads texts, which are numbered in their order.
    pub fn read<'a>(analyzer: &Analyzer, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut corpus = Self::default();
        let mut places: FxHashMap<u32, usize> = FxHashMap::default();
        for text in texts {
            places.clear();
            let mut occurrences: Vec<Occurrence> = Vec::new();
            let mut length = 0_u32;
            for (sentence, number) in sentences(text).zip(0_u32..) {
                let bit = 1 << number.min(SENTENCES_MAX - 1);
                analyzer.terms(sentence, |term| {
                    length = length.saturating_add(1);
                    let term = corpus.number_or_new(term);
                    let place = *places.entry(term).or_insert_with(|| {
                        occurrences.push(Occurrence { term, count: 0, sentences: 0 });
                        occurrences.len() - 1
                    });
                    occurrences[place].count += 1;
                    occurrences[place].sentences |= bit;
                });
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

    fn number_or_new(&mut self, term: &str) -> u32 {
        if let Some(number) = self.numbers.get(term) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(term.into(), number);
        self.found_in.push(0);
        number
    }

    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are no texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The number of different terms.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.found_in.len()
    }

    /// In how many texts a term is.
    #[must_use]
    pub fn found_in(&self, term: u32) -> u32 {
        self.found_in[term as usize]
    }

    /// The terms of a text, by number.
    #[must_use]
    pub fn text(&self, text: usize) -> &[Occurrence] {
        &self.texts[text]
    }

    /// How many terms a text has, repetitions counted.
    #[must_use]
    pub fn length(&self, text: usize) -> u32 {
        self.lengths[text]
    }

    /// The terms of a query that some text has, with how often the query has each, by number.
    #[must_use]
    pub fn query(&self, analyzer: &Analyzer, query: &str) -> Vec<(u32, u32)> {
        let mut terms: Vec<u32> = Vec::new();
        analyzer.terms(query, |term| terms.extend(self.numbers.get(term)));
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
