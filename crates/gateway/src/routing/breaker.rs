//! Targets that failed several times in a row are left alone for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::health::{Health, Standing};

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
    /// Until when it asked to be left alone.
    asked: Option<Instant>,
    /// A try after a pause is under way since then; the others wait for what becomes of it.
    trying: Option<Instant>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By provider and model: targets that failed.
    targets: HashMap<(String, String), State>,
    /// By name: providers that failed, or are probed.
    providers: HashMap<String, Health>,
}

/// What is known of targets, and of their providers.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<Inner>);

impl Breakers {
    fn all(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a target may be asked now. After a pause one call tries it first.
    pub fn may(&self, provider: &str, model: &str, now: Instant) -> bool {
        let mut all = self.all();
        let Inner { targets, providers } = &mut *all;
        let mut health = providers.get_mut(provider);
        if health.as_ref().is_some_and(|health| !health.may(now)) {
            return false;
        }
        // The common case allocates nothing.
        if !targets.is_empty()
            && let Some(state) = targets.get_mut(&(provider.to_owned(), model.to_owned()))
            && let Some(until) = state.until
        {
            if now < until || state.trying.is_some_and(|since| now < since + PAUSE_MAX) {
                return false;
            }
            state.trying = Some(now);
        }
        if let Some(health) = &mut health {
            health.tried(now);
        }
        true
    }

    /// A target answered.
    pub fn succeeded(&self, provider: &str, model: &str) {
        let mut all = self.all();
        if !all.targets.is_empty() {
            all.targets.remove(&(provider.to_owned(), model.to_owned()));
        }
        if let Some(health) = all.providers.get_mut(provider) {
            health.worked();
        }
    }

    /// A try ended without saying anything about the target.
    pub fn released(&self, provider: &str, model: &str) {
        if let Some(state) = self.all().targets.get_mut(&(provider.to_owned(), model.to_owned())) {
            state.trying = None;
        }
    }

    /// A target failed with this code. `wait`: how long it asked to be left alone.
    pub fn failed(&self, (provider, model): (&str, &str), code: &str, wait: Option<Duration>, now: Instant) {
        let mut all = self.all();
        all.providers.entry(provider.to_owned()).or_default().failed(code);
        let targets = &mut all.targets;
        if targets.len() >= TARGETS_MAX {
            targets.retain(|_, state| state.until.is_some_and(|until| until > now));
            if targets.len() >= TARGETS_MAX {
                targets.clear();
            }
        }
        let state = targets.entry((provider.to_owned(), model.to_owned())).or_default();
        state.failures = state.failures.saturating_add(1);
        state.trying = None;
        let over = state.failures.checked_sub(FAILURES_MAX);
        let pause = over.map(|times| PAUSE.saturating_mul(1 << times.min(10)).min(PAUSE_MAX));
        // What a provider asks for is kept in bounds: a clock that is wrong must not switch it off for a day.
        let asked = wait.map(|wait| wait.min(PAUSE_MAX));
        if let Some(asked) = asked {
            state.asked = Some(now + asked);
        }
        if let Some(pause) = pause.max(asked).filter(|pause| !pause.is_zero()) {
            state.until = Some(now + pause);
        }
    }

    /// A provider refused something with this code, which says nothing against its targets.
    pub fn refused(&self, provider: &str, code: &str) {
        self.all().providers.entry(provider.to_owned()).or_default().failed(code);
    }

    /// A provider was probed. With success, one call may try each of its targets at once, unless the target asked to be left alone. With
    /// failure, all are left alone after [`PROBES_MAX`] in a row. Returns how many failed in a row.
    pub fn probed(&self, provider: &str, result: Result<(), &str>, now: Instant) -> u32 {
        let mut all = self.all();
        let Inner { targets, providers } = &mut *all;
        if result.is_ok() {
            for (_, state) in targets.iter_mut().filter(|((of, _), _)| of == provider) {
                state.until = state.until.map(|until| until.min(state.asked.unwrap_or(now).max(now)));
            }
        }
        providers.entry(provider.to_owned()).or_default().probed(result, now)
    }

    /// How a provider does.
    pub fn standing(&self, provider: &str, now: Instant) -> Standing {
        let all = self.all();
        let paused = all
            .targets
            .iter()
            .filter(|((of, _), state)| of == provider && state.until.is_some_and(|until| now < until));
        let paused = paused.count() as u64;
        all.providers.get(provider).map_or_else(Standing::default, |health| health.standing(paused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{PROBES_MAX, ProviderState};

    const CODE: &str = "upstream_error";

    #[test]
    fn a_target_that_fails_is_left_alone_and_tried_by_one() {
        let breakers = Breakers::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(breakers.may("p", "m", start));
            breakers.failed(("p", "m"), CODE, None, start);
        }
        assert!(!breakers.may("p", "m", start) && breakers.may("p", "other", start));
        let later = start + PAUSE;
        assert!(breakers.may("p", "m", later), "one tries");
        assert!(!breakers.may("p", "m", later), "the others wait");
        breakers.failed(("p", "m"), CODE, None, later);
        assert!(!breakers.may("p", "m", later + PAUSE), "the pause grows");
        assert!(breakers.may("p", "m", later + PAUSE * 2));
        breakers.succeeded("p", "m");
        assert!(breakers.may("p", "m", later) && breakers.may("p", "m", later));
    }

    #[test]
    fn a_provider_is_left_alone_as_long_as_it_asks() {
        let breakers = Breakers::default();
        let now = Instant::now();
        breakers.failed(("p", "m"), CODE, Some(Duration::from_secs(3)), now);
        assert!(!breakers.may("p", "m", now + Duration::from_secs(2)));
        assert!(breakers.may("p", "m", now + Duration::from_secs(3)));
    }
    #[test]
    fn a_probe_lets_a_provider_back_unless_it_asked_for_time() {
        let breakers = Breakers::default();
        let now = Instant::now();
        for _ in 0..FAILURES_MAX + 3 {
            breakers.failed(("p", "m"), CODE, None, now);
        }
        breakers.failed(("p", "limited"), CODE, Some(Duration::from_secs(9)), now);
        let standing = breakers.standing("p", now);
        assert_eq!((standing.state, standing.paused), (ProviderState::Paused, 2));
        assert_eq!(standing.failure.as_deref(), Some("upstream_error"));
        assert_eq!(breakers.probed("p", Ok(()), now), 0);
        assert!(breakers.may("p", "m", now), "one call tries");
        assert!(!breakers.may("p", "m", now), "the others wait");
        assert!(!breakers.may("p", "limited", now + Duration::from_secs(8)));
        assert!(breakers.may("p", "limited", now + Duration::from_secs(9)));
        breakers.succeeded("p", "m");
        let standing = breakers.standing("p", now + PAUSE_MAX);
        assert_eq!((standing.state, standing.paused), (ProviderState::Up, 0));
    }

    #[test]
    fn probes_that_fail_leave_a_provider_alone_before_callers_see_it() {
        let breakers = Breakers::default();
        let now = Instant::now();
        assert_eq!(breakers.standing("p", now).state, ProviderState::Unknown);
        for failed in 1..=PROBES_MAX {
            assert!(breakers.may("p", "m", now));
            assert_eq!(breakers.probed("p", Err(CODE), now), failed);
        }
        assert!(!breakers.may("p", "m", now) && breakers.may("q", "m", now));
        assert_eq!(breakers.standing("p", now).state, ProviderState::Down);
        // Should probes alone fail, calls find out.
        assert!(breakers.may("p", "m", now + PAUSE_MAX));
        assert!(!breakers.may("p", "m", now + PAUSE_MAX), "one call tries");
        breakers.succeeded("p", "m");
        assert!(breakers.may("p", "m", now + PAUSE_MAX));
        // A call that succeeded since the last probe says more than a probe that fails.
        breakers.probed("p", Err(CODE), now);
        assert!(breakers.may("p", "m", now));
        for _ in 0..PROBES_MAX {
            breakers.probed("p", Err(CODE), now);
        }
        assert!(!breakers.may("p", "m", now));
        breakers.probed("p", Ok(()), now);
        assert!(breakers.may("p", "m", now) && breakers.may("p", "m", now));
    }
}
