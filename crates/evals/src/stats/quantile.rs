//! Quantiles, as latencies and resamples need them.

use super::special::count;

/// The quantile `q` (from 0 to 1) of values, by linear interpolation between the two nearest ranks (type 7 of Hyndman and Fan, 1996: what
/// NumPy and R use). `None` when there are no values. Values that are not numbers come last.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| of_sorted(&sorted, q))
}

/// The same of values that are sorted, of which there is at least one.
pub(super) fn of_sorted(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    let rank = q.clamp(0.0, 1.0) * count(last);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank from 0 to the last")]
    let below = rank.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_between_the_nearest_ranks() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[4.0], 0.95), Some(4.0));
        // numpy.quantile([1, 2, 3, 4], [0, 0.5, 0.95, 1])
        let values = [3.0, 1.0, 4.0, 2.0];
        let found = [0.0, 0.5, 0.95, 1.0].map(|q| quantile(&values, q).unwrap());
        let wanted = [1.0, 2.5, 3.85, 4.0];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }
}
