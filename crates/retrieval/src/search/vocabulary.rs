//! The words of a shelf: how a beginning goes on, and what is nearly the same.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Shelf,
    choice::Choice,
    lookup::{Place, lookup},
    words::chunks_of,
};
use crate::{
    segment::{Segment, posting},
    text::term_hash,
};

/// The fewest letters of a word that may be misspelt.
const MISSPELT_CHARS_MIN: usize = 3;
/// From so many letters on two mistakes are found.
const TWO_MISTAKES_CHARS: usize = 8;
/// Corrections that are compared by how many chunks have them.
const CORRECTIONS: usize = 32;
/// The longest word that is corrected.
const CHARS_MAX: usize = 40;
/// So many terms that no chunk has any more may stay, besides as many as there were.
const TERMS_KEPT: usize = 4_096;

/// The different terms of a shelf, whoever may see them. What is taken from here must be looked up in the chunks that are looked at.
#[derive(Debug, Default, Clone)]
pub(super) struct Vocabulary {
    terms: String,
    ends: Vec<u32>,
    /// Which letters each term has, and how many.
    letters: Vec<(u32, u8)>,
    /// The hashes of the terms.
    seen: FxHashSet<u64>,
    /// How many terms there were when all of it was last made.
    made: usize,
}

impl Vocabulary {
    pub fn of(shelf: &Shelf) -> Self {
        let mut out = Self::default();
        shelf.parts.iter().for_each(|part| out.add(&part.segment));
        out.made = out.ends.len();
        out
    }

    /// That of the next shelf, which has these segments besides some of this one's. Terms that it no longer has do no harm, but
    /// `None` when they may be many.
    pub fn next<'a>(self: &Arc<Self>, new: impl Iterator<Item = &'a Segment>) -> Option<Arc<Self>> {
        let mut out = Arc::clone(self);
        for segment in new {
            if !terms(segment).all(|(_, hash)| out.seen.contains(&hash)) {
                Arc::make_mut(&mut out).add(segment);
            }
        }
        (out.ends.len() <= out.made * 2 + TERMS_KEPT).then_some(out)
    }

    fn add(&mut self, segment: &Segment) {
        for (term, hash) in terms(segment) {
            if self.seen.insert(hash) {
                self.terms.push_str(term);
                self.ends.push(u32::try_from(self.terms.len()).unwrap_or(u32::MAX));
                self.letters.push(letters(term));
            }
        }
    }

    /// Terms that one mistake, or two in long ones, lie from a word: those with fewer mistakes first, then by letters.
    pub fn near(&self, word: &str) -> Vec<(usize, &str)> {
        let wanted: Vec<char> = word.chars().collect();
        let mistakes = match wanted.len() {
            count if !(MISSPELT_CHARS_MIN..=CHARS_MAX).contains(&count) => return Vec::new(),
            count if count < TWO_MISTAKES_CHARS => 1,
            _ => 2,
        };
        let (bits, count) = letters(word);
        let mut out = Vec::new();
        let mut chars: Vec<char> = Vec::new();
        for (number, (own, length)) in self.letters.iter().enumerate() {
            // A mistake changes two letters of a word at most.
            if (own ^ bits).count_ones() > mistakes * 2 || u32::from(length.abs_diff(count)) > mistakes {
                continue;
            }
            let from = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            let term = self.terms.get(from..self.ends[number] as usize).unwrap_or_default();
            chars.clear();
            chars.extend(term.chars());
            let apart = distance(&wanted, &chars);
            if apart > 0 && apart <= mistakes as usize {
                out.push((apart, term));
            }
        }
        out.sort_unstable();
        out
    }
}

/// The terms of a segment that words may be corrected to, with their hashes.
fn terms(segment: &Segment) -> impl Iterator<Item = (&str, u64)> {
    let term = |number| segment.term(u16::try_from(number).unwrap_or(u16::MAX));
    let all = (0..segment.terms()).map(term).filter(|term| term.len() <= CHARS_MAX * 4);
    all.map(|term| (term, term_hash(term)))
}

/// A bit for each letter of a word (some letters share one), and the number of letters.
fn letters(word: &str) -> (u32, u8) {
    let bits = word.chars().fold(0, |bits, c| bits | 1 << (u32::from(c) % 32));
    (bits, u8::try_from(word.chars().count()).unwrap_or(u8::MAX))
}

/// How many letters must be added, removed, replaced or swapped with the next (Damerau 1964, each part changed once).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<usize>>(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        let [before, last, row] = &mut rows;
        row[0] = i;
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row[j] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

impl Shelf {
    /// How many of the chunks looked at have a term.
    pub(super) fn found_in(&self, choices: &[Choice], term: &str) -> usize {
        self.found_in_each(choices, &[term])[0]
    }

    /// How many of the chunks looked at have each of some terms.
    fn found_in_each(&self, choices: &[Choice], terms: &[&str]) -> Vec<usize> {
        let hashed: Vec<(&str, u64)> = terms.iter().map(|term| (*term, term_hash(term))).collect();
        let mut counts = vec![0; terms.len()];
        for Place { part, of, postings, .. } in lookup(self, choices, &hashed) {
            let (segment, choice) = (&self.parts[part].segment, &choices[part]);
            counts[of] += if choice.whole {
                postings.len()
            } else {
                let found = segment.postings(postings);
                found.iter().filter(|found| choice.bits.contains(posting(**found).0)).count()
            };
        }
        counts
    }

    /// The terms, made when they are first needed.
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        self.vocabulary.get_or_init(|| Arc::new(Vocabulary::of(self)))
    }

    /// The term that was probably meant: of those with the fewest mistakes the one that most chunks have.
    pub(super) fn correction(&self, choices: &[Choice], word: &str) -> Option<String> {
        let vocabulary = self.vocabulary();
        let mut found: Vec<(usize, std::cmp::Reverse<usize>, &str)> = Vec::new();
        let near = vocabulary.near(word);
        // As many at a time as are compared at most, and only those with the same number of mistakes.
        for same in near.chunk_by(|(a, _), (b, _)| a == b).flat_map(|same| same.chunks(CORRECTIONS)) {
            let apart = same[0].0;
            if found.len() >= CORRECTIONS || found.first().is_some_and(|(first, ..)| *first < apart) {
                break;
            }
            let terms: Vec<&str> = same.iter().map(|(_, term)| *term).collect();
            for (count, term) in self.found_in_each(choices, &terms).into_iter().zip(terms) {
                if count > 0 && found.len() < CORRECTIONS {
                    found.push((apart, std::cmp::Reverse(count), term));
                }
            }
        }
        found.into_iter().min().map(|(.., term)| term.to_owned())
    }

    /// The terms that begin with some letters, with the number of chunks that have each: the most frequent first.
    pub(super) fn beginning_with(
        &self,
        choices: &[Choice],
        prefix: &str,
        most: usize,
    ) -> Vec<(String, usize)> {
        let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
        for (part, choice) in self.parts.iter().zip(choices).filter(|(_, choice)| choice.count > 0) {
            let segment = &*part.segment;
            for number in segment.beginning_with(prefix) {
                let count = if choice.whole {
                    segment.posting_range(number).len()
                } else {
                    chunks_of(segment, number).and(&choice.bits).count()
                };
                if count > 0 {
                    *counts.entry(segment.term(number)).or_default() += count;
                }
            }
        }
        let mut found: Vec<(&str, usize)> = counts.into_iter().collect();
        found.sort_unstable_by_key(|(term, count)| (std::cmp::Reverse(*count), *term));
        found.truncate(most);
        found.into_iter().map(|(term, count)| (term.to_owned(), count)).collect()
    }

    /// How a term is written: the word that the chunks looked at have most often for it.
    pub(super) fn written(&self, choices: &[Choice], term: &str) -> String {
        let hash = term_hash(term);
        let mut counts: FxHashMap<String, usize> = FxHashMap::default();
        for (part, choice) in self.parts.iter().zip(choices) {
            let Some(number) = part.segment.find(term, hash) else { continue };
            for (word, count) in part.segment.written(number, |chunk| choice.bits.contains(chunk)) {
                *counts.entry(word).or_default() += count;
            }
        }
        let best = counts.into_iter().max_by(|(a, x), (b, y)| x.cmp(y).then_with(|| b.cmp(a)));
        best.map_or_else(|| term.to_owned(), |(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_counted() {
        let apart =
            |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        for (a, b, expected) in [
            ("tide", "tide", 0),
            ("tide", "tides", 1),
            ("tide", "tdie", 1),
            ("harbour", "harbor", 1),
            ("schedule", "shcedul", 2),
            ("", "abc", 3),
            ("häfen", "hafen", 1),
        ] {
            assert_eq!(apart(a, b), expected, "{a} {b}");
            assert_eq!(apart(b, a), expected, "{b} {a}");
        }
    }
}
