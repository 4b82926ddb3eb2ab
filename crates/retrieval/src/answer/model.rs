//! What each figure weighs.
//!
//! The weights were fitted by `cargo xtask bench answers --fit` on eight of the sixteen articles of SQuAD 2.0's development set (logistic
//! regression with a ridge penalty). The benchmark measures on the other eight.

use super::{Candidate, FIGURES, Question, words::Expects};

/// How many figures say whether the best sentence is right.
pub const DOUBTS: usize = FIGURES + 15;

/// What the figures weigh.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What each figure of a sentence weighs for its place among the sentences.
    pub rank: [f32; FIGURES],
    /// What each doubt weighs for the confidence.
    pub confidence: [f32; DOUBTS],
    /// Below this confidence an answer is refused.
    pub threshold: f32,
}

/// The weights that answers use.
pub const MODEL: Model = Model {
    rank: [
        -8.757, 2.661, -0.935, -3.092, 0.624, 1.235, 0.515, -0.297, 0.881, -0.402, 0.225, 4.660, 1.533,
        -0.181, -0.177, 0.444, -0.352, 0.588, -0.833, -0.577, -0.083,
    ],
    confidence: [
        -2.849, 0.149, -0.116, 0.038, 0.182, 0.227, 0.252, 0.227, 0.481, -0.655, 0.468, 0.018, -0.809,
        -0.985, -0.109, -1.320, -0.287, -0.257, 0.326, -0.770, -0.294, 0.266, 0.421, -0.797, 0.477, 0.948,
        0.382, -1.749, 0.097, 1.303, -0.059, 0.095, -0.115, 0.324, 0.233, 0.241,
    ],
    threshold: 0.42,
};

impl Model {
    /// How well a sentence answers, by its figures.
    #[must_use]
    pub fn rank(&self, figures: &[f32; FIGURES]) -> f32 {
        dot(figures, &self.rank)
    }

    /// How likely the best sentence is right.
    #[must_use]
    pub fn confidence(&self, doubts: &[f32; DOUBTS]) -> f32 {
        1.0 / (1.0 + (-dot(doubts, &self.confidence)).exp())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What says whether the best of these candidates is right. There is at least one.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "at most 64 terms")]
pub fn doubts(question: &Question, candidates: &[Candidate]) -> [f32; DOUBTS] {
    let mut out = [0.0; DOUBTS];
    let Some(best) = candidates.first() else { return out };
    out[..FIGURES].copy_from_slice(&best.figures);
    let next = candidates.get(1).map_or(0.0, |next| best.score - next.score);
    let elsewhere = candidates.iter().find(|other| other.passage != best.passage);
    let heaviest = question.asked.iter().map(|asked| asked.weight).fold(0.1, f32::max);
    let missing = question.terms(!best.covered).map(|asked| asked.weight).fold(0.0, f32::max);
    let absent = question.terms(!best.around).map(|asked| asked.weight).fold(0.0, f32::max);
    let unknown: f32 = question.asked.iter().filter(|asked| !asked.known).map(|asked| asked.weight).sum();
    let is = |kind: Expects| f32::from(u8::from(question.expects == kind));
    out[FIGURES..].copy_from_slice(&[
        next.min(3.0),
        elsewhere.map_or(3.0, |other| best.score - other.score).clamp(-3.0, 3.0),
        missing / heaviest,
        absent / heaviest,
        question.share_of(best.around, |asked| asked.name),
        question.share_of(best.around, |asked| asked.digits),
        f32::from(u8::from(question.negated)),
        unknown / question.mass.max(0.1),
        question.asked.len() as f32 / 10.0,
        is(Expects::Number),
        is(Expects::Time),
        is(Expects::Name),
        is(Expects::Place),
        is(Expects::Reason),
        best.score,
    ]);
    out
}

/// What a question expects, in words.
pub(super) const fn kind_of(question: &Question) -> Option<&'static str> {
    match question.expects {
        Expects::Anything => None,
        Expects::Number => Some("a number"),
        Expects::Time => Some("a date"),
        Expects::Name => Some("a name"),
        Expects::Place => Some("a place"),
        Expects::Reason => Some("a reason"),
    }
}
