//! McNemar's test: whether a candidate passes more or fewer of the same cases.

use serde::Serialize;

use super::special::{coin, coin_at_most};

/// The result of McNemar's test. Only cases that one passed and the other failed count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Cases that the baseline passed and the candidate fails.
    pub broken: usize,
    /// Cases that the baseline failed and the candidate passes.
    pub fixed: usize,
    /// The exact two-sided p-value: the binomial test of `broken` among both, at one half.
    pub p_exact: f64,
    /// The mid-p value: twice the one-sided p-value with half of the observed outcome's probability. The exact test is too careful with few
    /// cases; this one is closer to the level (Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data", 2013).
    pub p_mid: f64,
}

/// McNemar's test from pairs of verdicts: baseline, candidate.
#[must_use]
pub fn mcnemar_of(pairs: impl IntoIterator<Item = (bool, bool)>) -> McNemar {
    let (broken, fixed) = pairs.into_iter().fold((0, 0), |(broken, fixed), pair| match pair {
        (true, false) => (broken + 1, fixed),
        (false, true) => (broken, fixed + 1),
        _ => (broken, fixed),
    });
    mcnemar(broken, fixed)
}

/// McNemar's test from the two counts that matter. Without a case that changed, both p-values are 1.
#[must_use]
pub fn mcnemar(broken: usize, fixed: usize) -> McNemar {
    let (least, both) = (broken.min(fixed), broken.saturating_add(fixed));
    if broken == fixed {
        return McNemar { broken, fixed, p_exact: 1.0, p_mid: 1.0 };
    }
    let at_most = coin_at_most(least, both);
    let p_exact = (2.0 * at_most).min(1.0);
    let p_mid = (2.0 * at_most - coin(least, both)).clamp(0.0, 1.0);
    McNemar { broken, fixed, p_exact, p_mid }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_worked_example() {
        // Seven cases broke and one was fixed: 2 × (1 + 8) / 256, and without the 8 / 256 of the outcome itself.
        let pairs = [(true, false); 7].into_iter().chain([(false, true), (true, true), (false, false)]);
        let found = mcnemar_of(pairs);
        assert_eq!((found.broken, found.fixed), (7, 1));
        assert!((found.p_exact - 18.0 / 256.0).abs() < 1e-12);
        assert!((found.p_mid - 10.0 / 256.0).abs() < 1e-12);
        assert_eq!(mcnemar(0, 0).p_exact, 1.0);
    }

    proptest! {
        #[test]
        fn mid_p_is_smaller_and_both_are_symmetric(broken in 0_usize..3_000, fixed in 0_usize..3_000) {
            let (found, other) = (mcnemar(broken, fixed), mcnemar(fixed, broken));
            prop_assert!(found.p_mid <= found.p_exact && found.p_mid >= 0.0 && found.p_exact <= 1.0);
            prop_assert_eq!((found.p_exact, found.p_mid), (other.p_exact, other.p_mid));
        }
    }
}
