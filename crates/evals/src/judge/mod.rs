//! Verdicts of a model: whether an answer meets a rubric, and which of two answers is better.
//!
//! A judge is asked twice, with positions swapped. Only two verdicts that agree count; everything else is no verdict, and no verdict is
//! never a pass. Texts of cases and answers are data for the judge: they are between marks that they cannot contain.
//! [`calibrated`] says how far verdicts agree with labels of people, and belongs beside every figure that a judge made.

mod calibration;
mod prompt;
mod reading;

use serde::{Deserialize, Serialize};

pub use self::{
    calibration::{Calibration, calibrated},
    prompt::{JUDGED_BYTES_MAX, VERSION, digest},
    reading::REPLY_BYTES_MAX,
};
use self::{
    prompt::{Order, preference_messages, rubric_messages},
    reading::{reading, said},
};
use crate::{reply::Unasked, suite::Message};

/// Whoever is asked for verdicts: a route of the gateway with fixed parameters, or a recording.
pub trait Judge: Send + Sync {
    /// Asks once; the text of the reply.
    fn ask(&self, messages: &[Message]) -> impl Future<Output = Result<String, Unasked>> + Send;
}

/// What is judged by a rubric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<'a> {
    /// The question of the case.
    pub question: &'a str,
    /// What a good answer is.
    pub rubric: &'a str,
    /// The answer.
    pub answer: &'a str,
}

/// A verdict by a rubric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer meets the rubric.
    Pass,
    /// It does not.
    Fail,
}

/// Which of two answers is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The answer of the baseline.
    Baseline,
    /// The answer of the candidate.
    Candidate,
    /// Neither.
    Tie,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoVerdict {
    /// The judge could not be asked.
    Unasked(Unasked),
    /// A reply was not one of the verdicts that were asked for.
    Unreadable,
    /// The verdicts differ when positions are swapped, so the position decided.
    Inconsistent,
    /// The texts are longer than [`JUDGED_BYTES_MAX`].
    TooLong,
}

/// A verdict with its reason, or why the judge gave no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement<V> {
    /// The verdict, or why the judge gave no verdict.
    pub verdict: Result<V, NoVerdict>,
    /// What the judge wrote as its reason, cut to 1,000 characters. Text of a model: escape it.
    pub reason: String,
    /// The version of the judge's prompt.
    pub prompt: String,
}

impl<V> Judgement<V> {
    fn of(verdict: Result<V, NoVerdict>, reason: String) -> Self {
        Self { verdict, reason, prompt: VERSION.to_owned() }
    }
}

impl Judgement<Verdict> {
    /// Whether the answer passes. No verdict is not a pass.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.verdict == Ok(Verdict::Pass)
    }
}

/// Asks whether an answer meets a rubric, once with each order of the verdicts and of the texts.
pub async fn by_rubric<J: Judge>(judge: &J, judged: Judged<'_>) -> Judgement<Verdict> {
    let of = |order| rubric_messages(judged.question, judged.rubric, judged.answer, order);
    let read = |text: &str| {
        said(text, &[("pass", Verdict::Pass), ("fail", Verdict::Fail)])
            .map(|verdict| (verdict, reading(text)))
    };
    twice(judge, of, |_, text| read(text)).await
}

/// Asks which of two answers is better by a rubric, once with each of them first.
pub async fn preferred<J: Judge>(
    judge: &J,
    question: &str,
    rubric: &str,
    baseline: &str,
    candidate: &str,
) -> Judgement<Preference> {
    let of = |order| preference_messages(question, rubric, baseline, candidate, order);
    twice(judge, of, |order, text| {
        let (first, second) = match order {
            Order::AsGiven => (Preference::Baseline, Preference::Candidate),
            Order::Swapped => (Preference::Candidate, Preference::Baseline),
        };
        let verdict = said(text, &[("first", first), ("second", second), ("tie", Preference::Tie)])?;
        Some((verdict, reading(text)))
    })
    .await
}

async fn twice<J: Judge, V: Copy + PartialEq>(
    judge: &J,
    messages: impl Fn(Order) -> Option<Vec<Message>>,
    read: impl Fn(Order, &str) -> Option<(V, String)>,
) -> Judgement<V> {
    let mut found: Option<(V, String)> = None;
    for order in [Order::AsGiven, Order::Swapped] {
        let Some(messages) = messages(order) else {
            return Judgement::of(Err(NoVerdict::TooLong), String::new());
        };
        let text = match judge.ask(&messages).await {
            Ok(text) => text,
            Err(error) => return Judgement::of(Err(NoVerdict::Unasked(error)), String::new()),
        };
        let Some((verdict, reason)) = read(order, &text) else {
            return Judgement::of(Err(NoVerdict::Unreadable), String::new());
        };
        match &found {
            Some((first, _)) if *first != verdict => {
                return Judgement::of(Err(NoVerdict::Inconsistent), reason);
            }
            Some(_) => {}
            None => found = Some((verdict, reason)),
        }
    }
    match found {
        Some((verdict, reason)) => Judgement::of(Ok(verdict), reason),
        None => Judgement::of(Err(NoVerdict::Unreadable), String::new()),
    }
}

#[cfg(test)]
mod tests;
