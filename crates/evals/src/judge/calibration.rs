//! How far a judge agrees with people.

use serde::Serialize;

use super::{Judgement, Verdict};
use crate::stats::{Agreement, StatsError, kappa};

/// How far verdicts agree with labels of people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Cohen's κ with its interval. `None` when it is not defined: no verdicts, or everybody always said the same.
    pub agreement: Option<Agreement>,
    /// How many cases people labelled.
    pub labelled: usize,
    /// On how many of them there was no verdict. They are not in κ, and do not pass.
    pub no_verdict: usize,
}

/// Compares verdicts with labels: whether people said that the answer passes.
///
/// # Errors
/// When the confidence is not between 0 and 1.
pub fn calibrated<'a>(
    labelled: impl IntoIterator<Item = (bool, &'a Judgement<Verdict>)>,
    confidence: f64,
) -> Result<Calibration, StatsError> {
    let (mut pairs, mut no_verdict) = (Vec::new(), 0);
    for (label, judgement) in labelled {
        match &judgement.verdict {
            Ok(verdict) => pairs.push((label, *verdict == Verdict::Pass)),
            Err(_) => no_verdict += 1,
        }
    }
    let agreement = match kappa(&pairs, confidence) {
        Err(StatsError::NoCases) => None,
        found => found?,
    };
    Ok(Calibration { agreement, labelled: pairs.len() + no_verdict, no_verdict })
}
