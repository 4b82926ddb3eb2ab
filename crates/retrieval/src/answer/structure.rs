//! What the structure of a text answers: a sentence that defines, a section or an entry whose heading is the question, and a sentence
//! that leaves to its headings what it is about. The figures of single sentences, which were fitted on paragraphs without
//! headings, cannot see this.

use std::ops::Range;

use super::{
    Candidate, Evidence, QUOTE_BYTES_MAX, Question, Quote,
    look::{Seen, seen},
    question::Form,
    tokens::{sentence_ranges, terms_of, words_of},
    words::{self, Expects},
};
use crate::text::Analyzer;

/// What parts the context of a passage: its title and each of its headings.
const PARTS: char = '\u{b7}';
/// The confidence of an entry or a section whose heading is the question.
const SAME: f32 = 0.95;
/// The confidence of a definition, of one that says of which kind a thing is, and of a sentence that only has it as its subject or
/// before a colon.
const DEFINED: [f32; 3] = [0.8, 0.85, 0.75];
/// The confidence of a sentence that begins with the purpose that is asked for.
const PURPOSE: f32 = 0.85;
/// The confidence of a section whose headings cover the question, and of a sentence that does so together with its headings.
const HEADED: f32 = 0.7;
/// A passage says more than a summary: what so many bytes add.
const LONG: f32 = 0.04;
const LONG_BYTES: f32 = 400.0;
/// How much of a question may be missing, as a share of its weight.
const MISSING: f32 = 0.12;
/// How much of a heading the question must have, so that the section is about the question.
const OF_HEADING: f32 = 0.6;
/// How much of a question a sentence must have itself.
const OWN: f32 = 0.4;
/// What is quoted of a section, in sentences and in bytes.
const OPENING: usize = 2;
const OPENING_BYTES_MAX: usize = 400;
/// How much of the question a sentence must have itself that says how something is done, without beginning with the purpose.
const OWN_HOW: f32 = 0.6;
/// Words of which one is the purpose, after the first; and words that a sentence must say beyond the question.
const BEFORE_PURPOSE: usize = 3;
const SAYS_MORE: usize = 4;
/// Words before what is defined, such as an article.
const BEFORE_DEFINED: usize = 2;

/// A passage's title and headings, compared with a question.
struct Headings {
    /// What of the question they have together.
    bits: u64,
    /// The largest share of one of them that the question has.
    share: f32,
    /// Whether that one denies something.
    denies: bool,
    /// Whether that one is a question.
    asks: bool,
}

impl Headings {
    fn of(analyzer: &Analyzer, question: &Question, context: &str) -> Self {
        let mut out = Self { bits: 0, share: 0.0, denies: false, asks: false };
        for part in context.split(PARTS) {
            let (mut all, mut asked) = (0_u16, 0_u16);
            let words = words_of(part);
            for word in words.iter().filter(|word| !words::asks(&word.lower) && !words::denies(&word.lower)) {
                for term in terms_of(analyzer, word) {
                    all = all.saturating_add(1);
                    if let Some(number) = question.numbers.get(&term) {
                        out.bits |= 1 << number;
                        asked = asked.saturating_add(1);
                    }
                }
            }
            let share = f32::from(asked) / f32::from(all.max(1));
            if share > out.share {
                out.share = share;
                out.denies = words.iter().any(|word| words::denies(&word.lower));
                out.asks = part.trim_end().ends_with(['?', '？']);
            }
        }
        out
    }
}

/// What the structure of the passages answers, with its confidence.
pub(super) fn structured(
    analyzer: &Analyzer,
    question: &Question,
    evidence: &[Evidence<'_>],
    candidates: &[Candidate],
) -> Option<(Vec<Quote>, f32)> {
    let mut best: Option<(f32, Quote)> = None;
    let mut offer = |value: f32, quote: Quote| {
        if best.as_ref().is_none_or(|(known, _)| value > *known) {
            best = Some((value, quote));
        }
    };
    for (passage, found) in evidence.iter().enumerate().filter(|(_, found)| !found.statement) {
        let headings = Headings::of(analyzer, question, found.context);
        if let Some((value, range)) = sentence(analyzer, question, found.text, headings.bits) {
            offer(value + 0.01 * headings.share, Quote { passage, range });
        }
        let covers = question.share(!headings.bits) <= MISSING;
        let same = covers && headings.asks && headings.share >= 0.99 && headings.denies == question.negated;
        let open = question.expects == Expects::Anything && question.form != Form::YesOrNo;
        let about = covers && headings.share >= OF_HEADING && open && !question.negated;
        if same || about {
            let mut inside = candidates.iter().filter(|candidate| candidate.passage == passage);
            let typed = inside.find(|c| c.kind && question.expects != Expects::Anything);
            let value = if same { SAME } else { HEADED + 0.05 * headings.share + long(found.text) };
            let range = typed.map_or_else(|| opening(found.text), |candidate| Some(candidate.range.clone()));
            if let Some(range) = range {
                offer(value, Quote { passage, range });
            }
        }
    }
    if let Some((value, quote)) = best {
        return Some((vec![quote], value.min(0.95)));
    }
    let candidate = candidates.iter().find(|candidate| completed(question, candidate))?;
    Some((vec![Quote { passage: candidate.passage, range: candidate.range.clone() }], HEADED))
}

/// Whether a sentence answers together with its headings, which say what it is about, or with the sentence that its pronoun refers to.
fn completed(question: &Question, candidate: &Candidate) -> bool {
    let rest = (candidate.context | candidate.before) & !candidate.covered;
    let typed = question.expects != Expects::Anything;
    let missing = !(candidate.covered | rest);
    let sort = |asked: &super::question::Asked| asked.name || asked.digits;
    let named = question.noun & candidate.covered != 0;
    (typed && candidate.kind || question.form == Form::YesOrNo || named)
        && rest != 0
        && !question.negated
        && question.share(candidate.covered) >= OWN
        && question.share(missing) <= MISSING
        && question.terms(missing).all(|asked| !sort(asked))
}

#[expect(clippy::cast_precision_loss, reason = "passages have a few thousand bytes")]
fn long(text: &str) -> f32 {
    LONG * (text.trim().len() as f32 / LONG_BYTES).min(1.0)
}

/// The beginning of a section.
fn opening(text: &str) -> Option<Range<usize>> {
    let mut taken: Option<Range<usize>> = None;
    for range in sentence_ranges(text).into_iter().take(OPENING) {
        let whole = taken.as_ref().map_or(range.start, |taken| taken.start)..range.end;
        if taken.is_some() && whole.len() > OPENING_BYTES_MAX {
            break;
        }
        taken = Some(whole);
    }
    taken.filter(|range| range.len() <= QUOTE_BYTES_MAX)
}

/// The sentence that says what something is, or how to reach a purpose, with its confidence: `A channel is …`, `… is pending when …`,
/// `To roll back, …`.
fn sentence(
    analyzer: &Analyzer,
    question: &Question,
    text: &str,
    context: u64,
) -> Option<(f32, Range<usize>)> {
    if !matches!(question.form, Form::Definition | Form::How) || question.negated {
        return None;
    }
    let words = seen(analyzer, question, text);
    let mut best: Option<(f32, Range<usize>)> = None;
    for range in sentence_ranges(text).into_iter().filter(|range| range.len() <= QUOTE_BYTES_MAX) {
        let from = words.partition_point(|seen| seen.word.range.start < range.start);
        let to = words.partition_point(|seen| seen.word.range.end <= range.end);
        let inside = words.get(from..to).unwrap_or_default();
        let value = if question.form == Form::How {
            purpose(question, inside, context)
        } else {
            defined(analyzer, question, text, inside)
        };
        if let Some(value) = value.filter(|value| best.as_ref().is_none_or(|(known, _)| value > known)) {
            best = Some((value, range));
        }
    }
    best
}

/// Whether a sentence says how to do what is asked: all of the question is in it and its headings, and it begins with that purpose, or
/// has most of the question itself.
fn purpose(question: &Question, inside: &[Seen], context: u64) -> Option<f32> {
    let own = inside.iter().fold(0, |bits, seen| bits | seen.bits);
    if question.share(!(own | context)) > 0.0 {
        return None;
    }
    let begins = inside.first().is_some_and(|seen| words::is_purpose(&seen.word.lower))
        && inside.iter().take(1 + BEFORE_PURPOSE).any(|seen| seen.bits != 0);
    let says_more = inside.iter().filter(|seen| seen.bits == 0).count() >= SAYS_MORE;
    if begins && question.share(own) >= OWN {
        Some(PURPOSE)
    } else {
        (says_more && question.share(own) >= OWN_HOW).then_some(HEADED)
    }
}

/// Whether a sentence says what the terms of the question are.
fn defined(analyzer: &Analyzer, question: &Question, text: &str, inside: &[Seen]) -> Option<f32> {
    let word = |at: usize| inside.get(at).map_or("", |seen| seen.word.lower.as_str());
    let first = inside.iter().position(|seen| seen.bits != 0)?;
    let (mut bits, mut last) = (0, first);
    for (at, seen) in inside.iter().enumerate().skip(first) {
        let is_small = || terms_of(analyzer, &seen.word).is_empty();
        if words::is_copula(&seen.word.lower) || seen.bits == 0 && !is_small() {
            break;
        }
        bits |= seen.bits;
        if seen.bits != 0 {
            last = at;
        }
    }
    if question.share(!bits) > 0.0 || last + 2 >= inside.len() {
        return None;
    }
    let copula = words::is_copula(word(last + 1));
    if first <= BEFORE_DEFINED && copula {
        return Some(DEFINED[usize::from(words::is_article(word(last + 2)))]);
    }
    if first > 0 && words::is_copula(word(first - 1)) && words::is_condition(word(last + 1)) {
        return Some(DEFINED[0]);
    }
    if first == 1 && words::is_article(word(0)) && question.asked.len() > 1 {
        return Some(DEFINED[2]);
    }
    let after = text.get(inside[last].word.range.end..inside[last + 1].word.range.start)?;
    (after.trim_start().starts_with(':') && first > 0 && words::is_article(word(first - 1)))
        .then_some(DEFINED[2])
}
