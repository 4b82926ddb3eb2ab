//! Intervals for a share: so many of so many cases pass.

use libm::sqrt;

use super::{
    Interval, StatsError, confident,
    special::{beta_quantile, count, normal_quantile},
};

/// The score interval of Wilson ("Probable inference, the law of succession, and statistical inference", 1927), without continuity correction.
/// It covers well on average and stays between 0 and 1.
///
/// # Errors
/// When there are no cases, fewer than pass, or the confidence is not between 0 and 1.
pub fn wilson(pass: usize, cases: usize, confidence: f64) -> Result<Interval, StatsError> {
    let (p, n) = share(pass, cases, confidence)?;
    let z = normal_quantile(0.5 + confidence / 2.0);
    let z2 = z * z / n;
    let middle = p + z2 / 2.0;
    let half = z * sqrt(p * (1.0 - p) / n + z2 / (4.0 * n));
    let low = if pass == 0 { 0.0 } else { ((middle - half) / (1.0 + z2)).max(0.0) };
    let high = if pass == cases { 1.0 } else { ((middle + half) / (1.0 + z2)).min(1.0) };
    Ok(Interval { low, high, confidence })
}

/// The exact interval of Clopper and Pearson ("The use of confidence or fiducial limits illustrated in the case of the binomial", 1934). It
/// never covers less than it says, so it is wider than [`wilson`].
///
/// # Errors
/// As for [`wilson`].
pub fn clopper_pearson(pass: usize, cases: usize, confidence: f64) -> Result<Interval, StatsError> {
    share(pass, cases, confidence)?;
    let tail = (1.0 - confidence) / 2.0;
    let fail = cases - pass;
    let low = if pass == 0 { 0.0 } else { beta_quantile(count(pass), count(fail + 1), tail) };
    let high = if fail == 0 { 1.0 } else { beta_quantile(count(pass + 1), count(fail), 1.0 - tail) };
    Ok(Interval { low, high, confidence })
}

fn share(pass: usize, cases: usize, confidence: f64) -> Result<(f64, f64), StatsError> {
    confident(confidence)?;
    if cases == 0 {
        return Err(StatsError::NoCases);
    }
    if pass > cases {
        return Err(StatsError::MoreThanAll { part: pass, all: cases });
    }
    Ok((count(pass) / count(cases), count(cases)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn none_of_ten_says_at_most_31_percent() {
        // The well-known example of the exact interval: 1 - 0.025^(1/10).
        let exact = clopper_pearson(0, 10, 0.95).unwrap();
        assert_eq!(exact.low, 0.0);
        assert!((exact.high - (1.0 - 0.025_f64.powf(0.1))).abs() < 1e-12, "{exact:?}");
        assert_eq!(clopper_pearson(10, 10, 0.95).unwrap().high, 1.0);
        assert_eq!(wilson(1, 0, 0.95), Err(StatsError::NoCases));
        assert_eq!(wilson(2, 1, 0.95), Err(StatsError::MoreThanAll { part: 2, all: 1 }));
        assert_eq!(wilson(1, 1, 1.0), Err(StatsError::Confidence(1.0)));
    }

    proptest! {
        #[test]
        fn both_contain_the_share_and_mirror(cases in 1_usize..400, part in 0.0_f64..1.0, confidence in 0.5_f64..0.999) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
            let pass = (count(cases) * part) as usize;
            for of in [wilson, clopper_pearson] {
                let found = of(pass, cases, confidence).unwrap();
                prop_assert!(found.low >= 0.0 && found.high <= 1.0);
                let p = count(pass) / count(cases);
                prop_assert!(found.low <= p + 1e-12 && p <= found.high + 1e-12);
                let other = of(cases - pass, cases, confidence).unwrap();
                prop_assert!((found.low - (1.0 - other.high)).abs() < 1e-9);
            }
        }
    }
}
