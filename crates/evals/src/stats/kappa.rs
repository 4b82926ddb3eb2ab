//! Cohen's κ: how far two judges agree beyond chance.

use std::collections::BTreeMap;

use libm::sqrt;
use serde::{Deserialize, Serialize};

use super::{
    Interval, StatsError, clopper_pearson, confident,
    special::{count, normal_quantile},
};

/// The most different labels that are compared.
pub const LABELS_MAX: usize = 100;

/// How far two judges agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Cohen's κ, from -1 to 1: 1 is full agreement, 0 is what chance gives.
    pub kappa: f64,
    /// Its interval.
    pub interval: Interval,
    /// The share of cases with the same label.
    pub agreed: f64,
    /// The share that judges with these habits agree on by chance.
    pub by_chance: f64,
    /// How many cases both labelled.
    pub cases: usize,
}

/// Cohen's κ of pairs of labels ("A coefficient of agreement for nominal scales", 1960): `(agreed - by_chance) / (1 - by_chance)`.
///
/// The interval is `κ ± z · SE` with the large-sample standard error of Fleiss, Cohen and Everitt ("Large sample standard errors of kappa and
/// weighted kappa", 1969), cut at -1 and 1. That error is 0 when all labels agree; the lower bound then is the κ of the lower
/// Clopper–Pearson bound for the share of agreement, at the same agreement by chance.
///
/// `None` when both judges always gave one and the same label: agreement by chance is then 1, and κ is not defined.
///
/// # Errors
/// When there are no pairs, more than [`LABELS_MAX`] labels, or the confidence is not between 0 and 1.
pub fn kappa<L: Ord>(pairs: &[(L, L)], confidence: f64) -> Result<Option<Agreement>, StatsError> {
    confident(confidence)?;
    if pairs.is_empty() {
        return Err(StatsError::NoCases);
    }
    let mut numbers: BTreeMap<&L, usize> = BTreeMap::new();
    for label in pairs.iter().flat_map(|(a, b)| [a, b]) {
        let next = numbers.len();
        numbers.entry(label).or_insert(next);
        if numbers.len() > LABELS_MAX {
            return Err(StatsError::TooManyLabels);
        }
    }
    let size = numbers.len();
    let one = 1.0 / count(pairs.len());
    let mut cells = vec![0.0; size * size];
    let (mut rows, mut columns) = (vec![0.0; size], vec![0.0; size]);
    for (a, b) in pairs {
        let (Some(row), Some(column)) = (numbers.get(a), numbers.get(b)) else { continue };
        cells[row * size + column] += one;
        rows[*row] += one;
        columns[*column] += one;
    }
    if size == 1 {
        return Ok(None);
    }
    let same = pairs.iter().filter(|(a, b)| a == b).count();
    let agreed = count(same) * one;
    let by_chance: f64 = rows.iter().zip(&columns).map(|(row, column)| row * column).sum();
    let rest = 1.0 - by_chance;
    let kappa = (agreed - by_chance) / rest;
    let interval = if same == pairs.len() {
        let least = clopper_pearson(same, pairs.len(), confidence)?.low;
        Interval { low: ((least - by_chance) / rest).max(-1.0), high: 1.0, confidence }
    } else {
        let mut sum = 0.0;
        for row in 0..size {
            for column in 0..size {
                let cell = cells[row * size + column];
                sum += if row == column {
                    cell * (rest - (columns[row] + rows[row]) * (1.0 - agreed)).powi(2)
                } else {
                    (1.0 - agreed).powi(2) * cell * (columns[row] + rows[column]).powi(2)
                };
            }
        }
        sum -= (agreed * by_chance - 2.0 * by_chance + agreed).powi(2);
        let half = normal_quantile(0.5 + confidence / 2.0) * sqrt(sum.max(0.0) * one) / (rest * rest);
        Interval { low: (kappa - half).max(-1.0), high: (kappa + half).min(1.0), confidence }
    };
    Ok(Some(Agreement { kappa, interval, agreed, by_chance, cases: pairs.len() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(cells: [[usize; 2]; 2]) -> Vec<(usize, usize)> {
        let cell = |row: usize, column: usize| std::iter::repeat_n((row, column), cells[row][column]);
        cell(0, 0).chain(cell(0, 1)).chain(cell(1, 0)).chain(cell(1, 1)).collect()
    }

    #[test]
    fn a_worked_example() {
        // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: agreed 0.7, by chance 0.5.
        let found = kappa(&pairs([[20, 5], [10, 15]]), 0.95).unwrap().unwrap();
        assert!((found.agreed - 0.7).abs() < 1e-12 && (found.by_chance - 0.5).abs() < 1e-12);
        assert!((found.kappa - 0.4).abs() < 1e-12);
        assert!(found.interval.low > 0.1 && found.interval.high < 0.7, "{found:?}");
    }

    #[test]
    fn few_labels_that_all_agree_prove_little() {
        let few = kappa(&pairs([[2, 0], [0, 2]]), 0.95).unwrap().unwrap();
        assert_eq!(few.kappa, 1.0);
        assert!(few.interval.low < 0.0, "{few:?}");
        let many = kappa(&pairs([[100, 0], [0, 100]]), 0.95).unwrap().unwrap();
        assert!(many.interval.low > 0.95, "{many:?}");
        assert_eq!(kappa(&pairs([[9, 0], [0, 0]]), 0.95).unwrap(), None);
        assert_eq!(kappa::<u8>(&[], 0.95), Err(StatsError::NoCases));
        let labels: Vec<(usize, usize)> = (0..=LABELS_MAX).map(|n| (n, n)).collect();
        assert_eq!(kappa(&labels, 0.95), Err(StatsError::TooManyLabels));
    }
}
