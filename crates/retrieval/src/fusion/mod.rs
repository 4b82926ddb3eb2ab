//! Both legs together.
//!
//! A document's score is `(1 - w)·lexical + w·vector`, both brought to the range from 0 to 1 over all documents. Fixed weights lose: how
//! much the vector leg helps depends on the corpus and on the query. So `w` grows with what the best lexical match leaves uncovered of
//! the query, and with how well vectors answer the questions that the corpus asks itself ([`calibrate`]).
//!
//! The first hundred are then looked at more closely:
//!
//! - A document answers better when one sentence has most of the query than when its words are scattered. It gets the share of the
//!   query's weight that its best sentence has.
//! - Documents about the same answer the same queries (the cluster hypothesis), the more so the less the words tell. Each document
//!   gets a part of the scores of the first few, by how close it is to them (Diaz, "Regularizing Ad Hoc Retrieval Scores", 2005).

mod calibrate;
mod questions;

use serde::{Deserialize, Serialize};

pub(crate) use self::calibrate::{calibrate, learn};

/// Dimensions of the vectors. Fewer tell topics apart better, more tell documents apart.
const DIMENSIONS: usize = 128;
/// How many of the best documents are looked at sentence by sentence.
pub(crate) const LOOKED_AT: usize = 100;
/// The most that the vector leg may weigh.
const VECTOR_MAX: f32 = 0.95;
/// What the vector leg weighs for a query that one document covers whole: enough to order what words cannot tell apart.
const VECTOR_MIN: f32 = 0.03;
/// What it weighs more for a query that nothing covers, where it is trusted.
const VECTOR_UNCOVERED: f32 = 2.0;
/// What neighbours pass on for such a query.
const NEIGHBOURS_UNCOVERED: f32 = 2.7;
/// How both grow with what is uncovered: slowly at first.
const UNCOVERED_POWER: f32 = 2.5;
/// What the best sentence of a document weighs.
pub(crate) const SENTENCE: f32 = 0.4;
/// How many of the best documents pass their scores on to their neighbours.
pub(crate) const PASS_ON: usize = 5;

/// How the legs are weighed in one corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Dimensions of the vectors.
    pub dimensions: usize,
    /// How far the vector leg is trusted, from 0 to 1.
    pub trust: f32,
    /// How many questions it was learned from; 0 when the corpus gives none and the default is used.
    pub questions: usize,
    /// nDCG@10 over those questions: with words alone, with vectors alone, and fused.
    pub quality: [f32; 3],
}

impl Default for Calibration {
    fn default() -> Self {
        Self { dimensions: DIMENSIONS, trust: 0.6, questions: 0, quality: [0.0; 3] }
    }
}

impl Calibration {
    /// What the vector leg weighs for a query of which the best lexical match covers this share.
    #[must_use]
    pub fn vector_weight(&self, covered: f32) -> f32 {
        (VECTOR_MIN + VECTOR_UNCOVERED * self.trusted(covered)).min(VECTOR_MAX)
    }

    /// What neighbours pass on for a query of which the best lexical match covers this share.
    #[must_use]
    pub fn neighbour_weight(&self, covered: f32) -> f32 {
        NEIGHBOURS_UNCOVERED * self.trusted(covered)
    }

    /// Whether its numbers are in their ranges.
    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.trust)
            && self.dimensions <= 4_096
            && self.quality.iter().all(|quality| (0.0..=1.0).contains(quality))
    }

    fn trusted(&self, covered: f32) -> f32 {
        self.trust * (1.0 - covered).clamp(0.0, 1.0).powf(UNCOVERED_POWER)
    }
}

/// A text with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scored {
    pub text: u32,
    pub score: f32,
}

/// The better first; of equal ones that with the lower number.
pub(crate) fn in_order(a: &Scored, b: &Scored) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.text.cmp(&b.text))
}

/// The texts with the highest scores, the best first; of equal ones that with the lower number.
fn best(scores: &[f32], limit: usize) -> Vec<Scored> {
    best_of(scores.iter().zip(0..).map(|(score, text)| Scored { text, score: *score }).collect(), limit)
}

/// The best of some texts, in order.
pub(crate) fn best_of(mut hits: Vec<Scored>, limit: usize) -> Vec<Scored> {
    if limit == 0 {
        return Vec::new();
    }
    if hits.len() > limit {
        hits.select_nth_unstable_by(limit - 1, in_order);
        hits.truncate(limit);
    }
    hits.sort_unstable_by(in_order);
    hits
}

/// Brings scores to the range from 0 to 1.
fn scaled(scores: &mut [f32]) {
    let (low, high) =
        scores.iter().fold((f32::MAX, f32::MIN), |(low, high), score| (low.min(*score), high.max(*score)));
    let range = high - low;
    for score in scores {
        *score = if range > 0.0 { (*score - low) / range } else { 0.0 };
    }
}

/// What neighbours pass on to a text: the mean closeness to the first few, weighed by their scores.
pub(crate) fn passed_on(first: &[Scored], closeness: impl Fn(usize) -> f32) -> f32 {
    let total: f32 = first.iter().map(|hit| hit.score.max(0.0)).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let close = |(number, hit): (usize, &Scored)| closeness(number).max(0.0) * hit.score.max(0.0);
    first.iter().enumerate().map(close).sum::<f32>() / total
}
