//! How well a score tells good answers from bad ones.

use libm::sqrt;
use serde::Serialize;

use super::{
    Interval, StatsError, confident,
    special::{count, normal_quantile},
};

/// The area under the receiver operating characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RocAuc {
    /// The probability that a good answer scores higher than a bad one; equal scores count half. From 0 to 1.
    pub auc: f64,
    /// Its interval.
    pub interval: Interval,
}

/// The area under the ROC curve, by the ranks of Mann and Whitney, with the interval of Hanley and McNeil ("The meaning and use of the area
/// under a receiver operating characteristic (ROC) curve", 1982).
///
/// # Errors
/// When there are no good or no bad scores, one is not a number, or the confidence is not between 0 and 1.
pub fn roc_auc(good: &[f64], bad: &[f64], confidence: f64) -> Result<RocAuc, StatsError> {
    confident(confidence)?;
    if good.is_empty() || bad.is_empty() {
        return Err(StatsError::NoCases);
    }
    let mut all: Vec<(f64, bool)> =
        good.iter().map(|score| (*score, true)).chain(bad.iter().map(|score| (*score, false))).collect();
    if all.iter().any(|(score, _)| score.is_nan()) {
        return Err(StatsError::NotFinite { case: 0 });
    }
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wins, mut below) = (0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let good = count(equal.iter().filter(|(_, good)| *good).count());
        let bad = count(equal.len()) - good;
        wins += good * (below + bad / 2.0);
        below += bad;
    }
    let (good, bad) = (count(good.len()), count(bad.len()));
    let auc = wins / (good * bad);
    let (q1, q2) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let variance =
        (auc * (1.0 - auc) + (good - 1.0) * (q1 - auc * auc) + (bad - 1.0) * (q2 - auc * auc)) / (good * bad);
    let half = normal_quantile(0.5 + confidence / 2.0) * sqrt(variance.max(0.0));
    let interval = Interval { low: (auc - half).max(0.0), high: (auc + half).min(1.0), confidence };
    Ok(RocAuc { auc, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        // Of six pairs, 0.9 beats all three, 0.5 beats one and ties one: 4.5 / 6.
        let found = roc_auc(&[0.9, 0.5], &[0.1, 0.5, 0.7], 0.95).unwrap();
        assert!((found.auc - 4.5 / 6.0).abs() < 1e-12);
        assert_eq!(roc_auc(&[1.0, 0.8], &[0.1, 0.2], 0.95).unwrap().auc, 1.0);
        assert_eq!(roc_auc(&[0.0, -0.0], &[0.0], 0.95).unwrap().auc, 0.5);
        assert_eq!(roc_auc(&[], &[0.1], 0.95), Err(StatsError::NoCases));
    }
}
