use std::{sync::Arc, time::Duration};

use super::Figures;
use crate::front::{Address, Limits, Proxies};

/// Bounds of the lane.
#[derive(Debug, Clone)]
pub struct LaneConfig {
    /// The most connections at a time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// The most of them from one address; 0 for no limit.
    pub connections_per_address_max: usize,
    /// The most bytes of a request's head.
    pub head_bytes_max: usize,
    /// How long the head of a request, or the preface of HTTP/2, may take from its first byte on.
    pub head: Duration,
    /// How long a connection may stay without a request.
    pub idle: Duration,
    /// How long the body of a request may make no progress.
    pub body: Duration,
    /// How long a client may accept nothing of an answer.
    pub write: Duration,
    /// How long open requests may run on after the stop signal.
    pub shutdown: Duration,
    /// Bytes of answers that wait for their clients.
    pub answer_bytes: usize,
    /// The same for one connection.
    pub answer_bytes_per_connection: usize,
    /// How often an address may read without a key; `None` for no limit.
    pub reads: Option<Arc<Limits<Address>>>,
    /// Proxies whose clients are counted apart.
    pub proxies: Proxies,
    /// Where connections are counted.
    pub figures: Arc<Figures>,
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            head_bytes_max: 16 << 10,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            body: Duration::from_secs(15),
            write: Duration::from_secs(30),
            shutdown: Duration::from_secs(7),
            answer_bytes: 256 << 20,
            answer_bytes_per_connection: 64 << 20,
            reads: None,
            proxies: Proxies::default(),
            figures: Arc::default(),
        }
    }
}
