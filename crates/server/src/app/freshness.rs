//! How soon after a move the public channel of a tenant is searchable here.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ashlar_delivery::ReleaseView;
use ashlar_model::{ReleaseId, TenantId};
use ashlar_release::ChannelState;
use jiff::Timestamp;

/// A release as this node came to serve it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    release: ReleaseId,
    moved_at: Timestamp,
    /// From the move to when its words were searchable; `None` when it was moved before this process started.
    words: Option<Duration>,
    /// From the move to when it was searchable with everything it has; `None` as above.
    whole: Option<Duration>,
    /// Whether it is searchable with everything it has.
    is_whole: bool,
}

/// How late an index is.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexLag {
    /// The index.
    pub index: String,
    /// How soon it should be searchable, as `retrieval.toml` says.
    pub target: Duration,
    /// How long words took; `None` when the release is older than this process.
    pub words: Option<Duration>,
    /// How long words and vectors took, or how long vectors have been missing. `None` as above.
    pub lag: Option<Duration>,
    /// Whether it is searched by words and by vectors.
    pub complete: bool,
}

impl IndexLag {
    /// Whether it is later than it should be.
    pub fn is_late(&self) -> bool {
        self.lag.is_some_and(|lag| lag > self.target)
    }
}

/// What this node knows of the releases that public channels serve.
#[derive(Debug)]
pub struct Freshness {
    /// When this node started.
    started: Timestamp,
    seen: Mutex<HashMap<TenantId, Seen>>,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { started: Timestamp::now(), seen: Mutex::default() }
    }
}

impl Freshness {
    /// The public channel of a tenant serves a release from now on, or more of it.
    pub fn served(&self, tenant: &TenantId, state: &ChannelState, view: &ReleaseView) {
        let Ok(moved_at) = state.moved_at.parse::<Timestamp>() else { return };
        let since = Timestamp::now().duration_since(moved_at).unsigned_abs();
        let is_whole = view.has_vectors();
        let known = moved_at >= self.started;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match seen.get(tenant) {
            // More of the same move: its vectors have come.
            Some(known) if known.release == state.release && known.moved_at == moved_at => Seen {
                whole: known.whole.or_else(|| (is_whole && !known.is_whole).then_some(since)),
                is_whole,
                ..*known
            },
            _ => Seen {
                release: state.release,
                moved_at,
                words: known.then_some(since),
                whole: (known && is_whole).then_some(since),
                is_whole,
            },
        };
        seen.insert(tenant.clone(), next);
    }

    /// The indexes of a tenant's release, by name.
    pub fn of(&self, tenant: &TenantId, view: &ReleaseView, now: Timestamp) -> Vec<IndexLag> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.get(tenant) else { return Vec::new() };
        let lag = match seen.is_whole {
            true => seen.whole,
            false => Some(now.duration_since(seen.moved_at).unsigned_abs()),
        };
        let (words, complete) = (seen.words, seen.is_whole);
        let targets = view.search_targets().into_iter();
        targets.map(|(index, target)| IndexLag { index, target, words, lag, complete }).collect()
    }
}
