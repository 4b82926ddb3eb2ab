//! A question as what must be covered by its answer.

use rustc_hash::FxHashMap;

use super::{
    tokens::{terms_of, words_of},
    words::{self, Expects},
};
use crate::text::Analyzer;

/// Terms of a question that are looked at; the rest is not.
pub const TERMS_MAX: usize = 64;
/// What the word that names the kind of the answer (the `year` of `what year`) weighs, as a share of its weight.
const KIND_WEIGHT: f32 = 0.4;

/// A term that a question asks about.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// As the question has it.
    pub raw: String,
    /// In lower case.
    pub lower: String,
    /// How much it tells: the rarer, the more.
    pub weight: f32,
    /// Whether it is a name: it has a capital letter that does not come from its place.
    pub name: bool,
    /// Whether it is a number.
    pub digits: bool,
    /// Whether any text that may be searched has it.
    pub known: bool,
}

/// A question, read.
#[derive(Debug)]
pub struct Question {
    pub(super) asked: Vec<Asked>,
    pub(super) numbers: FxHashMap<String, u8>,
    pub(super) expects: Expects,
    pub(super) negated: bool,
    pub(super) mass: f32,
}

impl Question {
    /// Reads a question. `rarity` says how rare a term is among the texts that may be searched (its inverse document frequency), and
    /// nothing for a term that none of them has.
    #[must_use]
    pub fn read(analyzer: &Analyzer, text: &str, rarity: &dyn Fn(&str) -> Option<f32>) -> Self {
        let all = words_of(text);
        let lower: Vec<&str> = all.iter().map(|word| word.lower.as_str()).collect();
        let (expects, kind) = words::expects(&lower);
        let negated = lower.iter().any(|word| words::denies(word));
        let mut read = Self { asked: Vec::new(), numbers: FxHashMap::default(), expects, negated, mass: 0.0 };
        let mut unknown = Vec::new();
        let mut most = 1.0_f32;
        for (place, word) in all.iter().enumerate() {
            if words::asks(&word.lower) || words::denies(&word.lower) {
                continue;
            }
            for term in terms_of(analyzer, word) {
                if read.asked.len() >= TERMS_MAX || read.numbers.contains_key(&term) {
                    continue;
                }
                let number = u8::try_from(read.asked.len()).unwrap_or(u8::MAX);
                let rarity = rarity(&term)
                    .or_else(|| word.digits.then(|| rarity(&text[word.range.clone()])).flatten());
                most = most.max(rarity.unwrap_or(0.0));
                let share = if kind == Some(place) { KIND_WEIGHT } else { 1.0 };
                if rarity.is_none() {
                    unknown.push((usize::from(number), share));
                }
                read.numbers.insert(term, number);
                read.asked.push(Asked {
                    raw: text[word.range.clone()].to_owned(),
                    lower: word.lower.clone(),
                    weight: share * rarity.unwrap_or(0.0).max(0.1),
                    name: word.capital && place > 0,
                    digits: word.digits,
                    known: rarity.is_some(),
                });
            }
        }
        for (number, share) in unknown {
            read.asked[number].weight = share * most;
        }
        read.mass = read.asked.iter().map(|asked| asked.weight).sum();
        read
    }

    /// Whether it asks about nothing at all: it has no word with content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether it asks what something costs.
    pub(super) fn asks_price(&self) -> bool {
        self.asked.iter().any(|asked| words::is_price(&asked.lower))
    }

    /// The words of the question that no text has, as written.
    #[must_use]
    pub fn unknown(&self) -> Vec<&str> {
        self.asked.iter().filter(|asked| !asked.known).map(|asked| asked.raw.as_str()).collect()
    }

    /// What the terms with these bits weigh, as a share of all.
    pub(super) fn share(&self, bits: u64) -> f32 {
        let sum: f32 = self.terms(bits).map(|asked| asked.weight).sum();
        if self.mass > 0.0 { sum / self.mass } else { 0.0 }
    }

    /// The terms with these bits.
    pub(super) fn terms(&self, bits: u64) -> impl Iterator<Item = &Asked> {
        self.asked.iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, asked)| asked)
    }

    /// The share of terms of some sort that these bits have; 1 when the question has none of the sort.
    pub(super) fn share_of(&self, bits: u64, sort: impl Fn(&Asked) -> bool) -> f32 {
        let (mut all, mut found) = (0.0, 0.0);
        for (number, asked) in self.asked.iter().enumerate().filter(|(_, asked)| sort(asked)) {
            all += asked.weight;
            if bits >> number & 1 == 1 {
                found += asked.weight;
            }
        }
        if all > 0.0 { found / all } else { 1.0 }
    }
}
