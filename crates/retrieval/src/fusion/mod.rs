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

pub use self::calibrate::calibrate;
use crate::{index::Hit, lexical::Lexical, vector::Vectors};

/// Dimensions of the vectors. Fewer tell topics apart better, more tell documents apart.
const DIMENSIONS: usize = 128;
/// How many of the best documents are looked at sentence by sentence.
const LOOKED_AT: usize = 100;
/// The most that the vector leg may weigh.
const VECTOR_MAX: f32 = 0.95;
/// What the vector leg weighs for a query that one document covers whole: enough to order what words cannot tell apart.
const VECTOR_MIN: f32 = 0.05;
/// What it weighs more for a query that nothing covers, where it is trusted.
const VECTOR_UNCOVERED: f32 = 1.5;
/// What neighbours pass on for such a query.
const NEIGHBOURS_UNCOVERED: f32 = 2.0;
/// How both grow with what is uncovered: slowly at first.
const UNCOVERED_POWER: f32 = 1.5;
/// What the best sentence of a document weighs.
const SENTENCE: f32 = 0.5;
/// How many of the best documents pass their scores on to their neighbours.
const PASS_ON: usize = 5;

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
        Self { dimensions: DIMENSIONS, trust: 0.5, questions: 0, quality: [0.0; 3] }
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

    fn trusted(&self, covered: f32) -> f32 {
        self.trust * (1.0 - covered).clamp(0.0, 1.0).powf(UNCOVERED_POWER)
    }
}

/// The better first; of equal ones that with the lower number.
fn in_order(a: &Hit, b: &Hit) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.document.cmp(&b.document))
}

/// The documents with the highest scores, the best first; of equal ones that with the lower number.
#[must_use]
pub fn best(scores: &[f32], limit: usize) -> Vec<Hit> {
    best_of(scores.iter().zip(0..).map(|(score, document)| Hit { document, score: *score }).collect(), limit)
}

/// The best of some hits, in order.
fn best_of(mut hits: Vec<Hit>, limit: usize) -> Vec<Hit> {
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

/// What neighbours pass on to a document: the mean closeness to the first few, weighed by their scores.
fn passed_on(vectors: &Vectors, first: &[Hit], document: u32) -> f32 {
    let total: f32 = first.iter().map(|hit| hit.score.max(0.0)).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let close = |hit: &Hit| vectors.closeness(hit.document, document).max(0.0) * hit.score.max(0.0);
    first.iter().map(close).sum::<f32>() / total
}

/// The best documents by both legs.
pub(crate) fn fuse(
    (lexical, vectors): (&Lexical, &Vectors),
    query: &[(u32, u32)],
    mut words: Vec<f32>,
    mut meaning: Vec<f32>,
    calibration: &Calibration,
    limit: usize,
) -> Vec<Hit> {
    let covered = best(&words, 1).first().map_or(0.0, |top| lexical.coverage(query, top.document).0);
    let weight = calibration.vector_weight(covered);
    scaled(&mut words);
    scaled(&mut meaning);
    for (word, meaning) in words.iter_mut().zip(&meaning) {
        *word = (1.0 - weight) * *word + weight * *meaning;
    }
    let mut hits = best(&words, limit.max(LOOKED_AT));
    let looked_at = hits.len().min(LOOKED_AT);
    let near = &mut hits[..looked_at];
    for hit in &mut *near {
        hit.score += SENTENCE * lexical.coverage(query, hit.document).1;
    }
    near.sort_unstable_by(in_order);
    let first: Vec<Hit> = near.iter().take(PASS_ON).copied().collect();
    let weight = calibration.neighbour_weight(covered);
    for hit in &mut *near {
        hit.score += weight * passed_on(vectors, &first, hit.document);
    }
    near.sort_unstable_by(in_order);
    hits.truncate(limit);
    hits
}
