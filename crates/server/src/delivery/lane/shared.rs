//! What connections share, and what the sweeper knows of each.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::{
    LaneConfig, Source,
    budget::Budget,
    clock::Clock,
    progress::{Progress, Verdict},
};

/// What all connections share.
pub(super) struct Shared {
    pub(super) source: Arc<dyn Source>,
    pub(super) app: Router,
    pub(super) config: LaneConfig,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    pub(super) budget: Arc<Budget>,
}

/// What the sweeper knows of a connection.
pub(super) struct Slot {
    /// When it is closed, in milliseconds of the lane's clock; `u64::MAX` for never.
    pub(super) deadline_ms: AtomicU64,
    /// Whether it waits for a request and nothing of one has come yet.
    pub(super) idle: AtomicBool,
    /// What it waits for since hyper has it.
    pub(super) in_hyper: OnceLock<Arc<Progress>>,
    /// Bytes of answers that are counted against its address.
    pub(super) of_address: Arc<AtomicUsize>,
}

impl Slot {
    pub(super) fn new(deadline_ms: u64, of_address: Arc<AtomicUsize>) -> Self {
        Self {
            deadline_ms: AtomicU64::new(deadline_ms),
            idle: AtomicBool::new(true),
            in_hyper: OnceLock::new(),
            of_address,
        }
    }

    /// Whether it is to be closed now.
    pub(super) fn is_over(&self, now: u64, config: &LaneConfig) -> bool {
        let Some(progress) = self.in_hyper.get() else {
            return self.deadline_ms.load(Ordering::Relaxed) < now;
        };
        let verdict = progress.judge(now, config);
        if verdict == Verdict::Leave {
            progress.leave.notify_one();
        }
        verdict == Verdict::Close
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_hyper.get().map_or_else(|| self.idle.load(Ordering::Relaxed), |p| p.is_idle())
    }

    /// When it began to be idle, give or take the time it may be.
    pub(super) fn idle_since(&self, config: &LaneConfig) -> u64 {
        let idle_ms = u64::try_from(config.idle.as_millis()).unwrap_or(u64::MAX);
        self.in_hyper.get().map_or_else(
            || self.deadline_ms.load(Ordering::Relaxed).saturating_sub(idle_ms),
            |p| p.idle_since(),
        )
    }
}
