//! A close look at the sentences of a passage: how well each answers a question.

use std::ops::Range;

use super::{
    Evidence, Question,
    question::Asked,
    tokens::{Word, sentence_ranges, terms_of, words_of},
    words::{self, Expects},
};
use crate::text::Analyzer;

/// How many figures a sentence is judged by.
pub const FIGURES: usize = 21;

/// A sentence that may answer a question.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The number of its passage.
    pub passage: usize,
    /// The bytes of the passage's text that it is.
    pub range: Range<usize>,
    /// What it is judged by; [`super::MODEL`] says what each weighs.
    pub figures: [f32; FIGURES],
    /// How well it answers, by those figures. Higher is better.
    pub score: f32,
    /// The terms of the question that it has.
    pub(super) covered: u64,
    /// The terms of the question that its passage and its title have.
    pub(super) around: u64,
    /// The terms of the question that the title and the headings of its passage have.
    pub(super) context: u64,
    /// The terms of the question that the sentence before it has, when it begins with a pronoun.
    pub(super) before: u64,
    /// Whether it has what the question expects: a date, a number, a name.
    pub(super) kind: bool,
}

/// A word of a passage, compared with the question.
pub(super) struct Seen {
    pub(super) word: Word,
    /// The terms of the question that it is.
    pub(super) bits: u64,
}

pub(super) fn seen(analyzer: &Analyzer, question: &Question, text: &str) -> Vec<Seen> {
    let bits = |word: &Word| {
        terms_of(analyzer, word)
            .iter()
            .filter_map(|term| question.numbers.get(term))
            .fold(0, |bits, number| bits | 1_u64 << number)
    };
    words_of(text).into_iter().map(|word| Seen { bits: bits(&word), word }).collect()
}

fn bits_of(words: &[Seen]) -> u64 {
    words.iter().fold(0, |bits, seen| bits | seen.bits)
}

/// All sentences of a passage, in order, without scores.
pub(super) fn candidates(
    analyzer: &Analyzer,
    question: &Question,
    (passage, evidence): (usize, &Evidence<'_>),
    best_score: f32,
) -> Vec<Candidate> {
    let context = bits_of(&seen(analyzer, question, evidence.context));
    let words = seen(analyzer, question, evidence.text);
    let ranges = if evidence.statement {
        std::iter::once(0..evidence.text.len()).filter(|range| !range.is_empty()).collect()
    } else {
        sentence_ranges(evidence.text)
    };
    let mut rest = &words[..];
    let mut parts: Vec<(Range<usize>, &[Seen])> = Vec::new();
    for range in ranges {
        let skipped = rest.iter().take_while(|seen| seen.word.range.start < range.start).count();
        let length = rest[skipped..].iter().take_while(|seen| seen.word.range.start < range.end).count();
        let (part, after) = rest[skipped..].split_at(length);
        rest = after;
        if !part.is_empty() {
            parts.push((range, part));
        }
    }
    let all = bits_of(&words) | context;
    let own: Vec<u64> = parts.iter().map(|(_, part)| bits_of(part)).collect();
    parts
        .iter()
        .enumerate()
        .map(|(at, (range, part))| {
            let beside =
                own[at.saturating_sub(1)..(at + 2).min(own.len())].iter().fold(0, |all, bits| all | bits);
            let look = Look { question, part, own: own[at], beside: beside | context, all };
            let score = if best_score > 0.0 { (evidence.score / best_score).clamp(0.0, 1.0) } else { 0.0 };
            let kind = look.kind().is_some();
            let refers = part.first().is_some_and(|seen| words::is_pronoun(&seen.word.lower));
            let before = if refers { at.checked_sub(1).map_or(0, |before| own[before]) } else { 0 };
            let figures = look.figures(score, passage == 0);
            Candidate {
                passage,
                range: range.clone(),
                figures,
                score: 0.0,
                covered: own[at],
                around: all,
                context,
                before,
                kind,
            }
        })
        .collect()
}

struct Look<'a> {
    question: &'a Question,
    part: &'a [Seen],
    own: u64,
    beside: u64,
    all: u64,
}

impl Look<'_> {
    #[expect(clippy::cast_precision_loss, reason = "counts of words in a sentence")]
    fn figures(&self, score: f32, first: bool) -> [f32; FIGURES] {
        let question = self.question;
        let own = question.share(self.own);
        let beside = question.share(self.own | self.beside);
        let all = question.share(self.all);
        let kind = self.kind();
        let typed = question.expects != Expects::Anything;
        let denies = self.part.iter().any(|seen| words::denies(&seen.word.lower));
        let (dense, ordered) = self.order();
        [
            1.0,
            own,
            beside - own,
            all - beside,
            own * own,
            self.adjacent(),
            f32::from(u8::from(typed && kind.is_some())),
            f32::from(u8::from(typed && kind.is_none())),
            kind.map_or(0.0, |distance| 1.0 / (1.0 + distance as f32 / 3.0)),
            question.share_of(self.own, |asked| asked.name),
            question.share_of(self.own, |asked| asked.digits),
            score,
            f32::from(u8::from(first)),
            (self.part.len() as f32).ln() / 4.0,
            f32::from(u8::from(question.negated != denies)),
            self.opposite().min(2.0),
            dense,
            ordered,
            self.run(),
            self.other(|asked| asked.digits, |seen| seen.word.digits),
            self.other(|asked| asked.name, |seen| seen.word.capital && seen.word.range.len() > 2),
        ]
    }

    /// How far the nearest word of the kind that the question expects is from a word of the question, in words.
    fn kind(&self) -> Option<usize> {
        let asked: Vec<usize> = (0..self.part.len()).filter(|at| self.part[*at].bits != 0).collect();
        (0..self.part.len())
            .filter(|at| self.part[*at].bits == 0 && self.is_kind(*at))
            .map(|at| asked.iter().map(|place| place.abs_diff(at)).min().unwrap_or(30))
            .min()
    }

    fn is_kind(&self, at: usize) -> bool {
        let word = &self.part[at].word;
        let year = word.digits
            && word.range.len() == 4
            && word.lower.len() == 4
            && word.lower.starts_with(['1', '2']);
        let named = |at: usize| {
            let word = &self.part[at].word;
            word.capital && (at > 0 || self.part.get(1).is_some_and(|next| next.word.capital))
        };
        match self.question.expects {
            Expects::Number => (word.digits && !year) || words::is_number(&word.lower),
            Expects::Time => {
                year || words::is_time(&word.lower)
                    || words::is_span(&word.lower)
                    || (word.capital && word.lower == "may")
            }
            Expects::Name => named(at),
            Expects::Place => {
                let before = self.part[at.saturating_sub(3)..at].iter();
                named(at) && before.into_iter().any(|seen| words::is_before_place(&seen.word.lower))
            }
            Expects::Reason => words::is_reason(&word.lower),
            Expects::Anything => word.range.len() > 3 && !words::asks(&word.lower),
        }
    }

    /// The share of neighbouring terms of the question that are near each other here as well.
    #[expect(clippy::cast_precision_loss, reason = "at most 64 terms")]
    fn adjacent(&self) -> f32 {
        let pairs = self.question.asked.len().saturating_sub(1);
        if pairs == 0 {
            return question_alone(self.own);
        }
        let near = |pair: usize| {
            let (a, b) = (1_u64 << pair, 1_u64 << (pair + 1));
            self.part.iter().enumerate().any(|(at, seen)| {
                seen.bits & a != 0
                    && self.part[at.saturating_sub(3)..(at + 4).min(self.part.len())]
                        .iter()
                        .any(|s| s.bits & b != 0)
            })
        };
        (0..pairs).filter(|pair| near(*pair)).count() as f32 / pairs as f32
    }

    /// How closely the terms of the question that are here are packed, and what share of them is in the question's order.
    #[expect(clippy::cast_precision_loss, reason = "counts of words in a sentence")]
    fn order(&self) -> (f32, f32) {
        let mut left = self.own;
        let mut places = Vec::new();
        for (at, seen) in self.part.iter().enumerate() {
            let fresh = seen.bits & left;
            if fresh != 0 {
                places.push((at, fresh.trailing_zeros()));
                left &= !fresh;
            }
        }
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return (0.0, 0.0) };
        let dense = places.len() as f32 / (last.0 + 1 - first.0) as f32;
        let steps = places.len().saturating_sub(1);
        let rising = places.windows(2).filter(|pair| pair[0].1 < pair[1].1).count();
        (dense, if steps == 0 { 0.0 } else { rising as f32 / steps as f32 })
    }

    /// The longest run of terms of the question that is here in the same order, with at most two other words between each, as a
    /// share of all terms.
    #[expect(clippy::cast_precision_loss, reason = "at most 64 terms")]
    fn run(&self) -> f32 {
        let mut longest = 0_usize;
        // The length of the run that ended last, its last term, and where.
        let mut run = (0_usize, 0_u32, 0_usize);
        for (at, seen) in self.part.iter().enumerate().filter(|(_, seen)| seen.bits != 0) {
            let term = seen.bits.trailing_zeros();
            let goes_on = run.0 > 0 && term == run.1 + 1 && at - run.2 <= 3;
            run = (if goes_on { run.0 + 1 } else { 1 }, term, at);
            longest = longest.max(run.0);
        }
        longest as f32 / self.question.asked.len().max(1) as f32
    }

    /// Whether a term of some sort is missing, and something else of the sort is here instead.
    fn other(&self, asked: impl Fn(&Asked) -> bool, here: impl Fn(&Seen) -> bool) -> f32 {
        let misses = self.question.terms(!self.own).any(asked);
        f32::from(u8::from(misses && self.part.iter().skip(1).any(|seen| seen.bits == 0 && here(seen))))
    }

    /// How many terms of the question that are missing have their opposite here.
    #[expect(clippy::cast_precision_loss, reason = "at most 64 terms")]
    fn opposite(&self) -> f32 {
        let missing = self.question.terms(!self.own);
        missing
            .filter(|asked| {
                let denied = |word: &str| {
                    words::opposites(&asked.lower).any(|opposite| opposite == word)
                        || words::is_prefixed(&asked.lower, word)
                        || words::is_prefixed(word, &asked.lower)
                };
                self.part.iter().any(|seen| denied(&seen.word.lower))
            })
            .count() as f32
    }
}

/// What a question of a single term has of neighbours.
fn question_alone(own: u64) -> f32 {
    f32::from(u8::from(own != 0))
}
