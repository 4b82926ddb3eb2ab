//! How far a judge agrees with people.

use crate::{
    stats::{StatsError, kappa},
    verdict::{Calibration, Judgement, Verdict},
};

/// Compares verdicts with labels: whether people said that the answer passes. `None`: nobody judged.
///
/// # Errors
/// When the confidence is not between 0 and 1.
pub fn calibrated<'a>(
    labelled: impl IntoIterator<Item = (bool, Option<&'a Judgement<Verdict>>)>,
    confidence: f64,
) -> Result<Calibration, StatsError> {
    let (mut pairs, mut no_verdict) = (Vec::new(), 0);
    for (label, judgement) in labelled {
        match judgement.map(|judgement| &judgement.verdict) {
            Some(Ok(verdict)) => pairs.push((label, *verdict == Verdict::Pass)),
            _ => no_verdict += 1,
        }
    }
    let agreement = match kappa(&pairs, confidence) {
        Err(StatsError::NoCases) => None,
        found => found?,
    };
    Ok(Calibration { agreement, labelled: pairs.len() + no_verdict, no_verdict })
}
