//! The words' leg: BM25 over the chunks that are looked at, and nothing else.

use std::ops::Range;

use super::{
    Shelf,
    choice::{Bits, Choice},
    lookup::{Place, lookup},
};
use crate::{
    lexical::{average, inverse_frequency, norm},
    segment::{BREAK, CHUNKS_MAX, Segment, posting},
    text::term_hash,
};

/// Lengths of chunks for which [`norm`] is computed once.
const NORMS: u32 = 1_024;

/// Ways to say one word.
const ALTERNATIVES_MAX: usize = 64;

/// One way to say a word of the query.
#[derive(Debug, Clone)]
pub(super) struct Alternative {
    pub term: String,
    hash: u64,
    /// What it counts, from 0 to 1.
    factor: f32,
}

impl Alternative {
    fn new(term: &str, factor: f32) -> Self {
        Self { term: term.to_owned(), hash: term_hash(term), factor }
    }
}

/// A word of the query with all ways to say it, which count as one word.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub alternatives: Vec<Alternative>,
    pub count: u32,
}

impl Group {
    /// A word that can only be said in one way so far.
    pub fn new(term: &str, count: u32) -> Self {
        Self { alternatives: vec![Alternative::new(term, 1.0)], count }
    }

    /// Adds another way to say it.
    pub fn add(&mut self, term: &str, factor: f32) {
        if self.alternatives.len() < ALTERNATIVES_MAX && self.alternatives.iter().all(|a| a.term != term) {
            self.alternatives.push(Alternative::new(term, factor));
        }
    }
}

/// A term of the query in one segment.
#[derive(Debug, Clone)]
struct Located {
    group: usize,
    term: u16,
    factor: f32,
    postings: Range<u32>,
}

/// The words of a query, found in the segments of a shelf.
pub(super) struct Words {
    located: Vec<Located>,
    /// Which of them are in each part.
    parts: Vec<Range<usize>>,
    /// In how many of the chunks looked at each word is.
    pub found_in: Vec<usize>,
    weights: Vec<f32>,
    counts: Vec<f32>,
    average: f32,
    norms: Vec<f32>,
}

impl Words {
    /// Looks up words, and counts the chunks of the choice that have them.
    #[expect(clippy::cast_precision_loss, reason = "a word is not in a query a million times")]
    pub fn locate(shelf: &Shelf, choices: &[Choice], groups: &[Group]) -> Self {
        let (mut texts, mut length) = (0, 0);
        let mut found_in = vec![0; groups.len()];
        let alternatives: Vec<(usize, &Alternative)> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, g)| g.alternatives.iter().map(move |a| (group, a)))
            .collect();
        let terms: Vec<(&str, u64)> = alternatives.iter().map(|(_, a)| (a.term.as_str(), a.hash)).collect();
        let places = lookup(shelf, choices, &terms);
        let mut located: Vec<Located> = Vec::with_capacity(places.len());
        let mut of_parts = vec![0..0; choices.len()];
        for same in places.chunk_by(|a, b| a.part == b.part) {
            let from = located.len();
            located.extend(same.iter().map(|Place { of, term, postings, .. }| {
                let (group, Alternative { factor, .. }) = alternatives[*of];
                Located { group, term: *term, factor: *factor, postings: postings.clone() }
            }));
            let part = same[0].part;
            of_parts[part] = from..located.len();
            for same in located[from..].chunk_by(|a, b| a.group == b.group) {
                found_in[same[0].group] += chunks_with(&shelf.parts[part].segment, same, &choices[part]);
            }
        }
        for (part, choice) in shelf.parts.iter().zip(choices).filter(|(_, choice)| choice.count > 0) {
            texts += choice.count;
            length += length_of(&part.segment, choice);
        }
        let average = average(length, texts);
        Self {
            located,
            parts: of_parts,
            weights: found_in.iter().map(|count| inverse_frequency(texts, *count)).collect(),
            found_in,
            counts: groups.iter().map(|group| group.count as f32).collect(),
            average,
            norms: (0..NORMS).map(|length| norm(length, average)).collect(),
        }
    }

    /// Whether no chunk has any of the words.
    pub fn is_empty(&self) -> bool {
        self.found_in.iter().all(|count| *count == 0)
    }

    /// Reads the first postings of each word in some parts, so that memory answers for all of them at once.
    pub fn touch(&self, shelf: &Shelf, parts: Range<usize>) {
        let mut sum = 0_u16;
        for part in parts {
            let segment = &shelf.parts[part].segment;
            for found in &self.located[self.parts[part].clone()] {
                sum ^= segment.postings(found.postings.clone()).first().copied().unwrap_or(0);
            }
        }
        std::hint::black_box(sum);
    }

    /// The scores of the chunks of a part that are looked at. `out` is all zero before.
    pub fn score(&self, segment: &Segment, part: usize, choice: &Choice, out: &mut [f32]) {
        let lengths = segment.lengths();
        let norm_of = |chunk: usize| {
            let length = lengths.get(chunk).copied().unwrap_or(0);
            self.norms.get(length as usize).copied().unwrap_or_else(|| norm(length, self.average))
        };
        let located = &self.located[self.parts[part].clone()];
        for same in located.chunk_by(|a, b| a.group == b.group) {
            let weight = self.weights[same[0].group] * self.counts[same[0].group];
            if let [Located { factor, postings, .. }] = same {
                for found in segment.postings(postings.clone()) {
                    let (chunk, count) = posting(*found);
                    if choice.whole || choice.bits.contains(chunk) {
                        let count = f32::from(count) * factor;
                        out[chunk] += weight * (count / (count + norm_of(chunk)));
                    }
                }
            } else {
                let mut counts = [0.0_f32; CHUNKS_MAX];
                for Located { factor, postings, .. } in same {
                    for found in segment.postings(postings.clone()) {
                        let (chunk, count) = posting(*found);
                        counts[chunk] += f32::from(count) * factor;
                    }
                }
                choice.each(|chunk| {
                    let count = counts[chunk];
                    if count > 0.0 {
                        out[chunk] += weight * (count / (count + norm_of(chunk)));
                    }
                });
            }
        }
        if segment.boosted() {
            for (chunk, score) in out.iter_mut().enumerate() {
                *score *= segment.boost(chunk);
            }
        }
    }

    /// The sum of what the words weigh, each counted once: of those that some chunk has, and of all.
    pub fn mass(&self) -> (f32, f32) {
        let known = self.weights.iter().zip(&self.found_in).filter(|(_, count)| **count > 0);
        (known.map(|(weight, _)| weight).sum(), self.weights.iter().sum())
    }

    /// What the words that a chunk has weigh together, and those of its best sentence.
    pub fn coverage(&self, segment: &Segment, part: usize, chunk: usize) -> (f32, f32) {
        let located = &self.located[self.parts[part].clone()];
        // Nearly all terms of a chunk are none of the query's: a few bits tell most of them.
        let mask = located.iter().fold(0_u64, |mask, found| mask | 1 << (found.term % 64));
        let groups = self.weights.len();
        let mut in_chunk = vec![false; groups];
        let mut in_sentence = vec![false; groups];
        let (mut whole, mut sentence, mut best) = (0.0_f32, 0.0_f32, 0.0_f32);
        for token in segment.tokens(chunk) {
            if token == BREAK {
                if sentence > 0.0 {
                    best = best.max(sentence);
                    sentence = 0.0;
                    in_sentence.fill(false);
                }
                continue;
            }
            if mask >> (token % 64) & 1 == 0 {
                continue;
            }
            for found in located.iter().filter(|found| found.term == token) {
                let weight = self.weights[found.group];
                if !std::mem::replace(&mut in_chunk[found.group], true) {
                    whole += weight;
                }
                if !std::mem::replace(&mut in_sentence[found.group], true) {
                    sentence += weight;
                }
            }
        }
        (whole, best.max(sentence))
    }
}

/// How many terms the chunks of a choice have.
fn length_of(segment: &Segment, choice: &Choice) -> u64 {
    if choice.whole {
        return segment.total_length();
    }
    let mut total = 0;
    choice.bits.each(|chunk| total += segment.lengths().get(chunk).copied().map_or(0, u64::from));
    total
}

/// How many chunks of a choice have at least one of some terms.
fn chunks_with(segment: &Segment, terms: &[Located], choice: &Choice) -> usize {
    match terms {
        [] => 0,
        [term] if choice.whole => term.postings.len(),
        [term] => {
            let found = segment.postings(term.postings.clone());
            found.iter().filter(|found| choice.bits.contains(posting(**found).0)).count()
        }
        terms => {
            let mut bits = Bits::NONE;
            for term in terms {
                bits.insert_all(segment.postings(term.postings.clone()));
            }
            bits.and(&choice.bits).count()
        }
    }
}

/// The chunks of a choice in which phrases are and excluded terms are not.
pub(super) fn narrowed(
    segment: &Segment,
    choice: &Choice,
    phrases: &[Vec<String>],
    excluded: &[String],
) -> Choice {
    let mut bits = choice.bits;
    for term in excluded {
        if let Some(term) = segment.find(term, term_hash(term)) {
            bits = bits.without(&chunks_of(segment, term));
        }
    }
    for phrase in phrases {
        let terms: Option<Vec<u16>> = phrase.iter().map(|term| segment.find(term, term_hash(term))).collect();
        let Some(terms) = terms else { return Choice::of(Bits::NONE, segment.len()) };
        for term in &terms {
            bits = bits.and(&chunks_of(segment, *term));
        }
        if terms.len() > 1 {
            let mut followed = Bits::NONE;
            let mut tokens = Vec::new();
            bits.each(|chunk| {
                tokens.clear();
                tokens.extend(segment.tokens(chunk));
                if tokens.windows(terms.len()).any(|window| window == terms) {
                    followed.insert(chunk);
                }
            });
            bits = followed;
        }
    }
    Choice::of(bits, segment.len())
}

/// The chunks that have a term.
pub(super) fn chunks_of(segment: &Segment, term: u16) -> Bits {
    let mut bits = Bits::NONE;
    bits.insert_all(segment.postings(segment.posting_range(term)));
    bits
}
