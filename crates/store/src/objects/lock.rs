//! The lock that writers share and that deleting takes for itself, among the processes that use one directory.

use std::{
    fs::File,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{StoreError, TenantObjects};

/// How long a writer waits for deleting to end.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// While it lives, nothing is deleted from a directory without a remote.
pub struct Hold {
    /// Whose packs were looked at under the lock.
    looked: Option<TenantObjects>,
    _lock: File,
}

impl Hold {
    /// One whose lock excludes writers.
    pub(crate) fn excluding(lock: File) -> Self {
        Self { looked: None, _lock: lock }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Before the lock goes: who sees the count has a lock that overlaps with this one.
        if let Some(objects) = &self.looked {
            objects.inner.holds.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl TenantObjects {
    fn lock_file(&self) -> Result<File, StoreError> {
        std::fs::create_dir_all(&self.inner.dir)
            .map_err(|e| StoreError::io("make the directory", &self.inner.dir, e))?;
        let path = self.inner.dir.join("gc.lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        open.map_err(|e| StoreError::io("open", &path, e))
    }

    /// Delays clean-up until it is dropped: for objects that are stored before anything names them.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn hold(&self) -> Result<Hold, StoreError> {
        let lock = self.share()?;
        self.rescan(false)?;
        self.inner.holds.fetch_add(1, Ordering::AcqRel);
        Ok(Hold { looked: Some(self.clone()), _lock: lock })
    }

    /// A lock that keeps others from deleting, taken after which the index names no pack that no longer exists.
    pub(crate) fn share_known(&self) -> Result<File, StoreError> {
        let lock = self.share()?;
        // Since an action of this process looked, nothing was deleted. A directory with a remote loses files at any time.
        if self.inner.remote.is_some() || self.inner.holds.load(Ordering::Acquire) == 0 {
            self.rescan(false)?;
        }
        Ok(lock)
    }

    /// Delays clean-up while objects that exist are relied upon.
    pub(crate) fn share(&self) -> Result<File, StoreError> {
        let file = self.lock_file()?;
        let taken = |file: &File| match file.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(e)) => Err(StoreError::io("lock", &self.inner.dir, e)),
        };
        if taken(&file)? {
            return Ok(file);
        }
        let until = Instant::now() + LOCK_WAIT;
        aside(|| {
            loop {
                std::thread::sleep(Duration::from_millis(2));
                if taken(&file)? {
                    return Ok(file);
                }
                if Instant::now() >= until {
                    return Err(StoreError::Busy);
                }
            }
        })
    }

    /// Takes the store for clean-up.
    pub(crate) fn exclude(&self) -> Result<File, StoreError> {
        let file = self.lock_file()?;
        file.try_lock().map_err(|e| match e {
            std::fs::TryLockError::WouldBlock => StoreError::Busy,
            std::fs::TryLockError::Error(e) => StoreError::io("lock", &self.inner.dir, e),
        })?;
        Ok(file)
    }
}

/// Waits while what else the thread has to do goes on elsewhere.
pub(crate) fn aside<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}
