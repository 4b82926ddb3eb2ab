//! The difference between two runs over the same cases, and its bootstrap interval.

use serde::Serialize;

use super::{
    Interval, Random, StatsError, confident,
    quantile::of_sorted,
    special::{count, normal_below, normal_quantile},
};

/// The most cases of a comparison.
pub const CASES_MAX: usize = 100_000;
/// How many resamples are made when nothing else is asked for.
pub const RESAMPLES: usize = 10_000;
/// Fewer resamples say too little about the ends of an interval.
pub const RESAMPLES_MIN: usize = 1_000;
/// The most draws of a bootstrap, over all resamples. Large runs get fewer resamples, and at least [`RESAMPLES_MIN`].
pub const DRAWS_MAX: u64 = 500_000_000;

/// The scores of one case in two runs: one per sample. Both have at least one; the numbers may differ.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedCase {
    /// What the baseline scored.
    pub baseline: Vec<f64>,
    /// What the candidate scored.
    pub candidate: Vec<f64>,
    /// How much the case counts; 1 is usual. Not negative.
    pub weight: f64,
}

impl PairedCase {
    /// A case with one sample per run and the weight 1.
    #[must_use]
    pub fn once(baseline: f64, candidate: f64) -> Self {
        Self { baseline: vec![baseline], candidate: vec![candidate], weight: 1.0 }
    }

    /// The mean of the candidate's samples less the mean of the baseline's.
    #[must_use]
    pub fn difference(&self) -> f64 {
        mean(&self.candidate) - mean(&self.baseline)
    }
}

/// How the ends of an interval are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Quantiles of the resampled differences.
    Percentile,
    /// Bias-corrected and accelerated (Efron, "Better bootstrap confidence intervals", 1987).
    #[default]
    Bca,
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many resamples are made, unless [`DRAWS_MAX`] allows fewer.
    pub resamples: usize,
    /// Between 0 and 1; 0.95 is usual.
    pub confidence: f64,
    /// The ends of the interval.
    pub method: Method,
    /// The same seed gives the same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: RESAMPLES, confidence: 0.95, method: Method::Bca, seed: 1 }
    }
}

/// How far the candidate is from the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The weighted mean over cases of [`PairedCase::difference`], in units of the metric.
    pub estimate: f64,
    /// Its interval.
    pub interval: Interval,
    /// How its ends were found. Percentiles replace BCa when the correction is not defined, such as when all cases differ alike.
    pub method: Method,
    /// How many resamples were made.
    pub resamples: usize,
}

/// The difference between two runs, with its bootstrap interval.
///
/// A resample draws as many cases as there are, with replacement, and then the samples of each drawn case, with replacement (the two-stage
/// cluster bootstrap of Davison and Hinkley, "Bootstrap methods and their application", 1997, section 3.8). Cases, not samples, are the
/// unit: ten samples of one case are not ten cases. With repeated samples the second stage counts their noise twice, so the interval errs on the
/// wide side. Quantiles interpolate linearly, as in SciPy.
///
/// # Errors
/// As [`StatsError`] says: nothing to compare, more than the bounds, or numbers that are not finite.
pub fn difference(cases: &[PairedCase], options: Bootstrap) -> Result<Difference, StatsError> {
    let mut found = resampled(cases, options)?;
    let estimate = estimate(cases);
    found.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - options.confidence) / 2.0;
    let plain = (tail, 1.0 - tail);
    let corrected = match options.method {
        Method::Bca => corrected(cases, &found, estimate, tail),
        Method::Percentile => None,
    };
    let method = if corrected.is_some() { Method::Bca } else { Method::Percentile };
    let (low, high) = corrected.unwrap_or(plain);
    let interval = Interval {
        low: of_sorted(&found, low),
        high: of_sorted(&found, high),
        confidence: options.confidence,
    };
    Ok(Difference { estimate, interval, method, resamples: found.len() })
}

/// The resampled differences, in the order in which they were drawn.
///
/// # Errors
/// As for [`difference`].
pub fn resampled(cases: &[PairedCase], options: Bootstrap) -> Result<Vec<f64>, StatsError> {
    let resamples = allowed(cases, options)?;
    let mut random = Random::new(options.seed);
    // What never changes between resamples is computed once.
    let fixed: Vec<Option<f64>> = cases
        .iter()
        .map(|case| (case.baseline.len() == 1 && case.candidate.len() == 1).then(|| case.difference()))
        .collect();
    let equal = cases.iter().all(|case| case.weight == cases[0].weight);
    let mut out = Vec::with_capacity(resamples);
    while out.len() < resamples {
        let (mut sum, mut weights) = (0.0, 0.0);
        for _ in 0..cases.len() {
            let at = random.below(cases.len());
            let case = &cases[at];
            let difference = fixed[at].unwrap_or_else(|| {
                drawn_mean(&case.candidate, &mut random) - drawn_mean(&case.baseline, &mut random)
            });
            let weight = if equal { 1.0 } else { case.weight };
            sum += weight * difference;
            weights += weight;
        }
        // A resample may draw only cases without weight; it then says nothing.
        out.push(if weights > 0.0 { sum / weights } else { 0.0 });
    }
    Ok(out)
}

/// Checks the input; how many resamples may be made.
fn allowed(cases: &[PairedCase], options: Bootstrap) -> Result<usize, StatsError> {
    confident(options.confidence)?;
    if cases.is_empty() {
        return Err(StatsError::NoCases);
    }
    if cases.len() > CASES_MAX {
        return Err(StatsError::TooManyCases);
    }
    let mut samples: u64 = 0;
    for (at, case) in cases.iter().enumerate() {
        if case.baseline.is_empty() || case.candidate.is_empty() {
            return Err(StatsError::NoSamples { case: at });
        }
        let finite = case.baseline.iter().chain(&case.candidate).all(|score| score.is_finite());
        if !finite || !case.weight.is_finite() || case.weight < 0.0 {
            return Err(StatsError::NotFinite { case: at });
        }
        samples = samples.saturating_add((case.baseline.len() + case.candidate.len()) as u64);
    }
    if cases.iter().all(|case| case.weight == 0.0) {
        return Err(StatsError::NoWeight);
    }
    let most = usize::try_from(DRAWS_MAX / samples.max(1)).unwrap_or(usize::MAX);
    match most < RESAMPLES_MIN {
        true => Err(StatsError::TooManySamples),
        false => Ok(options.resamples.max(RESAMPLES_MIN).min(most)),
    }
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / count(scores.len().max(1))
}

fn drawn_mean(scores: &[f64], random: &mut Random) -> f64 {
    match scores {
        [one] => *one,
        _ => {
            let sum: f64 = (0..scores.len()).map(|_| scores[random.below(scores.len())]).sum();
            sum / count(scores.len())
        }
    }
}

fn estimate(cases: &[PairedCase]) -> f64 {
    let (sum, weights) = totals(cases);
    sum / weights
}

fn totals(cases: &[PairedCase]) -> (f64, f64) {
    cases.iter().fold((0.0, 0.0), |(sum, weights), case| {
        (sum + case.weight * case.difference(), weights + case.weight)
    })
}

/// The probabilities whose quantiles are the ends of the BCa interval. `None` when the correction is not defined.
fn corrected(cases: &[PairedCase], sorted: &[f64], estimate: f64, tail: f64) -> Option<(f64, f64)> {
    let less = sorted.partition_point(|value| *value < estimate);
    let at_most = sorted.partition_point(|value| *value <= estimate);
    let bias = normal_quantile(count(less + at_most) / (2.0 * count(sorted.len())));
    let acceleration = acceleration(cases)?;
    let moved = |p: f64| {
        let z = bias + normal_quantile(p);
        normal_below(bias + z / (1.0 - acceleration * z))
    };
    let (low, high) = (moved(tail), moved(1.0 - tail));
    (bias.is_finite() && low.is_finite() && high.is_finite() && low <= high).then_some((low, high))
}

/// How fast the standard error changes with the estimate, from the differences without one case each (the jackknife; Efron and Tibshirani,
/// "An introduction to the bootstrap", 1993, formula 14.15).
fn acceleration(cases: &[PairedCase]) -> Option<f64> {
    let (sum, weights) = totals(cases);
    let without: Vec<f64> =
        cases.iter().map(|case| (sum - case.weight * case.difference()) / (weights - case.weight)).collect();
    let middle = mean(&without);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in &without {
        let off = middle - value;
        squares += off * off;
        cubes += off * off * off;
    }
    // Differences that are all alike leave nothing but rounding.
    let noise = f64::EPSILON * (1.0 + middle.abs());
    let defined = squares.is_finite() && squares > count(cases.len()) * noise * noise;
    defined.then(|| cubes / (6.0 * squares * libm::sqrt(squares)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(pairs: &[(f64, f64)]) -> Vec<PairedCase> {
        pairs.iter().map(|(baseline, candidate)| PairedCase::once(*baseline, *candidate)).collect()
    }

    #[test]
    fn samples_of_one_case_are_not_more_cases() {
        // Four cases whose differences vary, asked once, and asked a hundred times with the same result.
        let once = scores(&[(0.2, 0.9), (0.4, 0.3), (0.5, 0.9), (0.6, 0.5)]);
        let often: Vec<PairedCase> = once
            .iter()
            .map(|case| PairedCase {
                baseline: vec![case.baseline[0]; 100],
                candidate: vec![case.candidate[0]; 100],
                weight: 1.0,
            })
            .collect();
        let width = |cases: &[PairedCase]| {
            let found = difference(cases, Bootstrap { resamples: 4_000, ..Bootstrap::default() }).unwrap();
            found.interval.high - found.interval.low
        };
        let (a, b) = (width(&once), width(&often));
        assert!(a > 0.3 && (a - b).abs() < 0.1 * a, "{a} {b}");
    }

    #[test]
    fn a_case_that_is_noisy_widens_the_interval() {
        let steady = vec![PairedCase { baseline: vec![0.5; 4], candidate: vec![0.5; 4], weight: 1.0 }; 8];
        let noisy = vec![
            PairedCase {
                baseline: vec![0.0, 1.0, 0.0, 1.0],
                candidate: vec![1.0, 0.0, 0.0, 1.0],
                weight: 1.0
            };
            8
        ];
        let of = |cases: &[PairedCase]| difference(cases, Bootstrap::default()).unwrap();
        assert_eq!((of(&steady).interval.low, of(&steady).interval.high), (0.0, 0.0));
        assert_eq!(of(&steady).method, Method::Percentile);
        let noisy = of(&noisy);
        assert!(noisy.estimate == 0.0 && noisy.interval.low < -0.1 && noisy.interval.high > 0.1, "{noisy:?}");
    }

    #[test]
    fn weights_count() {
        let mut cases = scores(&[(0.0, 1.0), (0.0, 0.0)]);
        cases[0].weight = 3.0;
        assert_eq!(difference(&cases, Bootstrap::default()).unwrap().estimate, 0.75);
    }

    #[test]
    fn bad_input_is_refused() {
        let of = |cases: &[PairedCase]| difference(cases, Bootstrap::default()).unwrap_err();
        assert_eq!(of(&[]), StatsError::NoCases);
        assert_eq!(of(&scores(&[(0.0, f64::NAN)])), StatsError::NotFinite { case: 0 });
        let none = PairedCase { baseline: Vec::new(), ..PairedCase::once(0.0, 1.0) };
        assert_eq!(of(&[PairedCase::once(0.0, 1.0), none]), StatsError::NoSamples { case: 1 });
        let weightless = PairedCase { weight: 0.0, ..PairedCase::once(0.0, 1.0) };
        assert_eq!(of(&[weightless]), StatsError::NoWeight);
        let many = PairedCase { baseline: vec![0.0; 600_000], ..PairedCase::once(0.0, 1.0) };
        assert_eq!(of(&[many]), StatsError::TooManySamples);
        assert_eq!(of(&vec![PairedCase::once(0.0, 1.0); CASES_MAX + 1]), StatsError::TooManyCases);
        let sure = Bootstrap { confidence: 1.0, ..Bootstrap::default() };
        assert_eq!(difference(&[PairedCase::once(0.0, 1.0)], sure).unwrap_err(), StatsError::Confidence(1.0));
    }

    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        // 200 runs of 40 cases whose true difference is 0.1: about 190 intervals contain it.
        let mut random = Random::new(5);
        let mut unit = || count(random.below(1 << 30)) / count(1 << 30);
        let mut covers = 0;
        for seed in 0..200 {
            let cases: Vec<PairedCase> = (0..40).map(|_| PairedCase::once(unit(), unit() + 0.1)).collect();
            let options = Bootstrap { resamples: 1_000, seed, ..Bootstrap::default() };
            let found = difference(&cases, options).unwrap().interval;
            covers += u32::from(found.low <= 0.1 && 0.1 <= found.high);
        }
        assert!((178..=199).contains(&covers), "{covers} of 200");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The other way round, a comparison is the same with its signs turned.
        #[test]
        fn swapping_runs_turns_signs(pairs in prop::collection::vec((0_u8..5, 0_u8..5), 1..30), seed: u64) {
            let pairs: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (f64::from(*a), f64::from(*b))).collect();
            let options = Bootstrap { resamples: 1_000, seed, method: Method::Percentile, ..Bootstrap::default() };
            let there = difference(&scores(&pairs), options).unwrap();
            let back: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
            let back = difference(&scores(&back), options).unwrap();
            prop_assert!((there.estimate + back.estimate).abs() < 1e-12);
            prop_assert!((there.interval.low + back.interval.high).abs() < 1e-9);
            prop_assert!((there.interval.high + back.interval.low).abs() < 1e-9);
        }

        /// The same input gives the same bits, and no interval leaves the range of the differences.
        #[test]
        fn deterministic_and_within_range(pairs in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 1..30), seed: u64) {
            let cases = scores(&pairs);
            let options = Bootstrap { resamples: 1_000, seed, ..Bootstrap::default() };
            let found = difference(&cases, options).unwrap();
            prop_assert_eq!(found, difference(&cases, options).unwrap());
            let least = cases.iter().map(PairedCase::difference).fold(f64::INFINITY, f64::min);
            let most = cases.iter().map(PairedCase::difference).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(found.interval.low >= least - 1e-12 && found.interval.high <= most + 1e-12);
            prop_assert!(found.interval.low <= found.interval.high);
        }
    }
}
