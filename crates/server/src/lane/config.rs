use std::time::Duration;

/// Bounds of the lane.
#[derive(Debug, Clone)]
pub struct LaneConfig {
    /// The most connections at a time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// The most bytes of a request's head.
    pub head_bytes_max: usize,
    /// How long a connection may stay without a request, and how long the head of a request may take.
    pub idle: Duration,
    /// How long a client may take to accept an answer.
    pub write: Duration,
    /// How long open requests may run on after the stop signal.
    pub shutdown: Duration,
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            head_bytes_max: 16 << 10,
            idle: Duration::from_secs(30),
            write: Duration::from_secs(30),
            shutdown: Duration::from_secs(15),
        }
    }
}
