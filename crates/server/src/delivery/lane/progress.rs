//! What a connection in hyper waits for, and since when. The sweeper reads it and decides; nothing here has a timer of
//! its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::LaneConfig;

/// What HTTP/2 connections begin with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection may take to end after it was asked to.
const LEAVE: Duration = Duration::from_secs(5);

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Stay,
    /// It is idle: HTTP/2 clients are notified before it is closed.
    Leave,
    Close,
}

/// The state of one connection. Times are milliseconds of the lane's clock, 0 for never.
pub(super) struct Progress {
    /// Whether the whole preface of HTTP/2 has come.
    http2: AtomicBool,
    /// Requests that are not answered in full.
    requests: AtomicU32,
    /// When the last of them ended.
    idle_since: AtomicU64,
    /// When the first byte of a head or a preface came that is not whole yet.
    head_since: AtomicU64,
    /// Since when the socket takes nothing.
    blocked_since: AtomicU64,
    /// Answers that have given out bytes and wait until the client takes them.
    owed: AtomicU32,
    /// When one of them last got on.
    owed_since: AtomicU64,
    /// When the client was asked to leave.
    leaving_since: AtomicU64,
    /// Bytes of answers that are counted against this connection.
    pub(super) held: AtomicUsize,
    /// Bytes of answers that are counted against its address.
    pub(super) of_address: Arc<AtomicUsize>,
    /// Asks the connection to end.
    pub(super) leave: Notify,
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

impl Progress {
    /// A connection that has sent the first bytes of something.
    pub(super) fn new(now: u64, of_address: Arc<AtomicUsize>) -> Self {
        Self {
            http2: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            idle_since: AtomicU64::new(now.max(1)),
            head_since: AtomicU64::new(now.max(1)),
            blocked_since: AtomicU64::new(0),
            owed: AtomicU32::new(0),
            owed_since: AtomicU64::new(0),
            leaving_since: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            of_address,
            leave: Notify::new(),
        }
    }

    /// Bytes were read: `seen` bytes of the preface came before them, as far as they are one. Returns how many there are
    /// now.
    pub(super) fn read(&self, bytes: &[u8], seen: Option<usize>, now: u64) -> Option<usize> {
        let seen = seen.and_then(|seen| {
            let rest = &PREFACE[seen..];
            let len = rest.len().min(bytes.len());
            (bytes[..len] == rest[..len]).then_some(seen + len)
        });
        if seen == Some(PREFACE.len()) {
            self.http2.store(true, Ordering::Relaxed);
            self.head_since.store(0, Ordering::Relaxed);
            return None;
        }
        if !self.http2.load(Ordering::Relaxed)
            && self.requests.load(Ordering::Relaxed) == 0
            && self.head_since.load(Ordering::Relaxed) == 0
        {
            self.head_since.store(now.max(1), Ordering::Relaxed);
        }
        seen
    }

    /// The socket took bytes, or none.
    pub(super) fn wrote(&self, some: bool, now: u64) {
        if some {
            self.blocked_since.store(0, Ordering::Relaxed);
        } else if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(now.max(1), Ordering::Relaxed);
        }
    }

    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
    }

    pub(super) fn end(&self, now: u64) {
        if self.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle_since.store(now.max(1), Ordering::Relaxed);
        }
    }

    /// An answer gave out bytes that wait for the client.
    pub(super) fn owe(&self, now: u64) {
        if self.owed.fetch_add(1, Ordering::Relaxed) == 0 {
            self.owed_since.store(now.max(1), Ordering::Relaxed);
        }
    }

    /// The client took them, or nobody wants them any more.
    pub(super) fn paid(&self, now: u64) {
        self.owed_since.store(now.max(1), Ordering::Relaxed);
        self.owed.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no request is open.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0
    }

    pub(super) fn idle_since(&self) -> u64 {
        self.idle_since.load(Ordering::Relaxed)
    }

    pub(super) fn judge(&self, now: u64, config: &LaneConfig) -> Verdict {
        let over = |since: &AtomicU64, wait: Duration| {
            let since = since.load(Ordering::Relaxed);
            since != 0 && now.saturating_sub(since) > millis(wait)
        };
        if over(&self.blocked_since, config.write)
            || over(&self.head_since, config.head)
            || over(&self.leaving_since, LEAVE)
            || (self.owed.load(Ordering::Relaxed) > 0 && over(&self.owed_since, config.write))
        {
            return Verdict::Close;
        }
        if self.requests.load(Ordering::Relaxed) > 0 || !over(&self.idle_since, config.idle) {
            return Verdict::Stay;
        }
        if !self.http2.load(Ordering::Relaxed) {
            return Verdict::Close;
        }
        if self.leaving_since.load(Ordering::Relaxed) == 0 {
            self.leaving_since.store(now.max(1), Ordering::Relaxed);
            return Verdict::Leave;
        }
        Verdict::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_in_pieces_is_reported_from_other_bytes() {
        let whole = Progress::new(1, Arc::default());
        let mut seen = Some(0);
        for piece in PREFACE.chunks(5) {
            seen = whole.read(piece, seen, 1);
        }
        assert!(whole.http2.load(Ordering::Relaxed) && seen.is_none());
        let config = LaneConfig::default();
        assert_eq!(whole.judge(20_000, &config), Verdict::Stay);
        assert_eq!(whole.judge(40_000, &config), Verdict::Leave);
        assert_eq!(whole.judge(50_000, &config), Verdict::Close);
        let half = Progress::new(1, Arc::default());
        assert_eq!(half.read(&PREFACE[..20], Some(0), 1), Some(20));
        assert_eq!(half.judge(5_000, &config), Verdict::Stay);
        assert_eq!(half.judge(20_000, &config), Verdict::Close);
        assert_eq!(Progress::new(1, Arc::default()).read(b"POST / HTTP/1.1\r\n", Some(0), 1), None);
    }

    #[test]
    fn answers_that_nobody_takes_end_a_connection_and_slow_ones_do_not() {
        let config = LaneConfig::default();
        let some = Progress::new(1, Arc::default());
        some.begin();
        assert_eq!(some.judge(1_000_000, &config), Verdict::Stay, "the server takes its time");
        some.owe(1_000_000);
        assert_eq!(some.judge(1_020_000, &config), Verdict::Stay);
        some.paid(1_020_000);
        some.owe(1_020_000);
        assert_eq!(some.judge(1_045_000, &config), Verdict::Stay);
        assert_eq!(some.judge(1_051_000, &config), Verdict::Close);
        some.paid(1_051_000);
        some.wrote(false, 1_051_000);
        assert_eq!(some.judge(1_090_000, &config), Verdict::Close);
        some.wrote(true, 1_090_000);
        some.end(1_090_000);
        assert_eq!(some.judge(1_110_000, &config), Verdict::Stay);
        assert_eq!(some.judge(1_130_000, &config), Verdict::Close);
    }
}
