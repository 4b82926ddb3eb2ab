//! Both legs together.
//!
//! A document's score is `(1 - w)·(lexical + sentence) + w·vector`, each brought to the range from 0 to 1 over all documents. Fixed weights
//! lose: how much the vector leg helps depends on the corpus and on the query. Two things that are known before anybody judges an
//! answer tell most of it:
//!
//! - How far the first vectors stand out from the tenth. Where they do not, they say little, and how little is learned from
//!   questions that the corpus asks itself ([`calibrate`]): the quality of the vectors as a share of the quality of the words. Below one
//!   half, vectors only order what words cannot tell apart.
//! - What the best lexical match leaves uncovered of the query. The more, the more vectors count.
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
/// What the vector leg always weighs: enough to order what words cannot tell apart.
const VECTOR_MIN: f32 = 0.005;
/// What it weighs more where it is trusted.
const VECTOR_TRUSTED: f32 = 0.12;
/// What it weighs more where it is trusted and the query is uncovered.
const VECTOR_UNCOVERED: f32 = 0.7;
/// What neighbours pass on where vectors are trusted.
const NEIGHBOURS_TRUSTED: f32 = 0.4;
/// What they pass on more where vectors are trusted and the query is uncovered.
const NEIGHBOURS_UNCOVERED: f32 = 4.0;
/// How both grow with what is uncovered: slowly at first.
const UNCOVERED_POWER: f32 = 2.75;
/// How both grow with the trust, for any query and for one that is uncovered.
const TRUST_POWERS: [f32; 2] = [1.5, 3.0];
/// Vectors with less than this share of the quality of the words are not trusted; those that equal the words are trusted fully.
const TRUST_FROM: f32 = 0.5;
/// The quality of vectors as a share of that of the words, by how far the first stand out: what is usual.
const USUAL: [[f32; 2]; 5] = [[0.05, 0.35], [0.1, 0.5], [0.2, 0.7], [0.3, 0.85], [0.45, 0.95]];
/// What the best sentence of a document weighs beside its words.
const SENTENCE: f32 = 0.25;
/// The first vectors are compared with the one at this rank.
pub(crate) const STANDS_OUT_AT: usize = 10;
/// Points of a curve that is learned.
const CURVE_MAX: usize = 5;
/// Vectors that are better than this share of the words' quality count as so good.
const QUALITY_MAX: f32 = 1.3;
/// How many of the best documents pass their scores on to their neighbours.
pub(crate) const PASS_ON: usize = 5;

/// How the legs are weighed in one corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Dimensions of the vectors.
    pub dimensions: usize,
    /// How far the vector leg is trusted, from 0 to 1: the mean over the questions.
    pub trust: f32,
    /// How many questions it was learned from; 0 when the corpus gives none and the default is used.
    pub questions: usize,
    /// nDCG@10 over those questions: with words alone, with vectors alone, and fused.
    pub quality: [f32; 3],
    /// The quality of the vectors as a share of that of the words, by how far the first vectors stand out, both rising. Empty when there
    /// are too few questions; then what is usual counts.
    #[serde(default)]
    pub curve: Vec<[f32; 2]>,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { dimensions: DIMENSIONS, trust: 0.6, questions: 0, quality: [0.0; 3], curve: Vec::new() }
    }
}

/// What is known of a query before its documents are ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signs {
    /// The share of the query's weight that the best lexical match covers.
    pub covered: f32,
    /// How far the first vector is above the tenth, as a share of the range of all.
    pub stands_out: f32,
}

/// How a query is fused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// What the vector leg weighs.
    pub vector: f32,
    /// What neighbours pass on.
    pub neighbours: f32,
    /// What the best sentence of a document weighs.
    pub sentence: f32,
}

impl Weights {
    /// Without vectors.
    pub(crate) const WORDS: Self = Self { vector: 0.0, neighbours: 0.0, sentence: SENTENCE };
}

impl Calibration {
    /// How a query is fused.
    #[must_use]
    pub fn weights(&self, signs: Signs) -> Weights {
        let trust = self.trust_in(signs.stands_out);
        let uncovered =
            (1.0 - signs.covered).clamp(0.0, 1.0).powf(UNCOVERED_POWER) * trust.powf(TRUST_POWERS[1]);
        let trusted = trust.powf(TRUST_POWERS[0]);
        let vector = (VECTOR_MIN + VECTOR_TRUSTED * trusted + VECTOR_UNCOVERED * uncovered).min(VECTOR_MAX);
        Weights {
            vector,
            neighbours: NEIGHBOURS_TRUSTED * trusted + NEIGHBOURS_UNCOVERED * uncovered,
            sentence: SENTENCE * (1.0 - vector),
        }
    }

    /// How far vectors are trusted of which the first stand out so far, from 0 to 1.
    fn trust_in(&self, stands_out: f32) -> f32 {
        let curve = if self.curve.is_empty() { &USUAL } else { self.curve.as_slice() };
        ((between(curve, stands_out) - TRUST_FROM) / (1.0 - TRUST_FROM)).clamp(0.0, 1.0)
    }

    /// Whether its numbers are in their ranges.
    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.trust)
            && self.dimensions <= 4_096
            && self.quality.iter().all(|quality| (0.0..=1.0).contains(quality))
            && self.curve.len() <= CURVE_MAX
            && self.curve.iter().all(|[at, quality]| at.is_finite() && (0.0..=QUALITY_MAX).contains(quality))
            && self.curve.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1])
    }
}

/// A curve at a place: straight between its points, level before the first and after the last.
fn between(curve: &[[f32; 2]], at: f32) -> f32 {
    let after = curve.partition_point(|point| point[0] <= at);
    match (after.checked_sub(1).and_then(|before| curve.get(before)), curve.get(after)) {
        (Some(before), Some(next)) => {
            let share = (at - before[0]) / (next[0] - before[0]).max(f32::MIN_POSITIVE);
            before[1] + share * (next[1] - before[1])
        }
        (Some(only), None) | (None, Some(only)) => only[1],
        (None, None) => 0.0,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors that hardly stand out only order what words cannot tell apart; those that stand out weigh more, and the more of the query is
    /// uncovered the more.
    #[test]
    fn vectors_weigh_what_they_are_worth() {
        let learned =
            Calibration { curve: vec![[0.1, 0.3], [0.3, 0.9], [0.3, 1.1]], ..Calibration::default() };
        assert!(learned.is_sound());
        let weights = |covered, stands_out| learned.weights(Signs { covered, stands_out });
        assert_eq!(
            weights(0.2, 0.05),
            Weights { vector: VECTOR_MIN, neighbours: 0.0, sentence: SENTENCE * (1.0 - VECTOR_MIN) }
        );
        let rising =
            [weights(1.0, 0.1), weights(1.0, 0.25), weights(1.0, 0.9), weights(0.5, 0.9), weights(0.0, 0.9)];
        for pair in rising.windows(2) {
            assert!(pair[0].vector < pair[1].vector && pair[0].neighbours < pair[1].neighbours, "{pair:?}");
        }
        assert!(rising.iter().all(|weights| weights.vector <= VECTOR_MAX && weights.sentence >= 0.0));
        for bad in
            [vec![[0.1, 0.5]; 6], vec![[f32::NAN, 0.5]], vec![[0.2, 0.5], [0.1, 0.6]], vec![[0.1, -1.0]]]
        {
            assert!(!Calibration { curve: bad.clone(), ..Calibration::default() }.is_sound(), "{bad:?}");
        }
    }

    #[test]
    fn a_curve_is_straight_between_its_points() {
        let at = |place| between(&[[0.1, 0.2], [0.2, 0.4], [0.2, 0.6], [0.4, 1.0]], place);
        for (place, expect) in [(-1.0, 0.2), (0.1, 0.2), (0.15, 0.3), (0.2, 0.6), (0.3, 0.8), (9.0, 1.0)] {
            assert!((at(place) - expect).abs() < 1e-6, "{place}: {}", at(place));
        }
        assert!(between(&[], 0.5).abs() < 1e-6);
    }
}
