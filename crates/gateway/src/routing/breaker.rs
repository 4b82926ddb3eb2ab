//! Targets that failed several times in a row are left alone for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures in a row after which a target is left alone.
pub const FAILURES_MAX: u32 = 5;
/// How long a target is left alone the first time, and at most.
pub const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Targets that are remembered.
const TARGETS_MAX: usize = 4_096;

#[derive(Debug, Default, Clone, Copy)]
struct State {
    failures: u32,
    /// Until when it is left alone.
    until: Option<Instant>,
    /// A try after a pause is under way since then; the others wait for what becomes of it.
    trying: Option<Instant>,
}

/// What is known of targets: provider and model.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<(String, String), State>>);

impl Breakers {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a target may be asked now. After a pause one call tries it first.
    pub fn may(&self, provider: &str, model: &str, now: Instant) -> bool {
        let mut all = self.all();
        // The common case allocates nothing.
        if all.is_empty() {
            return true;
        }
        let Some(state) = all.get_mut(&(provider.to_owned(), model.to_owned())) else { return true };
        let Some(until) = state.until else { return true };
        if now < until || state.trying.is_some_and(|since| now < since + PAUSE_MAX) {
            return false;
        }
        state.trying = Some(now);
        true
    }

    /// A target answered.
    pub fn succeeded(&self, provider: &str, model: &str) {
        let mut all = self.all();
        if !all.is_empty() {
            all.remove(&(provider.to_owned(), model.to_owned()));
        }
    }

    /// A try ended without saying anything about the target.
    pub fn released(&self, provider: &str, model: &str) {
        if let Some(state) = self.all().get_mut(&(provider.to_owned(), model.to_owned())) {
            state.trying = None;
        }
    }

    /// A target failed. `wait`: how long it asked to be left alone.
    pub fn failed(&self, provider: &str, model: &str, wait: Option<Duration>, now: Instant) {
        let mut all = self.all();
        if all.len() >= TARGETS_MAX {
            all.retain(|_, state| state.until.is_some_and(|until| until > now));
            if all.len() >= TARGETS_MAX {
                all.clear();
            }
        }
        let state = all.entry((provider.to_owned(), model.to_owned())).or_default();
        state.failures = state.failures.saturating_add(1);
        state.trying = None;
        let over = state.failures.checked_sub(FAILURES_MAX);
        let pause = over.map(|times| PAUSE.saturating_mul(1 << times.min(10)).min(PAUSE_MAX));
        // What a provider asks for is kept in bounds: a clock that is wrong must not switch it off for a day.
        let asked = wait.map(|wait| wait.min(PAUSE_MAX));
        if let Some(pause) = pause.max(asked).filter(|pause| !pause.is_zero()) {
            state.until = Some(now + pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_fails_is_left_alone_and_tried_by_one() {
        let breakers = Breakers::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(breakers.may("p", "m", start));
            breakers.failed("p", "m", None, start);
        }
        assert!(!breakers.may("p", "m", start) && breakers.may("p", "other", start));
        let later = start + PAUSE;
        assert!(breakers.may("p", "m", later), "one tries");
        assert!(!breakers.may("p", "m", later), "the others wait");
        breakers.failed("p", "m", None, later);
        assert!(!breakers.may("p", "m", later + PAUSE), "the pause grows");
        assert!(breakers.may("p", "m", later + PAUSE * 2));
        breakers.succeeded("p", "m");
        assert!(breakers.may("p", "m", later) && breakers.may("p", "m", later));
    }

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks() {
        let breakers = Breakers::default();
        let now = Instant::now();
        breakers.failed("p", "m", Some(Duration::from_secs(3)), now);
        assert!(!breakers.may("p", "m", now + Duration::from_secs(2)));
        assert!(breakers.may("p", "m", now + Duration::from_secs(3)));
    }
}
