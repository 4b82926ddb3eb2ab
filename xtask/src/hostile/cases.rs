//! The cases of a run.

use super::{
    corpus::{Case, Generator},
    formats,
};
use crate::random::Random;

/// All generators.
pub fn generators() -> impl Iterator<Item = &'static Generator> {
    formats::ALL.iter().copied().flatten()
}

/// Every generator at every size, shuffled; the sizes in `which` alone.
pub fn cases(seed: u64, which: &[usize]) -> Vec<Case> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    for generator in generators() {
        for size in which.iter().filter_map(|w| generator.sizes.get(*w)) {
            all.push(Case { generator, size: *size, seed: random.next() >> 16 });
        }
    }
    random.shuffle(&mut all);
    all
}

/// The worst first, so that a short run has sent them.
pub fn worst_first(mut cases: Vec<Case>) -> Vec<Case> {
    cases.sort_by_key(|c| !c.is_worst());
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::corpus::WORST;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        for (a, b) in cases(7, &[0]).into_iter().zip(cases(7, &[0])) {
            assert_eq!(a.to_string(), b.to_string());
            assert_eq!(a.load(), b.load(), "{a}");
        }
    }

    #[test]
    fn the_worst_are_generators() {
        for worst in WORST {
            assert!(generators().any(|g| format!("{}/{}", g.format, g.name) == worst), "{worst}");
        }
    }

    #[test]
    fn names_are_unique_and_sizes_grow() {
        let mut seen = std::collections::BTreeSet::new();
        for generator in generators() {
            assert!(
                seen.insert((generator.format, generator.name)),
                "{}/{}",
                generator.format,
                generator.name
            );
            assert!(generator.sizes.is_sorted(), "{}/{}", generator.format, generator.name);
        }
    }

    /// A request of the management API has at most 16 MiB; what is larger never reaches what it is meant for.
    #[test]
    fn most_cases_fit_into_a_request() {
        let all = cases(1, &[0, 1]);
        let large = all.iter().filter(|c| c.load().bytes() > 16 << 20).count();
        assert!(large * 20 <= all.len(), "{large} of {}", all.len());
    }
}
