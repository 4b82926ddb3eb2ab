//! A bounded number of open pack files, whatever the number of packs.

use std::{
    collections::VecDeque,
    fs::File,
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
};

use crate::{
    StoreError,
    packs::pack::{BY_HANDLES, Pack},
};

/// So many packs may be open at least, however few descriptors the process may have.
const OPEN_MIN: usize = 8;
/// More than this gains nothing: there are a few dozen packs for each tenant.
const OPEN_MAX: usize = 1024;

/// How many packs are open when nothing else is set: a quarter of the descriptors that the process may have. The rest is for
/// connections, the database and files that are written.
pub(crate) fn open_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(usize::MAX);
    (limit / 4).clamp(OPEN_MIN, OPEN_MAX)
}

/// Which packs have an open file, in the order of a clock: a pack that was read since the hand last passed it stays.
pub(crate) struct Handles {
    open_max: usize,
    ring: Mutex<VecDeque<Weak<Pack>>>,
}

impl Handles {
    pub(crate) fn new(open_max: usize) -> Self {
        Self { open_max: open_max.max(1), ring: Mutex::default() }
    }

    /// Opens the file of a pack, and closes another when too many are open.
    pub(crate) fn open(&self, pack: &Arc<Pack>) -> Result<Arc<File>, StoreError> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Another reader may have opened it meanwhile.
        if let Some(file) = pack.file.load_full() {
            return Ok(file);
        }
        close_down_to(&mut ring, self.open_max - 1);
        let file = match File::open(&pack.path) {
            // Descriptors went elsewhere: do with half as many.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                let half = ring.len() / 2;
                close_down_to(&mut ring, half);
                File::open(&pack.path)
            }
            other => other,
        };
        let file = Arc::new(file.map_err(|e| StoreError::io("open", &pack.path, e))?);
        pack.file.store(Some(file.clone()));
        ring.push_back(Arc::downgrade(pack));
        Ok(file)
    }

    /// How many packs are open.
    pub(crate) fn open_now(&self) -> usize {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter_map(Weak::upgrade).filter(|p| p.file.load().is_some()).count()
    }
}

fn close_down_to(ring: &mut VecDeque<Weak<Pack>>, count: usize) {
    // Two rounds end it: the first takes every mark away.
    let mut steps = ring.len() * 2;
    while ring.len() > count {
        let Some(next) = ring.pop_front() else { return };
        let Some(pack) = next.upgrade() else { continue };
        steps = steps.saturating_sub(1);
        if pack.used.fetch_and(!BY_HANDLES, Ordering::Relaxed) & BY_HANDLES != 0 && steps > 0 {
            ring.push_back(next);
        } else {
            pack.file.store(None);
        }
    }
}
