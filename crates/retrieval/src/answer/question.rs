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

/// How a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What something is, or what a word means.
    Definition,
    /// How the one who asks does something.
    How,
    /// Whether something is so.
    YesOrNo,
    /// Any other question.
    Other,
}

/// How a question is asked, from its words in lower case.
fn form(words: &[&str]) -> Form {
    match words {
        ["what" | "was", "is" | "are" | "ist" | "sind" | "bedeutet" | "heißt", ..]
        | ["qu", "est", "ce", ..]
        | ["que", "signifie" | "signifient" | "veut", ..]
        | ["what" | "was", "does" | "do", .., "mean"] => Form::Definition,
        ["comment", ..] => Form::How,
        ["how", "to", ..] => Form::How,
        ["how" | "wie", next, ..]
            if !words::is_measure(next) && words.iter().any(|word| words::is_asker(word)) =>
        {
            Form::How
        }
        [first, ..] if words::asks_whether(first) => Form::YesOrNo,
        _ => Form::Other,
    }
}

/// A question, read.
#[derive(Debug)]
pub struct Question {
    pub(super) asked: Vec<Asked>,
    pub(super) numbers: FxHashMap<String, u8>,
    pub(super) expects: Expects,
    pub(super) form: Form,
    /// The terms of the word that names what is asked for: `mode` in `What mode …`.
    pub(super) noun: u64,
    pub(super) negated: bool,
    /// Whether it asks how much something is, and so for its price.
    pub(super) how_much: bool,
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
        let form = form(&lower);
        let how_much = matches!(lower.as_slice(), ["how", "much", "is" | "are" | "for", ..]);
        let mut read = Self {
            asked: Vec::new(),
            numbers: FxHashMap::default(),
            expects,
            form,
            noun: 0,
            negated,
            how_much,
            mass: 0.0,
        };
        let mut unknown = Vec::new();
        let mut most = 1.0_f32;
        for (place, word) in all.iter().enumerate() {
            let before = place.checked_sub(1).map_or("", |before| lower[before]);
            if words::asks(&word.lower)
                || words::denies(&word.lower)
                || words::is_measured(before, &word.lower)
            {
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
                if words::asks_which(before) {
                    read.noun |= 1 << number;
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
        self.how_much || self.asked.iter().any(|asked| words::is_price(&asked.lower))
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
