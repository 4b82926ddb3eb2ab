//! Metrics: each is a pure function of a case and its reply. None of them asks a model.

mod all;
mod citations;
mod contract;
mod facts;
mod forbidden;
mod groundedness;
mod injection;
mod patterns;
mod pii;
mod refusal;
mod relevance;
mod rubric;
mod score;
mod toxicity;
mod usage;
mod wording;

pub use crate::figures::{Better, Metric, Unit};

pub(crate) use self::injection::TAG as INJECTION_TAG;
pub use self::{
    all::{Judge, Scores, passes},
    score::Score,
};
