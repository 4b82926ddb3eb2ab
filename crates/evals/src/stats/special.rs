//! The normal and the beta distribution. All functions come from `libm`, so every machine computes the same bits.

use libm::{erfc, exp, lgamma, log, log1p, sqrt};

/// Steps of the continued fraction; it converges within about the square root of the larger parameter.
const FRACTION_STEPS_MAX: usize = 20_000;
/// Halvings of an interval between 0 and 1: more than the bits of a number.
const HALVINGS: usize = 200;

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "counts of cases are far below 2^53")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

/// The probability that a standard normal variable is at most `z`.
pub(super) fn normal_below(z: f64) -> f64 {
    0.5 * erfc(-z / sqrt(2.0))
}

/// The value that a standard normal variable stays below with the probability `p`; infinite for 0 and 1.
///
/// The rational approximation of Acklam (2003, relative error 1.15e-9) with one step of Halley's method, which brings it to about 1e-15.
#[expect(clippy::excessive_precision, reason = "the published coefficients")]
pub(super) fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_690e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    const TAIL: f64 = 0.02425;
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let along = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = sqrt(-2.0 * log(p));
        along(&C, q) / (along(&D, q) * q + 1.0)
    };
    let first = if p < TAIL {
        tail(p)
    } else if p > 1.0 - TAIL {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        along(&A, r) * q / (along(&B, r) * r + 1.0)
    };
    let error = normal_below(first) - p;
    let step = error * sqrt(2.0 * std::f64::consts::PI) * exp(first * first / 2.0);
    first - step / (1.0 + first * step / 2.0)
}

/// The regularised incomplete beta function: the probability that a beta variable is at most `x`.
///
/// The continued fraction 8.17.22 of the NIST Digital Library of Mathematical Functions, by Lentz's method.
pub(super) fn beta_below(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on this side only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_below_near(b, a, 1.0 - x, log1p(-x), log(x));
    }
    beta_below_near(a, b, x, log(x), log1p(-x))
}

fn beta_below_near(a: f64, b: f64, x: f64, log_x: f64, log_rest: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let whole = |value: f64| if value.abs() < TINY { TINY } else { value };
    let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log_x + b * log_rest) / a;
    let (mut c, mut d) = (1.0, 1.0 / whole(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..=FRACTION_STEPS_MAX {
        let m = count(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / whole(1.0 + even * d);
        c = whole(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / whole(1.0 + odd * d);
        c = whole(1.0 + odd / c);
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The value that a beta variable stays below with the probability `p`.
pub(super) fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if beta_below(a, b, middle) < p { low = middle } else { high = middle }
    }
    low + (high - low) / 2.0
}

/// The probability of exactly `k` heads in `n` throws of a fair coin.
pub(super) fn coin(k: usize, n: usize) -> f64 {
    let (k, n) = (count(k), count(n));
    exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * std::f64::consts::LN_2)
}

/// The probability of at most `k` heads in `n` throws of a fair coin.
pub(super) fn coin_at_most(k: usize, n: usize) -> f64 {
    if k >= n { 1.0 } else { beta_below(count(n - k), count(k + 1), 0.5) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        // Abramowitz and Stegun, tables 26.1 and 26.5; and sums that can be made by hand.
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-13);
        assert!((normal_quantile(0.8) - 0.841_621_233_572_914_4).abs() < 1e-13);
        assert!((normal_quantile(1e-10) + 6.361_340_902_404_056).abs() < 1e-10);
        assert!((coin_at_most(1, 5) - 6.0 / 32.0).abs() < 1e-14);
        assert!((coin(2, 5) - 10.0 / 32.0).abs() < 1e-14);
        assert!((beta_below(1.0, 3.0, 0.25) - (1.0 - 0.75_f64.powi(3))).abs() < 1e-14);
        assert!((beta_below(100_000.0, 100_000.0, 0.5) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn quantiles_undo_probabilities(p in 1e-9_f64..0.999_999, a in 0.5_f64..500.0, b in 0.5_f64..500.0) {
            prop_assert!((normal_below(normal_quantile(p)) - p).abs() < 1e-13);
            prop_assert!((beta_below(a, b, beta_quantile(a, b, p)) - p).abs() < 1e-9);
        }
    }
}
