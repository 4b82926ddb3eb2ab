//! What is known of a provider as a whole: from probes, and from the failures of its targets.

use std::time::Instant;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::PAUSE_MAX;

/// Probes in a row after whose failure a provider is left alone.
pub const PROBES_MAX: u32 = 2;

/// Whether a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
pub enum ProviderState {
    /// Its last probe succeeded.
    Up,
    /// Some of its models failed several times, or asked for time, and are left alone for a moment.
    Paused,
    /// Its probes fail, so it is left alone.
    Down,
    /// It is not probed, and nothing speaks against it.
    #[default]
    Unknown,
}

/// How a provider does on this node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Whether it is asked.
    pub state: ProviderState,
    /// The code of its last failure.
    pub failure: Option<String>,
    /// When it failed last.
    pub failed_at: Option<Timestamp>,
    /// Since when it is in this state, if that is known.
    pub since: Option<Timestamp>,
    /// Targets that are left alone.
    pub paused: u64,
}

/// What is known of one provider.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Whether it was ever probed.
    probed: bool,
    /// Probes that failed in a row.
    failures: u32,
    down: bool,
    /// When a call tried it last while it was down.
    tried: Option<Instant>,
    /// A call succeeded since the last probe.
    worked: bool,
    failure: Option<(String, Timestamp)>,
    since: Option<Timestamp>,
}

impl Health {
    /// Whether it may be asked. While it is down, one call tries it now and then: probes may fail where calls do not.
    pub fn may(&self, now: Instant) -> bool {
        !self.down || self.tried.is_none_or(|last| now >= last + PAUSE_MAX)
    }

    /// A call is sent to it.
    pub fn tried(&mut self, now: Instant) {
        if self.down {
            self.tried = Some(now);
        }
    }

    /// A call succeeded.
    pub fn worked(&mut self) {
        self.worked = true;
        if self.down {
            (self.down, self.failures) = (false, 0);
            self.since = Some(Timestamp::now());
        }
    }

    /// Something failed.
    pub fn failed(&mut self, code: &str) {
        self.failure = Some((code.to_owned(), Timestamp::now()));
    }

    /// It was probed; returns how many probes failed in a row.
    pub fn probed(&mut self, result: Result<(), &str>, now: Instant) -> u32 {
        let before = (self.probed, self.down);
        self.probed = true;
        let worked = std::mem::take(&mut self.worked);
        match result {
            Ok(()) => (self.failures, self.down) = (0, false),
            Err(code) => {
                self.failed(code);
                // A call that succeeded since says more.
                self.failures = if worked { 0 } else { self.failures.saturating_add(1) };
                self.down |= self.failures >= PROBES_MAX;
            }
        }
        if before != (self.probed, self.down) {
            self.since = Some(Timestamp::now());
            self.tried = self.down.then_some(now);
        }
        self.failures
    }

    /// How it does, with so many targets that are left alone.
    pub fn standing(&self, paused: u64) -> Standing {
        let (state, since) = match (self.down, paused, self.probed) {
            (true, ..) => (ProviderState::Down, self.since),
            (false, 1.., _) => (ProviderState::Paused, self.failure.as_ref().map(|(_, at)| *at)),
            (false, 0, true) => (ProviderState::Up, self.since),
            (false, 0, false) => (ProviderState::Unknown, None),
        };
        Standing {
            state,
            failure: self.failure.as_ref().map(|(code, _)| code.clone()),
            failed_at: self.failure.as_ref().map(|(_, at)| *at),
            since,
            paused,
        }
    }
}
