//! Small objects that change: channel pointers and key rings. Each is replaced as a whole.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;

use crate::{StoreError, TenantObjects, objects::tenant::blocking, packs::pack::sync_dir};

/// The largest pointer object, in bytes.
const POINTER_BYTES_MAX: u64 = 16 << 20;

/// Pointer objects of a folder that are looked at.
const POINTERS_MAX: usize = 1_000;

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
fn replace(path: &Path, body: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().ok_or(StoreError::Usage("a pointer has a directory"))?;
    let failed = |op| move |e| StoreError::io(op, dir, e);
    crate::objects::tenant::make_durable_dir(dir)?;
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
    crate::objects::tenant::make_durable_dir(dir)?;
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

impl TenantObjects {
    fn pointer_path(&self, name: &str) -> Result<PathBuf, StoreError> {
        let good = name.len() <= 200
            && name.split('/').all(|s| !s.is_empty() && s != "." && s != ".." && s != "packs")
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'));
        match good {
            true => Ok(self.inner.dir.join(name)),
            false => Err(StoreError::Usage("a pointer name has letters, digits, `-`, `_`, `.` and `/`")),
        }
    }

    /// Replaces a pointer object, whatever is there; durable when this returns. For what has no order: pointers that
    /// others follow are written by [`TenantObjects::advance_pointer`].
    ///
    /// # Errors
    /// When it could not be written; the old one stays then.
    pub async fn put_pointer(&self, name: &str, body: Bytes) -> Result<(), StoreError> {
        let path = self.pointer_path(name)?;
        if let Some(remote) = &self.inner.remote {
            return remote.put_pointer(&self.inner.tenant, name, body).await;
        }
        blocking(move || replace(&path, &body)).await
    }

    /// Replaces a pointer object when `newer` says so of what is there, which nobody can change in between; durable when
    /// this returns. Says whether it wrote.
    ///
    /// # Errors
    /// When it could not be read or written; the old one stays then.
    pub async fn advance_pointer(
        &self,
        name: &str,
        body: Bytes,
        newer: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Result<bool, StoreError> {
        let path = self.pointer_path(name)?;
        if let Some(remote) = &self.inner.remote {
            return remote.advance_pointer(&self.inner.tenant, name, body, Box::new(newer)).await;
        }
        blocking(move || advance(&path, &body, &newer)).await
    }

    fn last_path(&self, name: &str) -> PathBuf {
        self.inner.dir.join("last").join(name)
    }

    /// What a pointer object of the remote said when this node last read it; for a start without the remote.
    pub fn last_pointer(&self, name: &str) -> Option<Bytes> {
        self.inner.remote.as_ref()?;
        self.pointer_path(name).ok()?;
        std::fs::read(self.last_path(name)).ok().map(Bytes::from)
    }

    /// Reads a pointer object, unless it is still at version `known`.
    ///
    /// # Errors
    /// When it cannot be read, or the remote does not answer.
    pub async fn get_pointer(
        &self,
        name: &str,
        known: Option<&PointerVersion>,
    ) -> Result<PointerRead, StoreError> {
        let path = self.pointer_path(name)?;
        if let Some(remote) = &self.inner.remote {
            let read = remote.get_pointer(&self.inner.tenant, name, known).await?;
            if let PointerRead::Changed { body, .. } = &read {
                let (copy, body) = (self.last_path(name), body.clone());
                // Only a start without the remote misses the copy.
                if let Err(error) = blocking(move || replace(&copy, &body)).await {
                    tracing::warn!(%error, "a pointer could not be kept here");
                }
            }
            return Ok(read);
        }
        let Some(version) = self.pointer_stat(name) else { return Ok(PointerRead::Absent) };
        if known == Some(&version) {
            return Ok(PointerRead::Unchanged);
        }
        if let PointerVersion::File { len, .. } = version {
            check_size(name, len)?;
        }
        match std::fs::read(&path) {
            // Replaced between looking and reading: the next look sees another version and reads again.
            Ok(body) => Ok(PointerRead::Changed { body: body.into(), version }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(PointerRead::Absent),
            Err(e) => Err(StoreError::io("read", &path, e)),
        }
    }

    /// The names of pointer objects in a folder of the directory, as far as they are names of the wanted kind. Nothing with
    /// a remote.
    pub fn pointers_here<N: std::str::FromStr>(&self, folder: &str) -> impl Iterator<Item = N> + use<N> {
        let found = match (&self.inner.remote, self.pointer_path(folder)) {
            (None, Ok(folder)) => std::fs::read_dir(folder).ok(),
            _ => None,
        };
        let names = found.into_iter().flatten().take(POINTERS_MAX);
        names.filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
    }

    /// The version of a pointer object in a directory: one system call. `None` when there is none, or with a remote.
    pub fn pointer_stat(&self, name: &str) -> Option<PointerVersion> {
        if self.inner.remote.is_some() {
            return None;
        }
        let meta = std::fs::metadata(self.pointer_path(name).ok()?).ok()?;
        let modified_ns = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(PointerVersion::File { modified_ns, len: meta.len(), inode: meta.ino() })
    }
}
