//! Numbers that look like chance and are the same every time.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). It resamples cases; it is no source of secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence. The same seed gives the same sequence on every machine.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, each about equally likely: no probability is off by more than `end / 2^64`. `end` must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        debug_assert!(end > 0, "no number is below 0");
        // The high half of the product (Lemire 2019), without its rejection step.
        let high = (u128::from(self.bits()) * end as u128) >> 64;
        usize::try_from(high).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one_and_uniform() {
        // The first outputs for the seed 1234567 in the reference implementation.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.bits(), random.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let mut found = [0_u32; 7];
        for _ in 0..70_000 {
            found[random.below(7)] += 1;
        }
        // Standard deviation 93; all seven are within five.
        assert!(found.iter().all(|n| n.abs_diff(10_000) < 465), "{found:?}");
    }
}
