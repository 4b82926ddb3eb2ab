//! What a cache may contain: the states that were served, until all answers made from them have been purged.

use std::{collections::VecDeque, time::Duration};

use ashlar_model::Digest;
use ashlar_release::ChannelState;
use ashlar_store::sql::ReleaseRow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// States that are compared in one purge; when there were more, everything is purged.
const STATES_MAX: usize = 200;

/// What bodies are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub snapshot: Digest,
    pub definitions: Digest,
    /// The root of the dates of its entries.
    #[serde(default)]
    pub modified: Option<Digest>,
}

impl From<&ChannelState> for Contents {
    fn from(state: &ChannelState) -> Self {
        let modified = state.derived.get(ashlar_model::MODIFIED).copied();
        Self { snapshot: state.snapshot, definitions: state.definitions, modified }
    }
}

impl From<&ReleaseRow> for Contents {
    fn from(row: &ReleaseRow) -> Self {
        let modified = row.derived.get(ashlar_model::MODIFIED).copied();
        Self { snapshot: row.snapshot, definitions: row.definitions, modified }
    }
}

/// A state that was served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub sequence: u64,
    /// When it was known to be served.
    pub at: Timestamp,
    #[serde(flatten)]
    pub contents: Contents,
}

impl Seen {
    pub(super) fn now(state: &ChannelState) -> Self {
        Self { sequence: state.sequence, at: Timestamp::now(), contents: state.into() }
    }
}

/// The states of which a cache may contain bodies, oldest first. A body of an old state may reach the cache after the purge
/// that followed it: it was being made, or on its way. So a state stays here until a purge that was sent some time
/// after the next state was served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trail {
    states: VecDeque<Seen>,
    /// Whether the cache may contain what no state here tells.
    #[serde(default)]
    unknown: bool,
}

impl Trail {
    /// Of a cache of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self { states: VecDeque::new(), unknown: true }
    }

    /// Says that the cache may contain something else.
    pub(super) fn forget(&mut self) {
        self.unknown = true;
    }

    pub(super) fn oldest(&self) -> Option<&Seen> {
        self.states.front()
    }

    pub(super) fn newest(&self) -> Option<&Seen> {
        self.states.back()
    }

    /// Adds what is served now.
    pub(super) fn push(&mut self, seen: Seen) {
        if self.states.len() >= STATES_MAX {
            self.states.pop_front();
            self.unknown = true;
        }
        self.states.push_back(seen);
    }

    /// What a purge has to compare; `None` when everything is purged.
    pub(super) fn contents(&self) -> Option<Vec<Contents>> {
        (!self.unknown).then(|| self.states.iter().map(|seen| seen.contents.clone()).collect())
    }

    /// Whether a purge that is sent now leaves a state behind.
    pub(super) fn is_ripe(&self, now: Timestamp, settle: Duration) -> bool {
        // A clock that was set back must not keep a state for long.
        let long_ago = |seen: &Seen| now.duration_since(seen.at).unsigned_abs() >= settle;
        self.states.get(1).is_some_and(long_ago)
    }

    /// Leaves behind what a purge, sent at `at`, has purged for good.
    pub(super) fn purged(&mut self, at: Timestamp, settle: Duration) {
        while self.is_ripe(at, settle) {
            self.states.pop_front();
        }
        // What was unknown was there before the first state.
        if self.states.len() <= 1 {
            self.unknown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const SETTLE: Duration = Duration::from_secs(2);

    fn seen(sequence: u64, ms: i64) -> Seen {
        let digest = Digest::of(&sequence.to_be_bytes());
        let contents = Contents { snapshot: digest, definitions: digest, modified: None };
        Seen { sequence, at: at(ms), contents }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_millis(ms)).unwrap()
    }

    fn numbers(trail: &Trail) -> Vec<u64> {
        trail.states.iter().map(|s| s.sequence).collect()
    }

    #[test]
    fn a_state_stays_until_a_purge_some_time_after_the_next_one() {
        let mut trail = Trail::default();
        trail.push(seen(1, 0));
        trail.push(seen(2, 10_000));
        assert!(!trail.is_ripe(at(10_050), SETTLE));
        trail.purged(at(10_050), SETTLE);
        assert_eq!(numbers(&trail), [1, 2], "bodies of 1 may still be on their way");
        trail.push(seen(3, 11_000));
        trail.purged(at(11_050), SETTLE);
        assert_eq!(numbers(&trail), [1, 2, 3]);
        // Moves that do not stop do not make it longer and longer.
        trail.push(seen(4, 12_010));
        trail.purged(at(12_050), SETTLE);
        assert_eq!(numbers(&trail), [2, 3, 4]);
        assert!(trail.is_ripe(at(13_000), SETTLE) && trail.is_ripe(at(15_000), SETTLE));
        trail.purged(at(15_000), SETTLE);
        assert_eq!(numbers(&trail), [4]);
        assert!(!trail.is_ripe(at(60_000), SETTLE));
    }

    #[test]
    fn what_is_unknown_stays_unknown_until_all_is_settled() {
        let mut trail = Trail::unknown();
        trail.push(seen(1, 0));
        assert_eq!(trail.contents(), None);
        trail.purged(at(1), SETTLE);
        assert_eq!(trail.contents().map(|c| c.len()), Some(1));
        for number in 2..=300 {
            trail.push(seen(number, 5_000));
        }
        assert_eq!((trail.contents(), trail.states.len()), (None, STATES_MAX));
        trail.purged(at(5_100), SETTLE);
        assert_eq!(trail.contents(), None);
        trail.purged(at(8_000), SETTLE);
        assert_eq!((numbers(&trail), trail.contents().map(|c| c.len())), (vec![300], Some(1)));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nothing_for_long() {
        let mut trail = Trail::default();
        trail.push(seen(1, 0));
        trail.push(seen(2, 3_600_000));
        assert!(trail.is_ripe(at(10_000), SETTLE));
    }
}
