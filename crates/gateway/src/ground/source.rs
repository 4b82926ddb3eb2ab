//! What a source says, and whether that supports a claim.

use std::collections::BTreeSet;

use ashlar_retrieval::{
    answer::{denies, sentence_ranges, terms_of, words_of},
    text::Analyzer,
};

use super::Source;

/// A claim needs so many words that count; shorter ones say nothing that could be checked.
const TERMS_MIN: usize = 2;

/// The words of a text that count.
#[derive(Debug, Default, Clone)]
struct Words {
    terms: BTreeSet<String>,
    numbers: BTreeSet<String>,
    denies: bool,
}

impl Words {
    fn of(analyzer: &Analyzer, text: &str) -> Self {
        let mut out = Self::default();
        for word in words_of(text) {
            out.denies |= denies(&word.lower);
            if word.digits {
                out.numbers.insert(word.lower);
            } else {
                out.terms.extend(terms_of(analyzer, &word));
            }
        }
        out
    }

    fn add(&mut self, other: &Self) {
        self.terms.extend(other.terms.iter().cloned());
        self.numbers.extend(other.numbers.iter().cloned());
    }
}

/// A text without the addresses of its links, and without the number of a list that it begins with.
fn without_targets(text: &str) -> String {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = (1..=3).contains(&digits) && text[digits..].starts_with(['.', ')']);
    let mut rest = if numbered && text[digits + 1..].starts_with(' ') { &text[digits + 1..] } else { text };
    let mut out = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// A sentence of an answer.
#[derive(Debug)]
pub(super) struct Claim {
    words: Words,
    /// Whether it states something.
    pub claims: bool,
}

impl Claim {
    pub(super) fn of(analyzer: &Analyzer, sentence: &str) -> Self {
        let text = without_targets(sentence);
        let words = Words::of(analyzer, &text);
        let text = text.trim();
        let introduces = text.starts_with('#') || text.ends_with([':', '?', '？', '：']);
        let says = words.terms.len() >= TERMS_MIN || !words.numbers.is_empty() && !words.terms.is_empty();
        let claims = says && !introduces;
        Self { words, claims }
    }

    /// How many words it has that count.
    pub(super) fn weight(&self) -> usize {
        self.words.terms.len() + self.words.numbers.len()
    }
}

/// What a source says.
#[derive(Debug)]
pub(super) struct Known {
    /// The words of its title.
    context: Words,
    sentences: Vec<Words>,
}

impl Known {
    pub(super) fn of(analyzer: &Analyzer, source: &Source) -> Self {
        let sentences = sentence_ranges(&source.text).into_iter();
        Self {
            context: Words::of(analyzer, &source.title),
            sentences: sentences.map(|range| Words::of(analyzer, &source.text[range])).collect(),
        }
    }

    /// The share of a claim's words that one or two neighbouring sentences of the source have, together with its title. 0 when a
    /// number is missing, or one of both denies something and the other does not.
    pub(super) fn support(&self, claim: &Claim) -> f32 {
        let one = self.sentences.iter().map(|sentence| self.window(claim, &[sentence]));
        let two = self.sentences.windows(2).map(|pair| self.window(claim, &[&pair[0], &pair[1]]));
        one.chain(two).fold(0.0, f32::max)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    fn window(&self, claim: &Claim, sentences: &[&Words]) -> f32 {
        let claim = &claim.words;
        let shares = |sentence: &Words| {
            sentence.terms.iter().any(|term| claim.terms.contains(term))
                || sentence.numbers.iter().any(|number| claim.numbers.contains(number))
        };
        let mut words = Words::default();
        let mut denies = false;
        for sentence in sentences.iter().filter(|sentence| shares(sentence)) {
            words.add(sentence);
            denies |= sentence.denies;
        }
        if denies != claim.denies || (words.terms.is_empty() && words.numbers.is_empty()) {
            return 0.0;
        }
        words.add(&self.context);
        if !claim.numbers.is_subset(&words.numbers) {
            return 0.0;
        }
        let all = claim.terms.len() + claim.numbers.len();
        let has = claim.terms.intersection(&words.terms).count() + claim.numbers.len();
        if all == 0 { 0.0 } else { has as f32 / all as f32 }
    }
}
