use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};

/// Time as coarse as the lane needs it, read without a system call. Somebody calls [`Clock::tick`] a few times a second.
pub(super) struct Clock {
    started: Instant,
    now_ms: AtomicU64,
    date: ArcSwap<Vec<u8>>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), now_ms: AtomicU64::new(0), date: ArcSwap::from_pointee(date_line()) }
    }

    pub(super) fn tick(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now_ms.store(now, Ordering::Relaxed);
        let line = date_line();
        if **self.date.load() != line {
            self.date.store(Arc::new(line));
        }
    }

    /// Milliseconds since the lane started.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Appends the `date` header line.
    pub(super) fn write_date(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date.load());
    }
}

fn date_line() -> Vec<u8> {
    match DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now()) {
        Ok(date) => format!("date: {date}\r\n").into_bytes(),
        // Only years no machine is set to have no such form; a server without a clock sends no date.
        Err(_) => Vec::new(),
    }
}
