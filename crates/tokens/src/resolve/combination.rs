//! Combinations of contexts.

use crate::Modifier;

/// The most combinations of contexts that one token may depend on.
pub const VARIANTS_MAX: u64 = 4_096;

/// A combination of contexts: one number in which each modifier has a digit, 0 for its default context.
pub type Combination = u64;

/// Leaves the digits of the modifiers in `mask`.
pub(crate) fn restrict(
    modifiers: &[Modifier],
    strides: &[u64],
    combination: Combination,
    mask: u32,
) -> Combination {
    if combination == 0 || mask == 0 {
        return 0;
    }
    modifiers
        .iter()
        .zip(strides)
        .enumerate()
        .filter(|(at, _)| mask & (1 << at) != 0)
        .map(|(_, (m, stride))| (combination / stride) % m.contexts.len() as u64 * stride)
        .sum()
}

/// How many combinations the modifiers in `mask` have.
pub(crate) fn variants(modifiers: &[Modifier], mask: u32) -> u64 {
    let counts = modifiers.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
    counts.fold(1, |all, (_, m)| u64::saturating_mul(all, m.contexts.len() as u64))
}

/// Every combination of the modifiers in `mask`, the default first.
pub(crate) fn combinations(modifiers: &[Modifier], strides: &[u64], mask: u32) -> Vec<Combination> {
    let mut all = vec![0];
    for (at, modifier) in modifiers.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0) {
        let digits = 0..modifier.contexts.len() as u64;
        all = digits.flat_map(|d| all.iter().map(move |c| c + d * strides[at]).collect::<Vec<_>>()).collect();
    }
    all
}
