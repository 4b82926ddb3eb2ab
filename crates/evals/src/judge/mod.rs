//! Verdicts of a model: whether an answer meets a rubric, and which of two answers is better.
//!
//! A judge is asked twice, with positions swapped. Only two verdicts that agree count; everything else is no verdict, and no verdict is
//! never a pass. Texts of cases and answers are data for the judge: they are between marks that they cannot contain.
//! [`calibrated`] says how far verdicts agree with labels of people, and belongs beside every figure that a judge made.

mod calibration;
mod judging;
mod prompt;
mod reading;

use ashlar_gateway::price::Money;
use serde::{Deserialize, Serialize};

pub use self::{
    calibration::calibrated,
    judging::{Judging, calibrate, setting},
    prompt::{JUDGED_BYTES_MAX, VERSION, digest},
    reading::REPLY_BYTES_MAX,
};
use self::{
    prompt::{Order, preference_messages, rubric_messages},
    reading::{reading, said},
};
pub use crate::verdict::{Calibration, JudgedBy, Judgement, NoVerdict, Verdict};
use crate::{reply::Unasked, suite::Message};

/// Whoever is asked for verdicts: a route of the gateway with fixed parameters, or a recording.
pub trait Judge: Send + Sync {
    /// Asks once.
    fn ask(&self, messages: &[Message]) -> impl Future<Output = Result<Said, Unasked>> + Send;
}

/// What a judge said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The text of its reply.
    pub text: String,
    /// What the reply cost.
    pub cost: Money,
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

/// Asks whether an answer meets a rubric, once with each order of the verdicts and of the texts.
///
/// # Errors
/// When the judge cannot be asked.
pub async fn by_rubric<J: Judge>(judge: &J, judged: Judged<'_>) -> Result<Judgement<Verdict>, Unasked> {
    let of = |order| rubric_messages(judged.question, judged.rubric, judged.answer, order);
    let read = |text: &str| {
        said(text, &[("pass", Verdict::Pass), ("fail", Verdict::Fail)])
            .map(|verdict| (verdict, reading(text)))
    };
    twice(judge, of, |_, text| read(text)).await
}

/// Asks which of two answers is better by a rubric, once with each of them first.
///
/// # Errors
/// When the judge cannot be asked.
pub async fn preferred<J: Judge>(
    judge: &J,
    question: &str,
    rubric: &str,
    baseline: &str,
    candidate: &str,
) -> Result<Judgement<Preference>, Unasked> {
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
) -> Result<Judgement<V>, Unasked> {
    let of = |verdict, reason, cost| Ok(Judgement::of(verdict, reason, VERSION, cost));
    let mut found: Option<(V, String)> = None;
    let mut cost = Money::ZERO;
    for order in [Order::AsGiven, Order::Swapped] {
        let Some(messages) = messages(order) else {
            return of(Err(NoVerdict::TooLong), String::new(), cost);
        };
        let said = judge.ask(&messages).await?;
        cost = cost.plus(said.cost);
        let Some((verdict, reason)) = read(order, &said.text) else {
            return of(Err(NoVerdict::Unreadable), String::new(), cost);
        };
        match &found {
            Some((first, _)) if *first != verdict => {
                return of(Err(NoVerdict::Inconsistent), reason, cost);
            }
            Some(_) => {}
            None => found = Some((verdict, reason)),
        }
    }
    match found {
        Some((verdict, reason)) => of(Ok(verdict), reason, cost),
        None => of(Err(NoVerdict::Unreadable), String::new(), cost),
    }
}

#[cfg(test)]
mod tests;
