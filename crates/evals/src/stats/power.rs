//! How small a difference a comparison can see.

use libm::{ceil, sqrt};

use super::{
    PairedCase, StatsError, confident,
    special::{count, normal_quantile},
};

/// The standard deviation of the differences by case, and how many equally weighted cases carry as much information:
/// `(Σw)² / Σw²` (Kish, "Survey sampling", 1965). `None` with fewer than two cases, or when no two cases differ differently:
/// then the data do not show how much cases vary.
#[must_use]
pub fn spread(cases: &[PairedCase]) -> Option<(f64, f64)> {
    let (mut weights, mut squares, mut sum) = (0.0, 0.0, 0.0);
    for case in cases {
        weights += case.weight;
        squares += case.weight * case.weight;
        sum += case.weight * case.difference();
    }
    let effective = weights * weights / squares;
    let middle = sum / weights;
    let off: f64 = cases.iter().map(|case| case.weight * (case.difference() - middle).powi(2)).sum();
    // The correction for the estimated mean, with the effective number of cases.
    let variance = off / weights * effective / (effective - 1.0);
    (variance.is_finite() && variance > 1e-24 && effective > 1.0).then(|| (sqrt(variance), effective))
}

/// The minimum detectable effect: the smallest true difference that a paired comparison of such cases finds significant with the given power,
/// in units of the metric: `(z(1 - α/2) + z(power)) · sd / √n` (Bloom, "Minimum detectable effects", 1995; for evals of language models:
/// Miller, "Adding error bars to evals", 2024, section 5). `None` when the cases do not show how much they vary.
///
/// # Errors
/// When the confidence or the power is not between 0 and 1.
pub fn detectable(cases: &[PairedCase], confidence: f64, power: f64) -> Result<Option<f64>, StatsError> {
    let z = reach(confidence, power)?;
    Ok(spread(cases).map(|(deviation, n)| z * deviation / sqrt(n)))
}

/// How many cases a comparison needs so that it finds a difference of `effect` with the given power, when cases vary by `deviation`.
///
/// # Errors
/// When the confidence or the power is not between 0 and 1, or the effect is not a positive number.
pub fn cases_needed(deviation: f64, effect: f64, confidence: f64, power: f64) -> Result<usize, StatsError> {
    let z = reach(confidence, power)?;
    if !(effect > 0.0 && effect.is_finite() && deviation.is_finite()) {
        return Err(StatsError::NotFinite { case: 0 });
    }
    let needed = ceil((z * deviation / effect).powi(2));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded below and above")]
    let needed = needed.clamp(2.0, count(1 << 40)) as usize;
    Ok(needed)
}

fn reach(confidence: f64, power: f64) -> Result<f64, StatsError> {
    confident(confidence)?;
    confident(power)?;
    Ok(normal_quantile(0.5 + confidence / 2.0) + normal_quantile(power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Bootstrap, Random, difference};

    #[test]
    fn a_worked_example() {
        // Half of 100 cases differ by 1 and half by 0: the deviation is 0.5025, and 2.8016 × 0.05025 = 0.1408.
        let cases: Vec<PairedCase> = (0..100).map(|n| PairedCase::once(0.0, f64::from(n % 2))).collect();
        let found = detectable(&cases, 0.95, 0.8).unwrap().unwrap();
        assert!((found - 0.140_785).abs() < 1e-5, "{found}");
        assert_eq!(cases_needed(0.5, 0.1, 0.95, 0.8), Ok(197));
        assert_eq!(detectable(&[PairedCase::once(0.0, 1.0)], 0.95, 0.8), Ok(None));
        assert_eq!(detectable(&vec![PairedCase::once(0.0, 1.0); 9], 0.95, 0.8), Ok(None));
        assert_eq!(detectable(&cases, 0.95, 1.0), Err(StatsError::Confidence(1.0)));
        assert!(cases_needed(0.5, 0.0, 0.95, 0.8).is_err());
    }

    /// A difference as large as the minimum detectable effect is found in about 80 of 100 runs.
    #[test]
    fn the_power_is_what_it_says() {
        let mut random = Random::new(9);
        let mut unit = || count(random.below(1 << 30)) / count(1 << 30);
        let true_deviation = sqrt(2.0 / 12.0);
        let effect = 2.801_585 * true_deviation / sqrt(60.0);
        let mut found = 0;
        for seed in 0..200 {
            let cases: Vec<PairedCase> = (0..60).map(|_| PairedCase::once(unit(), unit() + effect)).collect();
            let options = Bootstrap { resamples: 1_000, seed, ..Bootstrap::default() };
            found += u32::from(difference(&cases, options).unwrap().interval.low > 0.0);
        }
        assert!((142..=182).contains(&found), "{found} of 200");
    }
}
