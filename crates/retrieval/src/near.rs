//! Texts that are nearly the same: sets of terms or of runs of terms, and how much two sets share.

use std::collections::BTreeSet;

use crate::text::{Analyzer, term_hash};

/// Runs of so many terms of a text, as sorted hashes, each once; at most `most`. A text with fewer terms is one run. Shingles as of Broder
/// (1997).
#[must_use]
pub fn shingles(analyzer: &Analyzer, text: &str, size: usize, most: usize) -> Vec<u64> {
    let mut terms: Vec<u64> = Vec::new();
    let terms_max = most.saturating_add(size);
    analyzer.terms(text, |term| {
        if terms.len() < terms_max {
            terms.push(term_hash(term));
        }
    });
    let run = |terms: &[u64]| {
        terms.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, term| {
            (hash.rotate_left(5) ^ term).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let runs: BTreeSet<u64> = match terms.len() {
        0 => BTreeSet::new(),
        n if n <= size => [run(&terms)].into(),
        _ => terms.windows(size.max(1)).take(most).map(run).collect(),
    };
    runs.into_iter().collect()
}

/// How many members two sorted sets have in common.
#[must_use]
pub fn common<T: Ord>(a: &[T], b: &[T]) -> usize {
    let (small, large) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    small.iter().filter(|member| large.binary_search(member).is_ok()).count()
}

/// The share of members that two sorted sets have in common (Jaccard), from 0 to 1. Two empty sets share nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of terms")]
#[must_use]
pub fn similarity<T: Ord>(a: &[T], b: &[T]) -> f64 {
    let common = common(a, b);
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}
