//! What judges say, and how far they agree with people.

use ashlar_gateway::price::Money;
use serde::{Deserialize, Serialize};

use crate::stats::Agreement;

/// A verdict by a rubric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer meets the rubric.
    Pass,
    /// It does not.
    Fail,
}

/// Why a judge gave no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoVerdict {
    /// A reply was not one of the verdicts that were asked for.
    #[error("The judge replied with something else than a verdict.")]
    Unreadable,
    /// The verdicts differ when positions are swapped, so the position decided.
    #[error("The judge changed its verdict when the texts were in another order.")]
    Inconsistent,
    /// The texts are longer than `judge::JUDGED_BYTES_MAX`.
    #[error("The texts are too long for the judge.")]
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
    /// What both questions cost.
    #[serde(default)]
    pub cost: Money,
}

impl<V> Judgement<V> {
    /// A verdict of the pinned prompt.
    #[must_use]
    pub fn of(verdict: Result<V, NoVerdict>, reason: String, prompt: &str, cost: Money) -> Self {
        Self { verdict, reason, prompt: prompt.to_owned(), cost }
    }
}

impl Judgement<Verdict> {
    /// Whether the answer passes. No verdict is not a pass.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.verdict == Ok(Verdict::Pass)
    }
}

/// How far verdicts agree with labels of people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Cohen's κ with its interval. `None` when it is not defined: no verdicts, or everybody always said the same.
    pub agreement: Option<Agreement>,
    /// How many cases people labelled.
    pub labelled: usize,
    /// On how many of them there was no verdict. They are not in κ, and do not pass.
    pub no_verdict: usize,
}

/// Who judged a run, and how far that judge agrees with people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedBy {
    /// The route of the judge.
    pub route: String,
    /// Its pinned prompt.
    pub prompt: String,
    /// The digest of this prompt.
    pub prompt_digest: String,
    /// How far it agrees with the labels of the suite; absent without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl JudgedBy {
    /// Who judged and how far that can be trusted, as a sentence.
    #[must_use]
    pub fn about(&self) -> String {
        let by = format!("Rubrics were judged by {} with {}", self.route, self.prompt);
        let Some(calibration) = &self.calibration else {
            return format!(
                "{by}. Nobody labelled answers, so it is unknown how far this agrees with people."
            );
        };
        let none = match calibration.no_verdict {
            0 => String::new(),
            n => format!(" {n} of them got no verdict."),
        };
        match &calibration.agreement {
            None => {
                format!("{by}. κ with people is not defined for the {} labels.{none}", calibration.labelled)
            }
            Some(agreement) => format!(
                "{by}. It agrees with people on {:.1} % of {} labels: κ {:.2} (95 % interval {:.2} to {:.2}).{none}",
                agreement.agreed * 100.0,
                agreement.cases,
                agreement.kappa,
                agreement.interval.low,
                agreement.interval.high,
            ),
        }
    }
}
