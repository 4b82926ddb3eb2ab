//! The verdict of a comparison, per metric.

use serde::Serialize;

use super::{
    Bootstrap, Difference, McNemar, PairedCase, StatsError, detectable, difference, mcnemar_of,
    special::count,
};

use crate::metric::Better;

/// How a metric is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Which direction is better.
    pub better: Better,
    /// A difference smaller than this does not matter, in units of the metric. Not negative; 0 when every difference matters.
    pub margin: f64,
    /// The power of the minimum detectable effect; 0.8 is usual.
    pub power: f64,
    /// How the interval is made.
    pub bootstrap: Bootstrap,
}

impl Default for Rule {
    fn default() -> Self {
        Self { better: Better::Higher, margin: 0.0, power: 0.8, bootstrap: Bootstrap::default() }
    }
}

/// What a comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate is worse, by more than chance. A gate fails.
    Regressed,
    /// The candidate is better, by more than chance.
    Improved,
    /// Any difference is smaller than the margin.
    NoDifference,
    /// Too few cases, or too much noise, to say. More cases or samples would.
    Inconclusive,
}

/// A compared metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// The verdict.
    pub verdict: Verdict,
    /// Candidate less baseline, with its interval. Not turned for metrics of which lower is better.
    pub difference: Difference,
    /// Whether the candidate is not worse by more than the margin, by more than chance. An inconclusive comparison may still show this.
    pub not_worse: bool,
    /// How many cases were compared.
    pub cases: usize,
    /// How many of them scored differently.
    pub differing: usize,
    /// The minimum detectable effect at the power of the rule. `None` when the cases do not show how much they vary.
    pub detectable: Option<f64>,
    /// McNemar's test, when every score is 0 or 1 and each case has one sample.
    pub mcnemar: Option<McNemar>,
}

/// Compares one metric of two runs, by case.
///
/// With the interval turned so that up is better, the margin `m` and the interval from `low` to `high`:
///
/// | condition, the first that is true | verdict |
/// | --- | --- |
/// | `low ≥ -m` and `high ≤ m` | no difference |
/// | `high < 0`, and the difference is significant | regressed |
/// | `low > 0`, and the difference is significant | improved |
/// | otherwise | inconclusive |
///
/// Bootstrap intervals are too narrow for few cases: when all of three cases break, every resample says so. A difference is therefore
/// significant only when a sign test could show it as well: `2 · 0.5^differing` must not exceed `1 - confidence`, which takes six differing
/// cases at 0.95. For verdicts of pass and fail with one sample each and equal weights, the mid-p value of McNemar's test must not exceed it
/// either.
///
/// # Errors
/// As for [`difference`], and when the margin is negative or not a number.
pub fn compare(cases: &[PairedCase], rule: Rule) -> Result<Comparison, StatsError> {
    if !(rule.margin >= 0.0 && rule.margin.is_finite()) {
        return Err(StatsError::NotFinite { case: 0 });
    }
    let difference = difference(cases, rule.bootstrap)?;
    let level = 1.0 - rule.bootstrap.confidence;
    let differing = cases.iter().filter(|case| case.weight > 0.0 && case.difference() != 0.0).count();
    let mcnemar = binary(cases);
    let could_show = 2.0 * 0.5_f64.powf(count(differing)) <= level;
    let even = cases.iter().all(|case| case.weight == cases[0].weight);
    let significant = could_show && mcnemar.is_none_or(|test| !even || test.p_mid <= level);
    let (low, high) = match rule.better {
        Better::Higher => (difference.interval.low, difference.interval.high),
        Better::Lower => (-difference.interval.high, -difference.interval.low),
    };
    let verdict = if low >= -rule.margin && high <= rule.margin {
        Verdict::NoDifference
    } else if high < 0.0 && significant {
        Verdict::Regressed
    } else if low > 0.0 && significant {
        Verdict::Improved
    } else {
        Verdict::Inconclusive
    };
    Ok(Comparison {
        verdict,
        difference,
        not_worse: low >= -rule.margin,
        cases: cases.len(),
        differing,
        detectable: detectable(cases, rule.bootstrap.confidence, rule.power)?,
        mcnemar,
    })
}

fn binary(cases: &[PairedCase]) -> Option<McNemar> {
    let verdict = |scores: &[f64]| match scores {
        [score] if *score == 0.0 || *score == 1.0 => Some(*score == 1.0),
        _ => None,
    };
    let pairs: Option<Vec<(bool, bool)>> =
        cases.iter().map(|case| Some((verdict(&case.baseline)?, verdict(&case.candidate)?))).collect();
    pairs.map(mcnemar_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(both: usize, broken: usize, fixed: usize) -> Vec<PairedCase> {
        let of = |n: usize, baseline: f64, candidate: f64| vec![PairedCase::once(baseline, candidate); n];
        [of(both, 1.0, 1.0), of(broken, 1.0, 0.0), of(fixed, 0.0, 1.0)].concat()
    }

    fn verdict(cases: &[PairedCase], margin: f64) -> Verdict {
        compare(cases, Rule { margin, ..Rule::default() }).unwrap().verdict
    }

    #[test]
    fn noise_is_not_a_regression() {
        assert_eq!(verdict(&passes(200, 0, 0), 0.0), Verdict::NoDifference);
        assert_eq!(verdict(&passes(80, 20, 2), 0.0), Verdict::Regressed);
        assert_eq!(verdict(&passes(80, 2, 20), 0.0), Verdict::Improved);
        assert_eq!(verdict(&passes(80, 9, 7), 0.0), Verdict::Inconclusive);
        assert_eq!(verdict(&passes(480, 4, 4), 0.05), Verdict::NoDifference);
    }

    #[test]
    fn three_broken_cases_of_three_prove_nothing_yet() {
        let found = compare(&passes(0, 3, 0), Rule::default()).unwrap();
        // Every resample says that all broke.
        assert_eq!((found.difference.interval.low, found.difference.interval.high), (-1.0, -1.0));
        assert_eq!((found.verdict, found.not_worse), (Verdict::Inconclusive, false));
        assert_eq!(verdict(&passes(0, 6, 0), 0.0), Verdict::Regressed);
    }

    #[test]
    fn a_significant_difference_within_the_margin_does_not_matter() {
        // 10 of 1,000 cases broke: significant, and surely less than 5 points.
        assert_eq!(verdict(&passes(990, 10, 0), 0.0), Verdict::Regressed);
        assert_eq!(verdict(&passes(990, 10, 0), 0.05), Verdict::NoDifference);
    }

    #[test]
    fn lower_is_better_for_money() {
        let cases: Vec<PairedCase> =
            (0..50).map(|n| PairedCase::once(10.0, 12.0 + f64::from(n % 5))).collect();
        let of = |better| compare(&cases, Rule { better, ..Rule::default() }).unwrap();
        assert_eq!(of(Better::Lower).verdict, Verdict::Regressed);
        assert_eq!(of(Better::Higher).verdict, Verdict::Improved);
        assert_eq!(of(Better::Lower).difference, of(Better::Higher).difference);
        assert!(of(Better::Lower).detectable.is_some_and(|effect| effect > 0.0 && effect < 1.0));
        assert!(compare(&cases, Rule { margin: -1.0, ..Rule::default() }).is_err());
    }
}
