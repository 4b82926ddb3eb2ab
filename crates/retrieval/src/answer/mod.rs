//! Answers that are quoted: the sentences that answer a question best, or a refusal with its reason.
//!
//! Every sentence of the best passages is judged by a few figures ([`Candidate::figures`]): how much of the question's weight it has,
//! whether it has a date where one is asked for, whether it denies what the question states, and so on. One logistic model ranks the sentences, a second says how likely
//! the best one is to be right. Below a threshold the answer is a refusal. [`MODEL`] contains the weights. Before that, the structure of
//! the passages may answer: a definition, or a section whose heading asks the same.

mod look;
mod model;
mod question;
mod structure;
mod tokens;
mod words;

use std::ops::Range;

pub use self::{
    look::{Candidate, FIGURES},
    model::{DOUBTS, MODEL, Model, doubts},
    question::{Question, TERMS_MAX},
    tokens::{Word, sentence_ranges, terms_of, words_of},
    words::denies,
};
use crate::text::Analyzer;

/// Passages that are looked at.
pub const PASSAGES_MAX: usize = 128;
/// Passages whose sentences are judged one by one. Those after them may answer by their structure, or with a statement.
const JUDGED: usize = 8;
/// Sentences that an answer quotes.
pub const QUOTES_MAX: usize = 3;
/// The longest sentence that is quoted, in bytes. Longer ones are tables or code without sentences.
const QUOTE_BYTES_MAX: usize = 1_500;
/// How much of the question another sentence must add to be quoted as well, as a share of its weight.
const ADDS: f32 = 0.15;

/// The confidence of an answer that a field states.
const STATED: f32 = 0.95;

/// A passage in which an answer may be.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What the passage belongs to: the title of the entry, its headings, its type, separated by `·`. It is never quoted.
    pub context: &'a str,
    /// The text that may be quoted.
    pub text: &'a str,
    /// How well the search found it.
    pub score: f32,
    /// Whether the text is one statement made of a field and its meaning (a price, a date). It is quoted whole, and only when it covers
    /// the whole question.
    pub statement: bool,
}

/// A quoted sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The number of the passage.
    pub passage: usize,
    /// The bytes of its text.
    pub range: Range<usize>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The question has no word that could be searched for.
    NoQuestion,
    /// Nothing was found.
    NothingFound,
    /// No sentence covers what is asked.
    NotCovered,
    /// No sentence has what is asked for: a number, a date, a name.
    NoSuchKind,
    /// What was found answers the question too weakly.
    Weak,
}

impl Refusal {
    /// The code of the refusal in answers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoQuestion => "no_question",
            Self::NothingFound => "nothing_found",
            Self::NotCovered => "not_covered",
            Self::NoSuchKind => "no_such_kind",
            Self::Weak => "weak_evidence",
        }
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The sentences that answer, the best first. Empty in a refusal.
    pub quotes: Vec<Quote>,
    /// How likely the best sentence is to answer the question, from 0 to 1. In a refusal it belongs to the sentence that was not good enough.
    pub confidence: f32,
    /// Why there is no answer.
    pub refusal: Option<(Refusal, String)>,
}

impl Outcome {
    fn refused(confidence: f32, refusal: Refusal, reason: String) -> Self {
        Self { quotes: Vec::new(), confidence, refusal: Some((refusal, reason)) }
    }
}

impl Model {
    /// All sentences of the passages, the best first.
    #[must_use]
    pub fn candidates(
        &self,
        analyzer: &Analyzer,
        question: &Question,
        evidence: &[Evidence<'_>],
    ) -> Vec<Candidate> {
        let looked_at = &evidence[..evidence.len().min(PASSAGES_MAX)];
        let best = looked_at.iter().map(|evidence| evidence.score).fold(0.0, f32::max);
        let mut all = Vec::new();
        for found in looked_at.iter().enumerate() {
            all.extend(look::candidates(analyzer, question, found, best));
        }
        all.retain(|candidate| candidate.range.len() <= QUOTE_BYTES_MAX);
        for candidate in &mut all {
            candidate.score = self.rank(&candidate.figures);
        }
        all.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then((a.passage, a.range.start).cmp(&(b.passage, b.range.start)))
        });
        all
    }

    /// Answers a question from passages, the best first.
    #[must_use]
    pub fn answer(&self, analyzer: &Analyzer, question: &Question, evidence: &[Evidence<'_>]) -> Outcome {
        if question.is_empty() {
            let reason = "The question has no word to search for.".to_owned();
            return Outcome::refused(0.0, Refusal::NoQuestion, reason);
        }
        let mut candidates = self.candidates(analyzer, question, evidence);
        let text = |at: &usize| !evidence[*at].statement;
        let beyond = (0..evidence.len()).filter(text).nth(JUDGED).unwrap_or(evidence.len());
        let stated = stated(question, evidence, &candidates);
        if !stated.is_empty() {
            return Outcome { quotes: stated, confidence: STATED, refusal: None };
        }
        candidates.retain(|candidate| !evidence[candidate.passage].statement);
        let looked_at = &evidence[..evidence.len().min(PASSAGES_MAX)];
        if let Some((quotes, confidence)) = structure::structured(analyzer, question, looked_at, &candidates)
        {
            return Outcome { quotes, confidence, refusal: None };
        }
        candidates.retain(|candidate| candidate.passage < beyond);
        let Some(best) = candidates.first() else {
            let reason = "Nothing released matches the question.".to_owned();
            return Outcome::refused(0.0, Refusal::NothingFound, reason);
        };
        let confidence = self.confidence(&doubts(question, &candidates));
        if confidence < self.threshold {
            let (refusal, reason) = why(question, best);
            return Outcome::refused(confidence, refusal, reason);
        }
        let quotes = quotes(question, &candidates);
        Outcome { quotes, confidence, refusal: None }
    }
}

/// Statements that say what is asked: with their context they cover the whole question, their own words cover a part of it, and they
/// have what the question expects. When several entries state it, all of them are quoted.
fn stated(question: &Question, evidence: &[Evidence<'_>], candidates: &[Candidate]) -> Vec<Quote> {
    let mut found: Vec<&Candidate> = candidates
        .iter()
        .filter(|candidate| evidence.get(candidate.passage).is_some_and(|found| found.statement))
        .filter(|c| {
            let says = c.covered != 0
                || question.how_much && words::has_amount(&evidence[c.passage].text[c.range.clone()]);
            c.kind && says && question.share(!c.around) <= 0.0
        })
        .collect();
    let most = found.iter().map(|candidate| question.share(candidate.covered)).fold(0.0, f32::max);
    found.retain(|candidate| question.share(candidate.covered) >= most);
    // Other numbers have the price in their description: what it includes, since when it applies.
    let amounts: Vec<&Candidate> = found
        .iter()
        .copied()
        .filter(|c| words::has_amount(&evidence[c.passage].text[c.range.clone()]))
        .collect();
    if question.asks_price() && !amounts.is_empty() {
        found = amounts;
    }
    found.sort_by_key(|candidate| candidate.passage);
    found.truncate(QUOTES_MAX);
    found.into_iter().map(|c| Quote { passage: c.passage, range: c.range.clone() }).collect()
}

/// The best sentence, and those after it that cover what it leaves open.
fn quotes(question: &Question, candidates: &[Candidate]) -> Vec<Quote> {
    let mut covered = 0;
    let mut out: Vec<Quote> = Vec::new();
    for candidate in candidates.iter().take(10) {
        let adds = question.share(candidate.covered & !covered);
        if !out.is_empty() && (adds < ADDS || candidate.score < candidates[0].score - 1.0) {
            continue;
        }
        covered |= candidate.covered;
        out.push(Quote { passage: candidate.passage, range: candidate.range.clone() });
        if out.len() == QUOTES_MAX {
            break;
        }
    }
    out
}

fn why(question: &Question, best: &Candidate) -> (Refusal, String) {
    let unknown = question.unknown();
    let quoted = |words: Vec<&str>| {
        words.iter().take(5).map(|word| format!("\u{201c}{word}\u{201d}")).collect::<Vec<_>>().join(", ")
    };
    if !unknown.is_empty() {
        return (Refusal::NotCovered, format!("Nothing released mentions {}.", quoted(unknown)));
    }
    if !best.kind
        && let Some(kind) = model::kind_of(question)
    {
        return (Refusal::NoSuchKind, format!("No sentence that was found gives {kind}."));
    }
    let missing: Vec<&str> = question.terms(!best.covered).map(|asked| asked.raw.as_str()).collect();
    if missing.is_empty() {
        return (Refusal::Weak, "What was found answers the question too weakly.".to_owned());
    }
    (Refusal::NotCovered, format!("The closest sentence says nothing about {}.", quoted(missing)))
}
