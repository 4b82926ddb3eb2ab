//! Requests and tokens per minute: the generic cell rate algorithm (GCRA) in memory of a fixed size.
//!
//! A bucket is one number: the time at which everything that was taken has been given back. A minute's worth may be taken at once.
//! Buckets live in a table of a fixed number of places. When the places for a key are all in use, the newcomer continues the bucket
//! that owes least: a full table makes limits stricter, never looser.

use std::time::Duration;

/// Places of the table. A place has 16 bytes.
const PLACES: usize = 1 << 16;
/// Places among which a key chooses.
const WAYS: usize = 8;
/// For how long a limit counts.
const MINUTE_NANOS: u64 = 60_000_000_000;

/// What a bucket is for. Made by [`key`].
pub type Key = u64;

/// The key of a bucket: a hash of who is limited, and of what.
#[must_use]
pub fn key(secret: &[u8; 32], parts: &[&str]) -> Key {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // 0 marks a place that is free.
    u64::from_le_bytes(bytes).max(1)
}

#[derive(Clone, Copy, Default)]
struct Place {
    key: Key,
    /// When everything is given back, in nanoseconds of the caller's clock.
    until: u64,
}

/// Buckets of one tenant on one node.
pub struct Buckets {
    places: Box<[Place]>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { places: vec![Place::default(); PLACES].into_boxed_slice() }
    }
}

/// What is taken of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// The bucket.
    pub key: Key,
    /// How much is taken.
    pub amount: u64,
    /// How much may be taken per minute.
    pub per_minute: u64,
}

impl Take {
    /// For how long the amount counts.
    fn nanos(&self) -> u64 {
        let nanos = u128::from(self.amount) * u128::from(MINUTE_NANOS) / u128::from(self.per_minute.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

impl Buckets {
    /// The place of a key: its own, a free one, or the one that owes least.
    fn place(&mut self, key: Key, now: u64) -> &mut Place {
        let mask = self.places.len() / WAYS - 1;
        // The low bits choose; they are as good as any of a hash.
        let first = (key as usize & mask) * WAYS;
        let ways = &self.places[first..first + WAYS];
        let own = ways.iter().position(|place| place.key == key);
        let at = own.unwrap_or_else(|| {
            let owes = |place: &Place| if place.key == 0 { 0 } else { place.until.max(now) };
            (0..WAYS).min_by_key(|at| owes(&ways[*at])).unwrap_or(0)
        });
        let place = &mut self.places[first + at];
        if place.key == 0 || (place.key != key && place.until <= now) {
            place.until = now;
        }
        place.key = key;
        place
    }

    /// Takes from a bucket, or says how long to wait until it has enough. `now` are nanoseconds of a clock that does not go back.
    /// More than a minute's worth is never there; such an amount passes when the bucket is full, and empties it for longer.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, take: &Take, now: u64) -> Result<(), Duration> {
        let place = self.place(take.key, now);
        let until = place.until.max(now);
        let nanos = take.nanos();
        // What exceeds a minute's worth counts as that when it is compared.
        let wanted = until.saturating_add(nanos.min(MINUTE_NANOS));
        let most = now.saturating_add(MINUTE_NANOS);
        if wanted > most {
            return Err(Duration::from_nanos(wanted - most));
        }
        place.until = until.saturating_add(nanos);
        Ok(())
    }

    /// Corrects what was taken: `used` instead of `take.amount`. More than was taken is charged, less is given back.
    pub fn correct(&mut self, take: &Take, used: u64, now: u64) {
        let (before, after) = (take.nanos(), Take { amount: used, ..*take }.nanos());
        let place = self.place(take.key, now);
        let until = place.until.max(now);
        place.until = if after >= before {
            until.saturating_add(after - before)
        } else {
            until.saturating_sub(before - after).max(now)
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_minute_is_there_at_once_and_comes_back_evenly() {
        let mut buckets = Buckets::default();
        let take = Take { key: 7, amount: 1, per_minute: 60 };
        for _ in 0..60 {
            assert_eq!(buckets.take(&take, 0), Ok(()));
        }
        assert_eq!(buckets.take(&take, 0), Err(Duration::from_secs(1)));
        assert_eq!(buckets.take(&take, SECOND), Ok(()));
        assert!(buckets.take(&take, SECOND).is_err());
        assert_eq!(buckets.take(&Take { amount: 30, ..take }, 31 * SECOND), Ok(()));
        // Another bucket is full.
        assert_eq!(buckets.take(&Take { key: 8, ..take }, SECOND), Ok(()));
    }

    #[test]
    fn what_was_taken_is_corrected() {
        let mut buckets = Buckets::default();
        let take = Take { key: 7, amount: 1_000, per_minute: 1_000 };
        assert_eq!(buckets.take(&take, 0), Ok(()));
        assert!(buckets.take(&Take { amount: 1, ..take }, 0).is_err());
        buckets.correct(&take, 100, 0);
        assert_eq!(buckets.take(&Take { amount: 900, ..take }, 0), Ok(()));
        buckets.correct(&Take { amount: 900, ..take }, 1_900, 0);
        assert_eq!(buckets.take(&Take { amount: 1_000, ..take }, 60 * SECOND), Err(Duration::from_secs(60)));
    }

    #[test]
    fn more_than_a_minute_passes_only_when_nothing_was_taken() {
        let mut buckets = Buckets::default();
        let large = Take { key: 7, amount: 5_000, per_minute: 1_000 };
        assert_eq!(buckets.take(&large, 0), Ok(()));
        assert_eq!(buckets.take(&Take { amount: 1, ..large }, 299 * SECOND), Ok(()));
        assert!(buckets.take(&Take { amount: 1_000, ..large }, 299 * SECOND).is_err());
    }

    #[test]
    fn keys_are_hashes_of_their_parts() {
        let secret = [1; 32];
        assert_eq!(key(&secret, &["a", "b"]), key(&secret, &["a", "b"]));
        assert_ne!(key(&secret, &["a", "b"]), key(&secret, &["ab", ""]));
        assert_ne!(key(&secret, &["a", "b"]), key(&[2; 32], &["a", "b"]));
    }

    proptest! {
        /// In no window is more let through than the limit for its length and a minute's worth before, however many keys there are.
        #[test]
        fn nothing_passes_beyond_the_limit(steps in proptest::collection::vec((0_u64..40, 1_u64..30, 0_u64..5 * SECOND), 1..400)) {
            // A table of two sets, so that keys displace each other.
            let mut buckets = Buckets { places: vec![Place::default(); 2 * WAYS].into_boxed_slice() };
            let (mut now, mut passed) = (0, HashMap::<u64, Vec<(u64, u64)>>::new());
            for (who, amount, pause) in steps {
                now += pause;
                let take = Take { key: who + 1, amount, per_minute: 60 };
                if buckets.take(&take, now).is_ok() {
                    passed.entry(who).or_default().push((now, amount));
                }
            }
            for times in passed.values() {
                for (first, (from, _)) in times.iter().enumerate() {
                    let mut sum = 0;
                    for (at, amount) in &times[first..] {
                        sum += amount;
                        prop_assert!(sum as f64 <= 60.0 + (at - from) as f64 / SECOND as f64 + 0.001, "{sum} in {:?}", at - from);
                    }
                }
            }
        }
    }
}
