//! Limits of time that do not count how long the disk of this machine stood still.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A write that takes longer than this shows that the disk stands still.
const SLOW: Duration = Duration::from_secs(1);
/// How often a write is tried.
const EVERY: Duration = Duration::from_millis(250);
/// The most time that a limit is extended by.
const STALLED_MAX: Duration = Duration::from_secs(600);

#[derive(Default)]
struct State {
    /// How long the disk stood still in writes that ended.
    stalled: Duration,
    /// When the write began that runs now.
    writing: Option<Instant>,
    ended: bool,
}

/// Writes to the disk now and then, as the database and the nodes do.
pub struct Disk(Arc<Mutex<State>>);

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// Watches the disk of a directory.
    pub fn watch(dir: &Path) -> std::io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let (of, mut file) = (state.clone(), File::create(dir.join("disk"))?);
        std::thread::spawn(move || {
            while !lock(&of).ended {
                let began = Instant::now();
                lock(&of).writing = Some(began);
                // A disk that is full or broken is found by the checks.
                let _ = file.write_all(b".").and_then(|()| file.sync_all());
                let mut state = lock(&of);
                state.writing = None;
                state.stalled += began.elapsed().saturating_sub(SLOW);
                drop(state);
                std::thread::sleep(EVERY);
            }
        });
        Ok(Self(state))
    }

    fn stalled(&self) -> Duration {
        let state = lock(&self.0);
        state.stalled + state.writing.map_or(Duration::ZERO, |began| began.elapsed().saturating_sub(SLOW))
    }

    /// A limit that begins now.
    pub fn limit(&self, most: Duration) -> Limit<'_> {
        Limit { disk: self, began: Instant::now(), stalled: self.stalled(), most }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        lock(&self.0).ended = true;
    }
}

/// A limit of time in which the disk works.
pub struct Limit<'a> {
    disk: &'a Disk,
    began: Instant,
    stalled: Duration,
    most: Duration,
}

impl Limit<'_> {
    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        let stalled = self.disk.stalled().saturating_sub(self.stalled).min(STALLED_MAX);
        self.began.elapsed() > self.most + stalled
    }
}
