//! A pointer object in a directory, and what reading one says.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    StoreError,
    files::{make_durable_dir, sync_dir},
};

/// The largest pointer object, in bytes.
const POINTER_BYTES_MAX: u64 = 16 << 20;

/// How long a writer waits for another one of the same pointer file.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Says whether a new pointer object is to stand in the place of what is there.
pub type Newer = dyn Fn(&[u8]) -> bool + Send + Sync;

/// Tells one state of a pointer object from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointerVersion {
    /// Of a file.
    File {
        /// When it was written, in nanoseconds since 1970.
        modified_ns: u128,
        /// How long it is, in bytes.
        len: u64,
        /// Its inode: a replaced file has another.
        inode: u64,
    },
    /// Of a remote object.
    Remote {
        /// Its entity tag.
        etag: String,
    },
}

/// The outcome of reading a pointer object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointerRead {
    /// It is other than what was known.
    Changed {
        /// What it says.
        body: Bytes,
        /// How to ask next time.
        version: PointerVersion,
    },
    /// It is what was known.
    Unchanged,
    /// There is none.
    Absent,
}

impl PointerRead {
    /// What it says, when it was read.
    pub fn body(&self) -> Option<&[u8]> {
        match self {
            Self::Changed { body, .. } => Some(body),
            Self::Unchanged | Self::Absent => None,
        }
    }
}

/// Pointer objects are read as a whole, so what is there must not be large.
pub(crate) fn check_size(name: &str, bytes: u64) -> Result<(), StoreError> {
    match bytes > POINTER_BYTES_MAX {
        true => Err(StoreError::corrupt(format!("pointer {name}"), "it is larger than 16 MiB")),
        false => Ok(()),
    }
}

/// Replaces a file as a whole, durably.
pub(super) fn replace(path: &Path, body: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().ok_or(StoreError::Usage("a pointer has a directory"))?;
    let failed = |op| move |e| StoreError::io(op, dir, e);
    make_durable_dir(dir)?;
    let mut temp = tempfile::Builder::new()
        .prefix(".new-")
        .suffix(".tmp")
        .tempfile_in(dir)
        .map_err(failed("make a file in"))?;
    std::io::Write::write_all(&mut temp, body).map_err(failed("write a pointer in"))?;
    temp.as_file().sync_all().map_err(failed("sync a pointer in"))?;
    temp.persist(path).map_err(|e| StoreError::io("rename a pointer in", dir, e.error))?;
    sync_dir(dir)
}

/// Locks the writing of a pointer file until the file that is returned is dropped.
fn lock(path: &Path) -> Result<File, StoreError> {
    let dir = path.parent().ok_or(StoreError::Usage("a pointer has a directory"))?;
    make_durable_dir(dir)?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = dir.join(format!(".{name}.lock"));
    let failed = |e| StoreError::io("lock", &beside, e);
    let file = File::options().create(true).append(true).open(&beside).map_err(failed)?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(failed(std::io::ErrorKind::TimedOut.into()));
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
    }
}

/// Replaces a file as a whole unless what is there is to stay; says whether it wrote.
pub(crate) fn advance(path: &Path, body: &[u8], newer: &Newer) -> Result<bool, StoreError> {
    let _one = lock(path)?;
    if let Ok(meta) = std::fs::metadata(path) {
        check_size(&path.display().to_string(), meta.len())?;
    }
    match std::fs::read(path) {
        Ok(now) if !newer(&now) => return Ok(false),
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(StoreError::io("read", path, e)),
    }
    replace(path, body)?;
    Ok(true)
}
